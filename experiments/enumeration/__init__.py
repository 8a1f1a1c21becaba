"""Laws by enumeration: of rules at every tuple of drafts, of verifiers on every tree."""

"""Whether a rule or a verifier is what it claims."""

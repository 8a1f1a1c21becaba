"""Decodes of a pair of models by several verifiers on the same drafts."""

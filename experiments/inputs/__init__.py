"""What a user names: verifiers, schemes, files of laws, logits and prompts."""

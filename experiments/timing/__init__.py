"""What the bench times."""

"""What every command shares: what it says, shows, writes and where it comes from."""

"""The tests: one folder a package, what they share under helpers."""

"""Means, and how far chance may carry them."""

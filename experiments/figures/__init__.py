"""Figures of stored rows, all in one style."""

"""Grids of measurements, and the folders that hold them."""

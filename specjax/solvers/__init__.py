"""Numerical work that bounds and rules share; knows no rule."""

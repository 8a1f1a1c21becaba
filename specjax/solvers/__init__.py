"""Numerical work behind single rules, and behind the optimal ones; knows no rule."""

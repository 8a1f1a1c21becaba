"""Rules in which every draft draws a level and the highest level wins: what the optimal rules are
made of.
"""

"""Rules in which every draft draws a level and the highest level wins.

The optimal rules are made of them.
"""

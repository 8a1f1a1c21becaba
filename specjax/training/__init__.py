"""Training: objectives, a small loop with held-out evaluation, and the recipe of the embedded
pair.
"""

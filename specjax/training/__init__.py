"""Training: objectives, a small loop with held-out evaluation, and the embedded pair's recipe."""

"""Two families of pairs of laws for rules that are not lossless. Seed and order of the draws fix
their digits.
"""

import numpy as np


def pairs(kind, count=200, vocabulary=64, seed=0):
    """Yields p, q and an embedding [V, 2]. Laws of "text" are peaked with a noisy q; those of
    "image" are flat and smooth in the embedding.
    """
    generator = np.random.default_rng(seed)
    for _ in range(count):
        embedding = generator.normal(size=(vocabulary, 2)) * 0.5
        if kind == "text":
            p = np.exp(3.0 * generator.normal(size=vocabulary))
            q = p * np.exp(1.2 * generator.normal(size=vocabulary))
        else:
            centres = generator.normal(size=(6, 2))
            distance = ((embedding[:, None] - centres) ** 2).sum(-1)
            height = np.exp(-distance) @ generator.normal(size=6)
            p = np.exp(1.5 * height + 0.3 * generator.normal(size=vocabulary))
            q = p * np.exp(0.8 * generator.normal(size=vocabulary))
        yield p / p.sum(), q / q.sum(), embedding


def nearest(embedding):
    """The other tokens by their distance from each, [V, V - 1]."""
    distance = ((embedding[:, None] - embedding) ** 2).sum(-1)
    np.fill_diagonal(distance, -1.0)
    return np.argsort(distance, axis=1, kind="stable")[:, 1:]

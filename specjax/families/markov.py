"""Rows of a random Markov chain and of its draft, at a prescribed total variation."""

from typing import ClassVar

import jax
import jax.numpy as jnp

from specjax.families._base import Family, Laws, RandomKey, expect, register
from specjax.numerics import normalise, total


@register
class Markov(Family):
    """Draws rows of a target chain and a draft chain with TV(p, q) = `distance` exactly.

    A row of the target chain has logits N(0, spread^2). The draft chain moves `distance` of the
    row's mass: q = p + distance (r - p) / TV(p, r). r is a second such row on that half of the
    tokens that holds less of p, so that TV(p, r) >= 1/2 for every row. The rows of a chain are
    independent: each key is one state.

    Cost: two passes of noise over V.

    Example:
      >>> import jax
      >>> from specjax import bounds, families
      >>> p, q = families.Markov(distance=0.3).sample(jax.random.key(0), 16)
      >>> round(float(1 - bounds.overlap(p, q)), 3)
      0.3
    """

    limit: ClassVar[bool] = False
    spread: float = 2.0
    distance: float = 0.3

    def __post_init__(self) -> None:
        expect("spread", self.spread, 0, 30)
        expect("distance", self.distance, 0, 0.5)

    def sample(self, key: RandomKey, vocabulary: int) -> Laws:
        p, other = jax.nn.softmax(self.spread * jax.random.normal(key, (2, vocabulary)))
        first = jnp.arange(vocabulary) < vocabulary // 2
        lighter = first == (total(jnp.where(first, p, 0)) <= 0.5)
        weights = jnp.where(lighter, other, 0)
        r = normalise(weights, lighter / jnp.sum(lighter))
        share = self.distance / total(jnp.maximum(p - r, 0))
        return Laws(p, p + share * (r - p))

    def mean_tv(self, vocabulary: int) -> float:
        return self.distance

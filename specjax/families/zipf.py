"""Zipf's law, and the same law with tokens that trade places."""

from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np

from specjax.families._base import Family, Law, Laws, RandomKey, expect, register
from specjax.numerics import total


@register
class Zipf(Family):
    """Takes p ~ rank^-exponent, and q with some pairs of ranks exchanged.

    Each pair of ranks (r, r + shift), r in the first half of a block of 2 shift, trades places with
    probability `chance`. p and q hold the same masses in another order. Each trade moves w_r - w_{r
    + shift}, so that E TV is `chance` times the sum of these. At chance 1 the TV of every pair has
    this value.

    Cost: one gather of V.

    Example:
      >>> import jax
      >>> from specjax import families
      >>> p, q = families.Zipf(chance=1.0).sample(jax.random.key(0), 4)
      >>> q.argsort(descending=True).tolist()
      [1, 0, 3, 2]
    """

    limit: ClassVar[bool] = False
    exponent: float = 1.1
    shift: int = 1
    chance: float = 0.5

    def __post_init__(self) -> None:
        expect("exponent", self.exponent, 0)
        expect("shift", self.shift, 1, 2**20)
        expect("chance", self.chance, 0, 1)

    def sample(self, key: RandomKey, vocabulary: int) -> Laws:
        token = jnp.arange(vocabulary)
        upper = token % (2 * self.shift) >= self.shift
        partner = jnp.where(upper, token - self.shift, token + self.shift)
        trades = jax.random.bernoulli(key, self.chance, (vocabulary,))[
            jnp.minimum(token, partner)
        ] & (partner < vocabulary)
        weights: Law = (1.0 + token) ** -self.exponent
        p = weights / total(weights)
        return Laws(p, p[jnp.where(trades, partner, token)])

    def mean_tv(self, vocabulary: int) -> float:
        weights = np.arange(1.0, vocabulary + 1) ** -self.exponent
        rank = np.arange(max(vocabulary - self.shift, 0))
        lower = rank[rank % (2 * self.shift) < self.shift]
        return float(
            self.chance * np.sum(weights[lower] - weights[lower + self.shift]) / np.sum(weights)
        )

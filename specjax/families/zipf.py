"""Zipf's law, and the same with tokens that trade places."""

from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np

from specjax.families._base import Family, Law, Laws, RandomKey, expect, register
from specjax.numerics import total


@register
class Zipf(Family):
    """p ~ rank^-exponent; in q each pair of ranks (r, r + shift), r in the first half of a block of
    2 shift, trades places with `chance`.

    p and q hold the same masses in another order. Each trade moves w_r - w_{r + shift}, so E TV is
    `chance` times the sum of these; at chance 1 every TV is. Cost: one gather of V.
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

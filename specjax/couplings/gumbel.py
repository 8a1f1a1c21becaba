"""Shared Gumbel noise."""

import jax.numpy as jnp
from jax import Array
from jaxtyping import Int

from specjax.couplings._base import Coupling, Law, RandomKey, Tokens, check_one, register
from specjax.numerics import arrivals, exponential


@register
class Gumbel(Coupling):
    """Draft and token win the same race: with E iid Exp(1), the draft is argmin E/q and the token
    argmin E/p.

    In logarithms, argmax(log q + g) and argmax(log p + g) with g = -log E a Gumbel noise; E itself
    has more digits. P(hit) = sum_j 1 / sum_i max(p_i / p_j, q_i / q_j), at least (1 - TV) / (1 +
    TV). Cost: one pass of noise over V. Source: daliri2024coupling.
    """

    n_range = (1, 1)
    source = "daliri2024coupling"

    def couple(
        self,
        key: RandomKey,
        p: Law,
        q: Law,
        n: int,
    ) -> tuple[Tokens, Int[Array, ""]]:
        check_one("gumbel", n)
        waits = exponential(key, p.shape, p.dtype)
        return jnp.argmin(arrivals(waits, q))[None], jnp.argmin(arrivals(waits, p))

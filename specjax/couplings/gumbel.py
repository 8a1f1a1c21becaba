"""Shared Gumbel noise."""

import jax.numpy as jnp

from specjax._types import Index
from specjax.couplings._base import Coupling, Law, RandomKey, Tokens, check_one, register
from specjax.numerics import arrivals, exponential


@register
class Gumbel(Coupling):
    """Draws draft and token from one exponential race: argmin E/q and argmin E/p.

    E is iid Exp(1). In logarithms these are argmax(log q + g) and argmax(log p + g) with the Gumbel
    noise g = -log E, but E itself has more digits.

    P(hit) = sum_j 1 / sum_i max(p_i / p_j, q_i / q_j), which is at least (1 - TV) / (1 + TV).

    Cost: one pass of noise over V. Source: daliri2024coupling.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from specjax import couplings
      >>> p = jnp.array([0.5, 0.3, 0.2])
      >>> drafts, token = couplings.Gumbel().couple(jax.random.key(0), p, p, 1)
      >>> bool(drafts[0] == token)
      True
    """

    n_range = (1, 1)
    source = "daliri2024coupling"

    def couple(self, key: RandomKey, p: Law, q: Law, n: int) -> tuple[Tokens, Index]:
        check_one("gumbel", n)
        waits = exponential(key, p.shape, p.dtype)
        return jnp.argmin(arrivals(waits, q))[None], jnp.argmin(arrivals(waits, p))

"""Gumbel list sampling."""

import jax.numpy as jnp
from jax import Array
from jaxtyping import Int

from specjax.couplings._base import Coupling, Law, RandomKey, Tokens, register
from specjax.numerics import arrivals, exponential


@register
class GumbelList(Coupling):
    """n races for n drafts, and the token wins them taken together: x_k = argmin E^k / q, Y =
    argmin min_k E^k / p.

    E^k iid Exp(1); min_k E^k is Exp(n), a race as well. P(hit) >= sum_j n / (sum_i max(p_i / p_j,
    q_i / q_j) + (n - 1) / p_j), with equality for n = 1, the shared Gumbel noise. Cost: n passes of
    noise over V. Source: rowan2025list.
    """

    n_range = (1, None)
    source = "rowan2025list"

    def couple(
        self,
        key: RandomKey,
        p: Law,
        q: Law,
        n: int,
    ) -> tuple[Tokens, Int[Array, ""]]:
        waits = exponential(key, (n, *p.shape), p.dtype)
        return jnp.argmin(arrivals(waits, q), -1), jnp.argmin(arrivals(jnp.min(waits, 0), p))

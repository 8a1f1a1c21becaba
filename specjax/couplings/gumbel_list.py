"""Gumbel list sampling."""

import jax.numpy as jnp

from specjax._types import Index
from specjax.couplings._base import Coupling, Law, RandomKey, Tokens, register
from specjax.numerics import arrivals, exponential


@register
class GumbelList(Coupling):
    """Draws n drafts from n races, and the token from the n races taken together.

    The drafts are x_k = argmin E^k / q, and the token is Y = argmin min_k E^k / p. All E^k are iid
    Exp(1). The minimum over k is Exp(n), so that the token wins a race as well.

    P(hit) >= sum_j n / (sum_i max(p_i / p_j, q_i / q_j) + (n - 1) / p_j). Equality holds for n = 1,
    which is the shared Gumbel noise.

    Cost: n passes of noise over V. Source: rowan2025list.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from specjax import couplings
      >>> p, q = jnp.array([0.5, 0.3, 0.2]), jnp.array([0.2, 0.3, 0.5])
      >>> drafts, token = couplings.GumbelList().couple(jax.random.key(0), p, q, 3)
      >>> drafts.shape, token.shape
      ((3,), ())
    """

    n_range = (1, None)
    source = "rowan2025list"

    def couple(self, key: RandomKey, p: Law, q: Law, n: int) -> tuple[Tokens, Index]:
        waits = exponential(key, (n, *p.shape), p.dtype)
        return jnp.argmin(arrivals(waits, q), -1), jnp.argmin(arrivals(jnp.min(waits, 0), p))

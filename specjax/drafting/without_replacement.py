"""The first n arrivals of a race."""

import jax.numpy as jnp

from specjax.drafting._base import Drafting, Law, Mask, RandomKey, Tokens, register
from specjax.numerics import first_arrivals


@register
class WithoutReplacement(Drafting):
    """Draws n drafts from q without replacement, in order, as the first n arrivals of a race.

    The joint law is Plackett-Luce: prod_j q(x_j) / (1 - sum_{l<j} q(x_l)). Slots beyond the support
    of q are masked.

    Cost: one pass of noise over V and one top_k. Source: kool2019stochastic.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from specjax import drafting
      >>> scheme = drafting.WithoutReplacement()
      >>> tokens, mask = scheme.sample(jax.random.key(0), jnp.array([0.2, 0.3, 0.5]), 3)
      >>> sorted(tokens.tolist()), mask.tolist()
      ([0, 1, 2], [True, True, True])
    """

    def sample(self, key: RandomKey, q: Law, n: int) -> tuple[Tokens, Mask]:
        tokens = first_arrivals(key, q, min(n, q.shape[0]))
        # no function of the key: rules may solve once
        return jnp.pad(tokens, (0, n - tokens.shape[0])), jnp.arange(n) < jnp.sum(q > 0)

"""The first n arrivals of a race."""

import jax.numpy as jnp

from specjax.drafting._base import Drafting, Law, Mask, RandomKey, Tokens, register
from specjax.numerics import first_arrivals


@register
class WithoutReplacement(Drafting):
    """n draws from q without replacement, in order; slots beyond the support of q are masked.

    Cost: one pass of noise over V and one top_k. Source: kool2019stochastic.
    """

    def sample(self, key: RandomKey, q: Law, n: int) -> tuple[Tokens, Mask]:
        tokens = first_arrivals(key, q, min(n, q.shape[0]))
        # no function of the key: rules may solve once
        return jnp.pad(tokens, (0, n - tokens.shape[0])), jnp.arange(n) < jnp.sum(q > 0)

"""Different drafters at one node."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from specjax.drafting._base import Drafting, Mask, RandomKey, Tokens, register
from specjax.numerics import draw, uniforms


@register
class Independent(Drafting):
    """Draft i is an independent draw from its own law q[i]. Cost: n passes over V."""

    def sample(self, key: RandomKey, q: Float[Array, "n V"], n: int) -> tuple[Tokens, Mask]:
        if q.shape[0] != n:
            raise ValueError(f"independent: q has {q.shape[0]} laws, expected n = {n}")
        return jax.vmap(draw)(q, uniforms(key, (n,), q.dtype)), jnp.ones(n, bool)

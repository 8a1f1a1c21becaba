"""Independent draws."""

import jax
import jax.numpy as jnp

from specjax.drafting._base import Drafting, Law, Mask, RandomKey, Tokens, register
from specjax.numerics import draw, uniforms


@register
class Iid(Drafting):
    """n independent draws from q. Cost: n passes over V."""

    def sample(self, key: RandomKey, q: Law, n: int) -> tuple[Tokens, Mask]:
        return jax.vmap(draw, (None, 0))(q, uniforms(key, (n,), q.dtype)), jnp.ones(n, bool)

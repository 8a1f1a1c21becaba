"""Independent draws."""

import jax
import jax.numpy as jnp

from specjax.drafting._base import Law, Mask, RandomKey, Tokens, register
from specjax.numerics import draw


@register
class Iid:
    """n independent draws from q. Cost: n passes over V."""

    def sample(self, key: RandomKey, q: Law, n: int) -> tuple[Tokens, Mask]:
        uniforms = jax.random.uniform(key, (n,), q.dtype)
        return jax.vmap(draw, (None, 0))(q, uniforms), jnp.ones(n, bool)

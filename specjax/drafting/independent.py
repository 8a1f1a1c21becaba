"""Different drafters at one node."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from specjax.drafting._base import Drafting, Mask, RandomKey, Tokens, register
from specjax.numerics import draw, uniforms


@register
class Independent(Drafting):
    """Draws draft i independently from its own law q[i].

    Cost: n passes over V.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from specjax import drafting
      >>> q = jnp.array([[0.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
      >>> drafting.Independent().sample(jax.random.key(0), q, 2)[0].tolist()
      [1, 2]
    """

    def sample(self, key: RandomKey, q: Float[Array, "n V"], n: int) -> tuple[Tokens, Mask]:
        if q.shape[0] != n:
            raise ValueError(f"independent: q has {q.shape[0]} laws, expected n = {n}")
        return jax.vmap(draw)(q, uniforms(key, (n,), q.dtype)), jnp.ones(n, bool)

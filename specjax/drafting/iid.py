"""Independent draws."""

import jax
import jax.numpy as jnp

from specjax.drafting._base import Drafting, Law, Mask, RandomKey, Tokens, register
from specjax.numerics import draw, uniforms


@register
class Iid(Drafting):
    """Draws n independent drafts from q.

    Cost: n passes over V.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from specjax import drafting
      >>> tokens, mask = drafting.Iid().sample(jax.random.key(0), jnp.array([0.2, 0.3, 0.5]), 4)
      >>> tokens.shape, mask.tolist()
      ((4,), [True, True, True, True])
    """

    def sample(self, key: RandomKey, q: Law, n: int) -> tuple[Tokens, Mask]:
        return jax.vmap(draw, (None, 0))(q, uniforms(key, (n,), q.dtype)), jnp.ones(n, bool)

"""SpecHub's pairs."""

import jax.numpy as jnp

from specjax.drafting._base import Drafting, Law, Mask, RandomKey, Tokens, register
from specjax.numerics import draw, uniforms


@register
class Hub(Drafting):
    """Draws two drafts, of which one is always the most likely token a.

    The pair (i, a) has mass q_i, and the pair (a, i) has mass q_a q_i / (1 - q_a). If q is one-hot,
    both drafts are a.

    Cost: two passes over V. Source: sun2024spechub.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from specjax import drafting
      >>> tokens, mask = drafting.Hub().sample(jax.random.key(0), jnp.array([0.2, 0.3, 0.5]), 2)
      >>> bool(2 in tokens), mask.tolist()
      (True, [True, True])
    """

    def sample(self, key: RandomKey, q: Law, n: int) -> tuple[Tokens, Mask]:
        if n != 2:
            raise ValueError(f"hub: drafts pairs, expected n = 2, got n = {n}")
        a = jnp.argmax(q).astype(jnp.int32)
        u = uniforms(key, (2,), q.dtype)
        first = draw(q, u[0])
        other = draw(q.at[a].set(0), u[1])
        other = jnp.where(q[other] > 0, other, a)
        return jnp.stack([first, jnp.where(first == a, other, a)]), jnp.ones(2, bool)

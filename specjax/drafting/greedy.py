"""The n-1 most likely tokens, then one draw."""

import jax
import jax.numpy as jnp

from specjax.drafting._base import Drafting, Law, Mask, RandomKey, Tokens, register
from specjax.numerics import draw, uniforms


@register
class Greedy(Drafting):
    """Takes the m-1 most likely tokens of q, then one draw from the rest; m = min(n, support of q).

    Ties go to the lowest index. Slots from m on are masked.

    Cost: one top_k and one pass over V. Source: hu2025towards.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from specjax import drafting
      >>> tokens, mask = drafting.Greedy().sample(jax.random.key(0), jnp.array([0.2, 0.3, 0.5]), 3)
      >>> tokens[:2].tolist(), mask.tolist()
      ([2, 1], [True, True, True])
    """

    def sample(self, key: RandomKey, q: Law, n: int) -> tuple[Tokens, Mask]:
        live = jnp.minimum(n, jnp.sum(q > 0))
        _, top = jax.lax.top_k(q, min(n, q.shape[0]))
        top = jnp.pad(top, (0, n - top.shape[0]))
        kept = jnp.arange(n) < live - 1
        rest = q.at[jnp.where(kept, top, q.shape[0])].set(0, mode="drop")
        drawn = draw(rest, uniforms(key, (), q.dtype))
        return jnp.where(kept, top, drawn), jnp.arange(n) < live

"""The n most likely tokens."""

import jax
import jax.numpy as jnp

from specjax.drafting._base import Drafting, Law, Mask, RandomKey, Tokens, register


@register
class TopN(Drafting):
    """Takes the n most likely tokens of q, ties to the lowest index; nothing is drawn.

    Slots beyond the support of q are masked.

    Cost: one top_k.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from specjax import drafting
      >>> tokens, mask = drafting.TopN().sample(jax.random.key(0), jnp.array([0.0, 0.4, 0.6]), 3)
      >>> tokens[:2].tolist(), mask.tolist()
      ([2, 1], [True, True, False])
    """

    def sample(self, key: RandomKey, q: Law, n: int) -> tuple[Tokens, Mask]:
        values, tokens = jax.lax.top_k(q, min(n, q.shape[0]))
        missing = n - tokens.shape[0]
        return jnp.pad(tokens, (0, missing)), jnp.pad(values > 0, (0, missing))

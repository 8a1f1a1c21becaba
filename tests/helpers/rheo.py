"""The tree of RheoSampling, as a user's file: at every node the likeliest token, and one draw from
the rest.
"""

import jax
import jax.numpy as jnp

from specjax.numerics import draw, uniforms
from specjax.trees.growth._base import Level, register
from specjax.trees.growth._budget import Budget


@register
class Rheo(Budget):
    """Keeps the `nodes` nodes of largest priority, a product along the path.

    The likeliest token of a node has the factor b = q(best). The drawn token Y has min(b, 1 - b):
    whether it is kept does not depend on which it is.
    """

    scheme = "greedy"

    def expand(self, key, depth, state, q):
        words = uniforms(jax.random.fold_in(key, depth), (q.shape[0],), q.dtype)
        best = jnp.argmax(q, 1)
        likeliest = jnp.max(q, 1)
        rest = jax.vmap(lambda law, token: law.at[token].set(0))(q, best)
        drawn = jax.vmap(draw)(rest, words)
        chance = jnp.take_along_axis(q, drawn[:, None], 1)[:, 0]
        proxy = jnp.where(chance > 0, jnp.minimum(likeliest, 1 - likeliest), 0)
        factors = jnp.stack([likeliest, proxy], 1)
        priority = (state.log_mass[:, None] + jnp.log(factors)).reshape(-1)
        missing = max(0, self.width - priority.shape[0])
        priority = jnp.pad(priority, (0, missing), constant_values=-jnp.inf)
        kept, place = jax.lax.top_k(priority, self.width)
        parents = jnp.minimum(place // 2, q.shape[0] - 1).astype(jnp.int32)
        tokens = jnp.stack([best, drawn], 1)[parents, place % 2].astype(jnp.int32)
        return state.extended(kept, kept, parents), Level(parents, tokens, kept > -jnp.inf)

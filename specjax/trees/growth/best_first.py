"""The likeliest prefixes (EAGLE-2, OPT-Tree)."""

import jax
import jax.numpy as jnp

from specjax._types import LevelLaws, RandomKey
from specjax.numerics import top_tokens
from specjax.trees.growth._base import Level, register
from specjax.trees.growth._budget import Budget, State


@register
class BestFirst(Budget):
    """Takes the `nodes` likeliest prefixes under the draft model; nothing is drawn.

    The prefixes come from the `width` likeliest of each level. The tree is a function of the
    context. The drafts at a node are its likeliest tokens, the likeliest first, and the context
    decides how many there are.

    Cost: a top_k of a row of V for each grown node. Source: li2024eagle2; wang2025opttree.

    Example:
      >>> from specjax.trees import growth
      >>> tree = growth.BestFirst(nodes=6, width=4, depth=3)
      >>> tree.widths, tree.topology.nodes, tree.scheme
      ((1, 4, 4, 4), 6, 'top_n')
    """

    @property
    def scheme(self) -> str:
        """The scheme at every node."""
        return "top_n"

    def expand(self, key: RandomKey, depth: int, state: State, q: LevelLaws) -> tuple[State, Level]:
        """The likeliest continuations of the level; the key is not used."""
        each = min(self.width, q.shape[1])
        tokens = jax.vmap(lambda law: top_tokens(law, each))(q)
        log_q = jnp.minimum(jnp.log(jnp.take_along_axis(q, tokens, 1)), 0)
        masses = (state.log_mass[:, None] + log_q).reshape(-1)
        missing = max(0, self.width - masses.shape[0])
        masses = jnp.pad(masses, (0, missing), constant_values=-jnp.inf)
        log_mass, chosen = jax.lax.top_k(masses, self.width)
        parents = jnp.minimum(chosen // each, q.shape[0] - 1).astype(jnp.int32)
        token = tokens[parents, chosen % each].astype(jnp.int32)
        level = Level(parents, token, log_mass > -jnp.inf)
        return state.extended(log_mass, log_mass, parents), level

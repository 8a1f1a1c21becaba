"""The likeliest next draw first (DySpec)."""

import jax
from jaxtyping import Array

from specjax._types import LevelLaws, RandomKey
from specjax.trees.growth._base import SEQUENTIAL, Level, register
from specjax.trees.growth._budget import Budget, State
from specjax.trees.growth._draws import draw_by_priority


@register
class SampledBestFirst(Budget):
    """Draws without replacement, each time at the node of largest Q(node) (1 - q(its drafts)).

    This number is the chance that the draft model goes on there. It is known before the draw, and
    it falls from draw to draw and from node to child. The `nodes` draws of largest chance are
    therefore the tree that is grown one draw at a time. No level has more than `width` draws,
    although whole levels are drawn at once. A choice by the probability of the drawn token would
    not be lossless.

    Cost: one pass over a row of V for each grown node. Source: xiong2024dyspec.

    Example:
      >>> from specjax.trees import growth
      >>> tree = growth.SampledBestFirst(nodes=6, width=4, depth=3)
      >>> tree.topology.nodes, tree.scheme == growth.SEQUENTIAL
      (6, True)
    """

    @property
    def scheme(self) -> str:
        """The number of children of a node depends on the children, so the scheme is SEQUENTIAL."""
        return SEQUENTIAL

    def expand(self, key: RandomKey, depth: int, state: State, q: LevelLaws) -> tuple[State, Level]:
        """The draws of largest chance below the level."""

        def next_chance(draw: Array, node: Array, priority: Array, log_left: Array) -> Array:
            return state.log_mass[node] + log_left

        own_key = jax.random.fold_in(key, depth)
        drawn = draw_by_priority(own_key, q, state.log_mass, next_chance, self.width)
        log_mass = state.log_mass[drawn.parents] + drawn.log_q
        level = Level(drawn.parents, drawn.tokens, drawn.active)
        return state.extended(log_mass, drawn.priority, drawn.parents), level

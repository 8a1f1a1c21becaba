"""The likeliest next draw first (DySpec)."""

import jax
from jaxtyping import Array, Float

from specjax._types import RandomKey
from specjax.trees.growth._base import SEQUENTIAL, Level, register
from specjax.trees.growth._budget import Budget, State
from specjax.trees.growth._turns import take


@register
class SampledBestFirst(Budget):
    """Draws without replacement, each at the node of largest Q(node) (1 - q(its drafts)): the
    chance that the draft model goes on there.

    That chance is known before the draw, and falls from draw to draw and from node to child. So the
    `nodes` draws of largest chance are the tree that is grown one draw at a time, with no more than
    `width` in a level, although levels are drawn whole. Choosing by the probability of the drawn
    token would not be lossless. Cost: one pass over a row of V for each grown node. Source:
    xiong2024dyspec.
    """

    @property
    def scheme(self) -> str:
        """How many children a node has depends on which."""
        return SEQUENTIAL

    def expand(
        self,
        key: RandomKey,
        depth: int,
        state: State,
        q: Float[Array, "M V"],
    ) -> tuple[State, Level]:
        """The draws of largest chance below the level."""

        def after(
            turn: Array,
            node: Array,
            urgency: Array,
            log_left: Array,
        ) -> Array:
            return state.log_mass[node] + log_left

        turns = take(jax.random.fold_in(key, depth), q, state.log_mass, after, self.width)
        log_mass = state.log_mass[turns.parents] + turns.log_q
        return state.extended(log_mass, turns.urgency, turns.parents), Level(
            turns.parents, turns.tokens, turns.active
        )

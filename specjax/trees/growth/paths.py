"""Independent paths, merged where they share a prefix (SpecTr)."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from specjax._types import RandomKey
from specjax.numerics import draw, uniforms
from specjax.trees.growth._base import Grown, Level, TreeDrafting, blank, grown, register
from specjax.trees.topology import AnyArray, Topology


@register
class Paths(TreeDrafting):
    """`count` independent paths of `depth` tokens; those that share a prefix draw their next tokens
    at one node.

    Equal siblings stay as so many slots, and what follows any of them hangs under the first: given
    how many paths reach a node, its drafts are that many independent draws. Cost: one pass over a
    row of V for each node. Source: sun2023spectr.
    """

    count: int = dataclasses.field(metadata={"static": True})
    depth: int = dataclasses.field(metadata={"static": True})

    @property
    def scheme(self) -> str:
        """That of each node, given how many paths reach it."""
        return "iid"

    @property
    def widths(self) -> tuple[int, ...]:
        """One node for each path."""
        return (1,) + (self.count,) * self.depth

    @property
    def topology(self) -> Topology:
        """The sizes."""
        return blank(self.widths, self.count)

    def start(self) -> Int[Array, " K"]:
        """The place at which each path draws next."""
        return jnp.zeros(self.count, jnp.int32)

    def expand(
        self,
        key: RandomKey,
        depth: int,
        state: Int[Array, " K"],
        q: Float[Array, "M V"],
    ) -> tuple[Int[Array, " K"], Level]:
        """One token for each path."""
        words = uniforms(jax.random.fold_in(key, depth), (self.count,), q.dtype)
        tokens = jax.vmap(lambda place, u: draw(q[place], u))(state, words)
        same = (state[:, None] == state) & (tokens[:, None] == tokens)
        return jnp.argmax(same, 1).astype(jnp.int32), Level(
            state, tokens, jnp.ones(self.count, bool)
        )

    def finish(
        self, state: Int[Array, " K"], parents: Int[AnyArray, " N"], active: Bool[AnyArray, " N"]
    ) -> Grown:
        """All that was grown."""
        sizes = self.topology
        return Grown(grown(sizes, sizes.depth, parents, active), np.arange(sizes.nodes))

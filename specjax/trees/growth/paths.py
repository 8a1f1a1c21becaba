"""Independent paths, merged at the prefixes that they share (SpecTr)."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int

from specjax._types import LevelLaws, RandomKey
from specjax.numerics import draw, uniforms
from specjax.trees.growth._base import Grown, Level, TreeDrafting, blank, grown, register
from specjax.trees.topology import NodeFlags, NodeInts, Topology


@register
class Paths(TreeDrafting):
    """Draws `count` independent paths of `depth` tokens, and merges the prefixes that they share.

    Paths that share a prefix draw their next tokens at one node. Equal siblings stay as separate
    slots, and all that follows them hangs under the first. Given the number of paths that reach a
    node, its drafts are that many independent draws.

    Cost: one pass over a row of V for each node. Source: sun2023spectr.

    Example:
      >>> from specjax.trees import growth
      >>> tree = growth.Paths(count=2, depth=3)
      >>> tree.widths, tree.topology.nodes, tree.scheme
      ((1, 2, 2, 2), 7, 'iid')
    """

    count: int = dataclasses.field(metadata={"static": True})
    depth: int = dataclasses.field(metadata={"static": True})

    @property
    def scheme(self) -> str:
        """The scheme at each node, given how many paths reach it."""
        return "iid"

    @property
    def widths(self) -> tuple[int, ...]:
        """The number of nodes at each level: one for each path."""
        return (1,) + (self.count,) * self.depth

    @property
    def topology(self) -> Topology:
        """The sizes of the tree."""
        return blank(self.widths, self.count)

    def start(self) -> Int[Array, " K"]:
        """The place at which each path draws next."""
        return jnp.zeros(self.count, jnp.int32)

    def expand(
        self, key: RandomKey, depth: int, state: Int[Array, " K"], q: LevelLaws
    ) -> tuple[Int[Array, " K"], Level]:
        """One token for each path."""
        words = uniforms(jax.random.fold_in(key, depth), (self.count,), q.dtype)
        tokens = jax.vmap(lambda place, u: draw(q[place], u))(state, words)
        same = (state[:, None] == state) & (tokens[:, None] == tokens)
        level = Level(state, tokens, jnp.ones(self.count, bool))
        return jnp.argmax(same, 1).astype(jnp.int32), level

    def finish(self, state: Int[Array, " K"], parents: NodeInts, active: NodeFlags) -> Grown:
        """The tree of all nodes that were grown."""
        sizes = self.topology
        return Grown(grown(sizes, sizes.depth, parents, active), np.arange(sizes.nodes))

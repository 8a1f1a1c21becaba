"""Trees that are grown wide, of which the best nodes are verified."""

import dataclasses
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from specjax.trees.growth._base import Grown, blank, grown
from specjax.trees.topology import NO_NODE, ROOT, AnyArray, Topology


class State(NamedTuple):
    """The nodes of the level, and the worth of all nodes so far.

    Attributes:
      log_mass: [M], log of Q at the nodes of the level; -inf for a node that was not drawn.
      worth: [L], the worth of all nodes so far; -inf for a node that was not drawn.
    """

    log_mass: Float[Array, " M"]
    worth: Float[Array, " L"]

    def extended(
        self, log_mass: Float[Array, " W"], worth: Float[Array, " W"], parents: Int[Array, " W"]
    ) -> "State":
        """The state with one more level.

        No node is worth more than the node above it, in rounded numbers too.
        """
        width = self.log_mass.shape[0]
        above = self.worth[-width:][parents]
        before = self.worth.astype(worth.dtype)
        return State(log_mass, jnp.concatenate([before, jnp.minimum(worth, above)]))


@dataclasses.dataclass(frozen=True)
class Budget:
    """The `nodes` nodes of largest worth, the root included, out of a wider tree.

    The wider tree has `width` nodes at every level and is `depth` deep.

    Raises:
      ValueError: the wider tree has fewer nodes.
    """

    nodes: int = dataclasses.field(metadata={"static": True})
    width: int = dataclasses.field(metadata={"static": True})
    depth: int = dataclasses.field(metadata={"static": True})

    def __post_init__(self) -> None:
        most = 1 + self.width * self.depth
        if not 1 < self.nodes <= most:
            raise ValueError(
                f"nodes: expected from 2 to 1 + width * depth = {most}, got {self.nodes}"
            )

    @property
    def widths(self) -> tuple[int, ...]:
        """The number of nodes grown at each level."""
        return (1,) + (self.width,) * self.depth

    @property
    def topology(self) -> Topology:
        """The sizes of the tree; the nodes of a level are known only once the tree is grown."""
        sizes = blank((1, self.nodes - 1), min(self.width, self.nodes - 1))
        return dataclasses.replace(sizes, levels=(0, 1) + (self.nodes,) * self.depth)

    def start(self) -> State:
        """The root, worth more than anything below it."""
        return State(jnp.zeros(1), jnp.full(1, jnp.inf))

    def finish(
        self, state: State, parents: Int[AnyArray, " L"], active: Bool[AnyArray, " L"]
    ) -> Grown:
        """The best nodes, in level order.

        Of equal nodes the first is kept, so that no node is kept without the node above it.
        """
        places = jnp.sort(jax.lax.top_k(state.worth, self.nodes)[1])
        depth = jnp.asarray(blank(self.widths, self.width).depth)[places]
        drawn = active[places]
        kept_parents = jnp.searchsorted(places, parents[places])
        above = jnp.where(drawn, kept_parents, ROOT).at[ROOT].set(NO_NODE)
        tree = grown(self.topology, depth, above.astype(jnp.int32), drawn)
        return Grown(tree, places)

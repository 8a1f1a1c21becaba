"""Trees that are grown wide, and of which the best nodes are verified."""

import dataclasses
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from specjax.trees.growth._base import Grown, blank, grown
from specjax.trees.topology import NO_NODE, ROOT, AnyArray, Topology


class State(NamedTuple):
    """log of Q at the nodes of the level [M], and the worth of all nodes so far [L]; -inf where
    nothing was drawn.
    """

    log_mass: Float[Array, " M"]
    worth: Float[Array, " L"]

    def extended(
        self, log_mass: Float[Array, " W"], worth: Float[Array, " W"], parents: Int[Array, " W"]
    ) -> "State":
        """With a level more. No node is worth more than the one above it, in rounded numbers
        too.
        """
        above = self.worth[-self.log_mass.shape[0] :][parents]
        return State(
            log_mass, jnp.concatenate([self.worth.astype(worth.dtype), jnp.minimum(worth, above)])
        )


@dataclasses.dataclass(frozen=True)
class Budget:
    """The `nodes` nodes of largest worth, the root included, in a tree `width` wide at every level
    and `depth` deep.

    Raises:
      ValueError: there are fewer nodes to choose from.
    """

    nodes: int = dataclasses.field(metadata={"static": True})
    width: int = dataclasses.field(metadata={"static": True})
    depth: int = dataclasses.field(metadata={"static": True})

    def __post_init__(self) -> None:
        if not 1 < self.nodes <= 1 + self.width * self.depth:
            raise ValueError(
                f"nodes: expected from 2 to 1 + width * depth = {1 + self.width * self.depth}, got "
                f"{self.nodes}"
            )

    @property
    def widths(self) -> tuple[int, ...]:
        """As wide at every level."""
        return (1,) + (self.width,) * self.depth

    @property
    def topology(self) -> Topology:
        """The sizes; which nodes make up a level is known only when the tree is."""
        sizes = blank((1, self.nodes - 1), min(self.width, self.nodes - 1))
        return dataclasses.replace(sizes, levels=(0, 1) + (self.nodes,) * self.depth)

    def start(self) -> State:
        """The root, worth more than anything below it."""
        return State(jnp.zeros(1), jnp.full(1, jnp.inf))

    def finish(
        self, state: State, parents: Int[AnyArray, " L"], active: Bool[AnyArray, " L"]
    ) -> Grown:
        """The best nodes, in level order; of equals the first, so that no node is kept without the
        one above it.
        """
        places = jnp.sort(jax.lax.top_k(state.worth, self.nodes)[1])
        depth = jnp.asarray(blank(self.widths, self.width).depth)[places]
        above = (
            jnp.where(active[places], jnp.searchsorted(places, parents[places]), ROOT)
            .at[ROOT]
            .set(NO_NODE)
        )
        return Grown(grown(self.topology, depth, above.astype(jnp.int32), active[places]), places)

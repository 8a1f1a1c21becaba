"""Trees whose shape is fixed before anything is drawn."""

import dataclasses
from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool

from specjax import drafting
from specjax._types import LevelLaws, RandomKey
from specjax.trees.growth._base import Grown, Level
from specjax.trees.topology import NodeFlags, NodeInts, Topology


@dataclasses.dataclass(frozen=True)
class Fixed:
    """Draws the children of every node of `topology` from the law there, by one drafting scheme.

    Cost: that of the scheme at each node.
    """

    topology: Topology
    scheme: str
    name: ClassVar[str] = "fixed"

    @property
    def widths(self) -> tuple[int, ...]:
        """The number of nodes at each level."""
        return tuple(np.diff(self.topology.levels).tolist())

    def start(self) -> Bool[Array, " 1"]:
        """Which nodes of the level were drawn."""
        return jnp.ones(1, bool)

    def expand(
        self, key: RandomKey, depth: int, state: Bool[Array, " M"], q: LevelLaws
    ) -> tuple[Bool[Array, " L"], Level]:
        """The children of a level.

        Nodes with equally many children draw together, each by its own key.
        """
        first, end, last = self.topology.levels[depth : depth + 3]
        children = np.asarray(self.topology.children)[first:end]
        arity = (children >= 0).sum(1)
        sample = drafting.get(self.scheme)().sample
        tokens = jnp.zeros(last - end, jnp.int32)
        active = jnp.zeros(last - end, bool)
        for n in sorted(set(arity[arity > 0].tolist())):
            rows = np.flatnonzero(arity == n)
            keys = jax.vmap(jax.random.fold_in, (None, 0))(key, first + rows)
            drawn, live = jax.vmap(lambda key, q, n=n: sample(key, q, n))(keys, q[rows])
            places = children[rows, :n] - end
            tokens = tokens.at[places].set(drawn.astype(jnp.int32))
            active = active.at[places].set(live & state[rows][:, None])
        parents = np.asarray(self.topology.parents)[end:last] - first
        return active, Level(parents, tokens, active)

    def finish(self, state: Bool[Array, " L"], parents: NodeInts, active: NodeFlags) -> Grown:
        """The fixed tree; nodes that were not drawn keep their places."""
        tree = dataclasses.replace(self.topology, active=active)
        return Grown(tree, np.arange(self.topology.nodes))

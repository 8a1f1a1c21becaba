"""The drawn tree and the verdict on it.

Drafters hand a `Draft` to verifiers, and verifiers hand a `Verdict` to the decoding loop.
"""

import dataclasses
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Float, Int

from specjax._types import DepthInts, Index, NodeLaws, PerNode
from specjax.trees.topology import ROOT, Topology


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Draft:
    """A drawn tree: one object, so that the q that is verified is the q that was sampled.

    Attributes:
      topology: the tree; `active` marks the nodes that were drawn.
      tokens: [N], row 0 is the last committed token.
      q: [N, V], the law from which the children of node i were drawn (`independent`: [N, n, V]).
      scheme: name of the drafting scheme, static.
      evidence: [N, d], the target's hidden state after each node; None where it was not read.
    """

    topology: Topology
    tokens: Int[Array, " N"]
    q: Float[Array, "N ..."]
    scheme: str = dataclasses.field(metadata={"static": True})
    evidence: Float[Array, "N d"] | None = None

    def reach(self, p: NodeLaws) -> PerNode:
        """P(v) of each node: the target's probability of the path to it.

        If the tree hangs on no draw, the sum over all nodes but the root is the most drafts that a
        lossless verifier accepts on average.

        Args:
          p: [N, V], the target law of what follows each node.

        Returns:
          [N], 1 at the root and 0 at nodes that were not drawn.

        Cost: N for each doubling of the depth.

        Example:
          >>> import jax.numpy as jnp
          >>> from specjax import trees
          >>> p = jnp.array([[0.75, 0.25], [0.5, 0.5], [0.5, 0.5]])
          >>> trees.Draft(trees.chain(2), jnp.array([0, 1, 0]), p, "top_n").reach(p).tolist()
          [1.0, 0.25, 0.125]
        """
        nodes = jnp.arange(self.topology.nodes)
        up = jnp.where(nodes == ROOT, ROOT, self.topology.parents)
        step = jnp.where(self.topology.active, p[up, self.tokens], 0)
        reach = jnp.where(nodes == ROOT, 1, step)
        for _ in range(self.topology.height.bit_length()):
            reach = reach * reach[up]
            up = up[up]
        return reach


class Verdict(NamedTuple):
    """What a walk emitted.

    Attributes:
      tokens: [D + 1], the accepted drafts, then one token of the target; rows from `length` on are
        0.
      length: number of emitted tokens, from 1 to D + 1; 0 only for a text that is done.
      path: [D + 1], the visited nodes: ROOT, then the accepted nodes; NO_NODE from `length` on.
    """

    tokens: DepthInts
    length: Index
    path: DepthInts

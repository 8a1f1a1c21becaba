"""The drawn tree and the verdict on it.

Drafters hand a `Draft` to verifiers, and verifiers hand a `Verdict` to the decoding loop.
"""

import dataclasses
from typing import NamedTuple

import jax
from jax import Array
from jaxtyping import Float, Int

from specjax._types import DepthInts, Index
from specjax.trees.topology import Topology


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Draft:
    """A drawn tree: one object, so that the q that is verified is the q that was sampled.

    Attributes:
      topology: the tree; `active` marks the nodes that were drawn.
      tokens: [N], row 0 is the last committed token.
      q: [N, V], the law from which the children of node i were drawn (`independent`: [N, n, V]).
      scheme: name of the drafting scheme, static.
    """

    topology: Topology
    tokens: Int[Array, " N"]
    q: Float[Array, "N ..."]
    scheme: str = dataclasses.field(metadata={"static": True})


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

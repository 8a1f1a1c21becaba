"""What a tree that is grown while drafting is, and how its levels become a `Topology`."""

import dataclasses
from abc import abstractmethod
from typing import ClassVar, NamedTuple, Protocol, runtime_checkable

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, PyTree

from specjax._registry import register
from specjax._types import RandomKey
from specjax.trees.topology import NO_NODE, ROOT, AnyArray, Topology

# Children drawn without replacement, one after the other, for as long as the rest of the tree
# leaves room. Whether there is a next one is settled before it is drawn; but how many there are
# tells something of which they are.
SEQUENTIAL = "stopped"


class Level(NamedTuple):
    """The nodes of one level, siblings in the order in which they were drawn.

    Attributes:
      parents: [M], the place in the level above that each hangs under.
      tokens: [M].
      active: [M], which of them were drawn.
    """

    parents: Int[AnyArray, " M"]
    tokens: Int[Array, " M"]
    active: Bool[Array, " M"]


class Grown(NamedTuple):
    """The tree to verify, and for each of its nodes [N] the place in which it was grown: root,
    first level, second level, ...
    """

    topology: Topology
    places: Int[AnyArray, " N"]


@runtime_checkable
class TreeDrafting(Protocol):
    """Grows a draft tree, hashable by value: the draft model scores a level, and the scheme draws
    the next from the laws there.

    Attributes:
      name: of its file.
      scheme: how the drafts at one node are drawn, given their number: a drafting scheme, or
        `SEQUENTIAL`.
      widths: nodes grown at each level, the root's 1 first.
      topology: the sizes of the tree to verify, N at most the sum of the widths; `arities` are all
        that may occur.
    """

    name: ClassVar[str] = ""

    @property
    @abstractmethod
    def scheme(self) -> str: ...

    @property
    @abstractmethod
    def widths(self) -> tuple[int, ...]: ...

    @property
    @abstractmethod
    def topology(self) -> Topology: ...

    @abstractmethod
    def start(self) -> PyTree:
        """What is known at the root."""
        ...

    @abstractmethod
    def expand(
        self,
        key: RandomKey,
        depth: int,
        state: PyTree,
        q: Float[Array, "M V"],
    ) -> tuple[PyTree, Level]:
        """The level below the nodes of `depth`, whose laws q are; the key is the same at every
        depth, and is folded by position.
        """
        ...

    @abstractmethod
    def finish(
        self, state: PyTree, parents: Int[AnyArray, " M"], active: Bool[AnyArray, " M"]
    ) -> Grown:
        """The tree to verify, from the node above each grown node and which were drawn."""
        ...


def blank(widths: tuple[int, ...], arity: int) -> Topology:
    """The sizes of a tree with so many nodes at each level, and at most `arity` children at a node,
    before anything hangs anywhere.
    """
    levels = (0, *np.cumsum(widths).tolist())
    nodes = levels[-1]
    return Topology(
        parents=np.where(np.arange(nodes) == ROOT, NO_NODE, ROOT).astype(np.int32),
        depth=np.repeat(np.arange(len(widths)), widths).astype(np.int32),
        children=np.full((nodes, arity), NO_NODE, np.int32),
        active=np.ones(nodes, bool),
        levels=levels,
        arities=tuple(range(arity + 1)),
    )


def grown(
    sizes: Topology,
    depth: Int[AnyArray, " N"],
    parents: Int[AnyArray, " N"],
    active: Bool[AnyArray, " N"],
) -> Topology:
    """The tree of these sizes in which node i hangs under parents[i], where it was drawn. Cost: N^2
    comparisons.
    """
    nodes = jnp.arange(sizes.nodes)
    hangs = active & (nodes != ROOT)
    elder = (parents[:, None] == parents) & hangs & (nodes < nodes[:, None])
    above = jnp.where(hangs, parents, sizes.nodes)  # beyond the end: dropped
    children = (
        jnp.asarray(sizes.children)
        .at[above, jnp.sum(elder, 1)]
        .set(nodes.astype(jnp.int32), mode="drop")
    )
    return dataclasses.replace(
        sizes, parents=parents, depth=depth, children=children, active=active
    )


__all__ = ["SEQUENTIAL", "Grown", "Level", "TreeDrafting", "blank", "grown", "register"]

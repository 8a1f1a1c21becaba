"""What a tree scheme is, and how the levels that it grows become a `Topology`."""

import dataclasses
from abc import abstractmethod
from typing import ClassVar, NamedTuple, Protocol, runtime_checkable

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Int, PyTree

from specjax._registry import register
from specjax._types import LevelLaws, RandomKey
from specjax.trees.topology import NO_NODE, ROOT, AnyArray, NodeFlags, NodeInts, Topology

# Children drawn without replacement, one after the other, for as long as the rest of the tree
# leaves room. Whether there is a next one is settled before it is drawn; but how many there are
# tells something of which they are.
SEQUENTIAL = "sequential"


class Level(NamedTuple):
    """The nodes of one level, siblings in the order in which they were drawn.

    Attributes:
      parents: [M], the place in the level above under which each node hangs.
      tokens: [M], the tokens of the nodes.
      active: [M], which nodes were drawn.
    """

    parents: Int[AnyArray, " M"]
    tokens: Int[Array, " M"]
    active: Bool[Array, " M"]


class Grown(NamedTuple):
    """The tree to verify, and the place in which each of its nodes was grown.

    Attributes:
      topology: the tree of N nodes.
      places: [N], the place of each node among all grown nodes: root, first level, second level,
        ...
    """

    topology: Topology
    places: NodeInts


@runtime_checkable
class TreeDrafting(Protocol):
    """A scheme that grows a draft tree; it is hashable by value.

    The draft model scores a level, and the scheme draws the next level from the laws there.

    Attributes:
      name: the name of its file.
      scheme: how the drafts at one node are drawn, given their number: a drafting scheme, or
        `SEQUENTIAL`.
      widths: the number of nodes grown at each level; the root's 1 is the first.
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
        """The state at the root."""
        ...

    @abstractmethod
    def expand(
        self, key: RandomKey, depth: int, state: PyTree, q: LevelLaws
    ) -> tuple[PyTree, Level]:
        """The state after, and the level below, the nodes of `depth`, whose laws are q.

        The key is the same at every depth; the scheme folds the position in.
        """
        ...

    @abstractmethod
    def finish(
        self, state: PyTree, parents: Int[AnyArray, " M"], active: Bool[AnyArray, " M"]
    ) -> Grown:
        """The tree to verify.

        `parents` is the node above each grown node, and `active` marks the nodes that were drawn.
        """
        ...


def blank(widths: tuple[int, ...], arity: int) -> Topology:
    """The sizes of a tree, before any node hangs anywhere.

    Args:
      widths: the number of nodes at each level; the root's 1 is the first.
      arity: the largest number of children of a node.

    Returns:
      A topology of these sizes without children.

    Example:
      >>> from specjax.trees import growth
      >>> growth.blank((1, 2, 2), 2).levels
      (0, 1, 3, 5)
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


def grown(sizes: Topology, depth: NodeInts, parents: NodeInts, active: NodeFlags) -> Topology:
    """The tree in which each drawn node i hangs under parents[i].

    Args:
      sizes: the sizes of the tree, as `blank` makes them.
      depth: [N], the depth of each node.
      parents: [N], the parent of each node.
      active: [N], which nodes were drawn.

    Returns:
      The tree of these sizes.

    Cost: N^2 comparisons.
    """
    nodes = jnp.arange(sizes.nodes)
    hangs = active & (nodes != ROOT)
    elder = (parents[:, None] == parents) & hangs & (nodes < nodes[:, None])
    above = jnp.where(hangs, parents, sizes.nodes)  # beyond the end: dropped
    slots = jnp.sum(elder, 1)
    empty = jnp.asarray(sizes.children)
    children = empty.at[above, slots].set(nodes.astype(jnp.int32), mode="drop")
    return dataclasses.replace(
        sizes,
        parents=parents,
        depth=depth,
        children=children,
        active=active,
    )


__all__ = ["SEQUENTIAL", "Grown", "Level", "TreeDrafting", "blank", "grown", "register"]

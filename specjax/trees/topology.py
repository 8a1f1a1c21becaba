"""The shape of a draft tree as arrays: constants from builders, or traced arrays alike."""

import dataclasses
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Bool, Int

AnyArray = Array | np.ndarray
NodeInts = Int[AnyArray, " N"]
NodeFlags = Bool[AnyArray, " N"]

ROOT = 0
NO_NODE = -1


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, eq=False)
class Topology:
    """A tree of N nodes in level order: node 0 is the last committed token, the others are drafts.

    Attributes:
      parents: [N], parents[0] = NO_NODE.
      depth: [N], depth[0] = 0.
      children: [N, W], padded with NO_NODE.
      active: [N], false at nodes that were never drawn.
      levels: static, first node of each level and N at the end; D = len(levels) - 2. If only the
        drafts settle where a level begins, the entry is the last node at which it may begin.
      arities: static, the numbers of children that may occur, ascending.

    Example:
      >>> from specjax import trees
      >>> tree = trees.full(2, 2)
      >>> tree.nodes, tree.width, tree.height, tree.parents.tolist()
      (7, 2, 2, [-1, 0, 0, 1, 1, 2, 2])
    """

    parents: NodeInts
    depth: NodeInts
    children: Int[AnyArray, "N W"]
    active: NodeFlags
    levels: tuple[int, ...] = dataclasses.field(metadata={"static": True})
    arities: tuple[int, ...] = dataclasses.field(metadata={"static": True})

    @property
    def nodes(self) -> int:
        """N, the root included."""
        return self.parents.shape[0]

    @property
    def width(self) -> int:
        """W, the largest number of children of a node."""
        return self.children.shape[1]

    @property
    def height(self) -> int:
        """D, the depth of the deepest node."""
        return len(self.levels) - 2

    def ancestors(self) -> Bool[Array, "N N"]:
        """The matrix that is true at [i, j] if j is i or lies on the path to i from its root.

        Cost: N^2 bits for each doubling of the depth.
        """
        reach = jnp.eye(self.nodes, dtype=bool)
        up = jnp.where(self.parents == NO_NODE, jnp.arange(self.nodes), self.parents)
        for _ in range(self.height.bit_length()):
            reach = reach | reach[up]
            up = up[up]
        return reach

    def __hash__(self) -> int:
        return hash((np.asarray(self.parents).tobytes(), self.levels))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Topology):
            return NotImplemented
        return (
            self.levels == other.levels
            and np.array_equal(self.parents, other.parents)
            and np.array_equal(self.active, other.active)
        )


def from_parents(parents: list[int]) -> Topology:
    """The tree in which node i hangs under parents[i].

    Args:
      parents: parents[0] = NO_NODE, then the parent of each node, in level order.

    Returns:
      The tree, all of its nodes active.

    Raises:
      ValueError: the list is not a tree in level order.

    Example:
      >>> from specjax import trees
      >>> trees.from_parents([-1, 0, 0, 1]).children.tolist()
      [[1, 2], [3, -1], [-1, -1], [-1, -1]]
    """
    if (
        not parents
        or parents[0] != NO_NODE
        or any(not 0 <= p < i for i, p in enumerate(parents) if i)
    ):
        raise ValueError(
            f"parents: expected [-1, ...] with every parent before its child, got {parents}"
        )
    depth = np.zeros(len(parents), np.int32)
    kids: list[list[int]] = [[] for _ in parents]
    for i, p in enumerate(parents[1:], 1):
        depth[i] = depth[p] + 1
        kids[p].append(i)
    if np.any(np.diff(depth) < 0):
        raise ValueError(f"parents: expected nodes in level order, got {parents}")
    width = max(1, max(map(len, kids)))
    children = np.array([k + [NO_NODE] * (width - len(k)) for k in kids], np.int32)
    levels = (*np.searchsorted(depth, np.arange(depth[-1] + 1)).tolist(), len(parents))
    arities = tuple(sorted({len(k) for k in kids}))
    return Topology(
        np.array(parents, np.int32), depth, children, np.ones(len(parents), bool), levels, arities
    )


def full(*branching: int) -> Topology:
    """The tree in which every node at depth d has branching[d] children.

    Args:
      branching: the number of children at each depth, each at least 1.

    Returns:
      The tree.

    Raises:
      ValueError: a branching number is below 1.

    Example:
      >>> from specjax import trees
      >>> trees.full(2, 2).nodes
      7
    """
    if any(b < 1 for b in branching):
        raise ValueError(f"branching: expected numbers >= 1, got {branching}")
    parents = [NO_NODE]
    level = [0]
    for b in branching:
        first = len(parents)
        parents += [node for node in level for _ in range(b)]
        level = list(range(first, len(parents)))
    return from_parents(parents)


def chain(depth: int) -> Topology:
    """One path of drafts.

    Args:
      depth: the number of drafts; 0 gives the root alone.

    Returns:
      The tree.

    Example:
      >>> from specjax import trees
      >>> trees.chain(3).parents.tolist()
      [-1, 0, 1, 2]
    """
    return full(*[1] * depth)


def star(n: int) -> Topology:
    """Several drafts at one node.

    Args:
      n: the number of drafts, at least 1.

    Returns:
      The tree.

    Raises:
      ValueError: n is below 1.

    Example:
      >>> from specjax import trees
      >>> trees.star(3).parents.tolist()
      [-1, 0, 0, 0]
    """
    return full(n)


def delayed(stem: int, branches: int, length: int) -> Topology:
    """One path that splits at its end: a stem of single drafts, then branches of equal length.

    Args:
      stem: the number of drafts before the split, at least 1.
      branches: the number of drafts at the node that ends the stem, at least 1.
      length: the number of drafts on each branch, at least 1.

    Returns:
      The tree of 1 + stem + branches * length nodes.

    Raises:
      ValueError: a number is below 1.

    Source: thomas2026delayed.

    Example:
      >>> from specjax import trees
      >>> trees.delayed(1, 2, 2).parents.tolist()
      [-1, 0, 1, 1, 2, 3]
    """
    sizes = (stem, branches, length)
    if min(sizes) < 1:
        raise ValueError(f"stem, branches, length: expected numbers >= 1, got {sizes}")
    return full(*[1] * stem, branches, *[1] * (length - 1))


def branching(*counts: int) -> Topology:
    """The tree in which node i has counts[i] children.

    Args:
      counts: the number of children of each node, in level order; nodes beyond the list have none.

    Returns:
      The tree.

    Raises:
      ValueError: a count is below 0, or stands for a node that is not there.

    Example:
      >>> from specjax import trees
      >>> trees.branching(2, 1).parents.tolist()
      [-1, 0, 0, 1]
    """
    parents = [NO_NODE]
    for node, count in enumerate(counts):
        if count < 0 or node >= len(parents):
            raise ValueError(
                f"branching: expected counts >= 0 of nodes that are there, got {count} at node "
                f"{node} of {len(parents)}"
            )
        parents += [node] * count
    return from_parents(parents)


def parse(text: str) -> Topology:
    """The tree of a name.

    The forms are `chain:D`, `star:N`, `full:b1,b2,..`, `delayed:S,K,L` and `branching:c0,c1,..`.

    Args:
      text: a name of one of these forms; `none` is the tree without drafts.

    Returns:
      The tree.

    Raises:
      ValueError: the text has none of these forms.

    Example:
      >>> from specjax import trees
      >>> trees.parse("full:2,2") == trees.full(2, 2)
      True
    """
    if text == "none":
        return chain(0)
    kind, _, numbers = text.partition(":")
    builders: dict[str, tuple[Callable[..., Topology], int | None, int]] = {
        "chain": (chain, 1, 1),
        "star": (star, 1, 1),
        "full": (full, None, 1),
        "delayed": (delayed, 3, 1),
        "branching": (branching, None, 0),
    }
    try:
        build, arity, least = builders[kind]
        sizes = [int(s) for s in numbers.split(",")]
        if arity not in (None, len(sizes)) or min(sizes) < least or sizes[0] < 1:
            raise ValueError
    except (KeyError, ValueError):
        expected = (
            "none, chain:D, star:N, full:b1,b2,.. or delayed:S,K,L with numbers >= 1, or "
            "branching:c0,c1,.. with children in level order"
        )
        raise ValueError(f"tree: expected {expected}, got {text!r}") from None
    return build(*sizes)

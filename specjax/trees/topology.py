"""The shape of a draft tree as arrays: constants from builders, or traced arrays of the same
shapes.
"""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Bool, Int

AnyArray = Array | np.ndarray

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
      levels: static, first node of each level and N at the end; D = len(levels) - 2. Where only the
        drafts settle that, the last node at which each level may begin.
      arities: static, the numbers of children that may occur, ascending.
    """

    parents: Int[AnyArray, " N"]
    depth: Int[AnyArray, " N"]
    children: Int[AnyArray, "N W"]
    active: Bool[AnyArray, " N"]
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
        """[i, j] is true where j lies on the path from the root to i, i itself included."""
        reach = jnp.eye(self.nodes, dtype=bool)
        up = jnp.maximum(self.parents, ROOT)
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
    """The tree in which node i hangs under parents[i]; parents[0] = NO_NODE, nodes in level order.

    Raises:
      ValueError: the list is not a tree in level order.
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
    """Every node at depth d has branching[d] children: full(2, 2) is the binary tree of depth 2.

    Raises:
      ValueError: a branching number is below 1.
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
    """One path of `depth` drafts; chain(0) is the root alone."""
    return full(*[1] * depth)


def star(n: int) -> Topology:
    """n drafts at one node."""
    return full(n)


def branching(*counts: int) -> Topology:
    """Node i, in level order, has counts[i] children; those beyond the list have none: branching(2,
    1) is a root with 2 children, 1 below.

    Raises:
      ValueError: a count is below 0, or stands where there is no node.
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
    """The tree named by `chain:D`, `star:N`, `full:b1,b2,...` or `branching:c0,c1,...`.

    Raises:
      ValueError: the text is none of these.
    """
    kind, _, numbers = text.partition(":")
    builders = {
        "chain": (chain, 1, 1),
        "star": (star, 1, 1),
        "full": (full, None, 1),
        "branching": (branching, None, 0),
    }
    try:
        build, arity, least = builders[kind]
        sizes = [int(s) for s in numbers.split(",")]
        if arity not in (None, len(sizes)) or min(sizes) < least or sizes[0] < 1:
            raise ValueError
    except (KeyError, ValueError):
        expected = (
            "chain:D, star:N or full:b1,b2,.. with numbers >= 1, or branching:c0,c1,.. with "
            "children in level order"
        )
        raise ValueError(f"tree: expected {expected}, got {text!r}") from None
    return build(*sizes)

"""How contexts are numbered, and what a tree's list of parents says.

A context is what was drafted since the root. Contexts are numbered level by level: the empty one is
0, and token y after context s is s V + 1 + y.
"""

from collections.abc import Sequence

from theory._arrays import Law

ROOT = 0
ABSENT = -1


def contexts_within(vocabulary: int, depth: int) -> int:
    """1 + V + .. + V^depth.

    Args:
      vocabulary: V.
      depth: the most tokens of a context; below 0 there is none.

    Returns:
      The number of contexts of at most `depth` tokens.
    """
    return sum(vocabulary**d for d in range(depth + 1))


def levels(table: Law) -> list[slice]:
    """The rows of a table that hold the contexts of 0, 1, .., D tokens.

    Args:
      table: [S, V].

    Returns:
      D + 1 slices.
    """
    rows, vocabulary = table.shape
    found = [slice(0, 1)]
    while found[-1].stop < rows:
        start = found[-1].stop
        width = vocabulary ** len(found)
        found.append(slice(start, start + width))
    return found


def children(parents: Sequence[int]) -> list[list[int]]:
    """The nodes below each node, in the order of their slots.

    Args:
      parents: the node above each node; parents[0] = -1.

    Returns:
      One list for each node.
    """
    found: list[list[int]] = [[] for _ in parents]
    for node, parent in enumerate(parents[1:], 1):
        found[parent].append(node)
    return found


def depths(parents: Sequence[int]) -> list[int]:
    """The depth of each node.

    Args:
      parents: the node above each node, in level order; parents[0] = -1.

    Returns:
      One depth for each node, ascending.

    Raises:
      ValueError: parents is no tree in level order.
    """
    is_tree = len(parents) > 0 and parents[0] == ABSENT
    found = [0]
    for node, parent in enumerate(parents[1:], 1):
        is_tree = is_tree and 0 <= parent < node
        if is_tree:
            found.append(found[parent] + 1)
    if not is_tree:
        raise ValueError(
            f"parents: expected [-1, ...] with every parent before its child, got {list(parents)}"
        )
    if found != sorted(found):
        raise ValueError(f"parents: expected nodes in level order, got {list(parents)}")
    return found

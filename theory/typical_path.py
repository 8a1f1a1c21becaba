"""Medusa's choice of a path: the longest prefix of typical tokens, then the likeliest token."""

from itertools import pairwise
from typing import NamedTuple

import numpy as np

from theory import lossy
from theory._arrays import Law
from theory.trees import ROOT, Tree


class Prefix(NamedTuple):
    """What a path is worth: the largest is kept.

    Attributes:
      length: how many of its first tokens are typical after those before.
      chance: the target's probability of these tokens.
      first: minus the node where they end; of equal ones the first is kept.
    """

    length: int
    chance: float
    first: int


def typical_path(tree: Tree, cap: float = 0.3, scale: float = 0.09) -> Law:
    """Keeps the path with the longest typical prefix, of equals the likeliest.

    Then the target's likeliest token follows. Nothing is drawn at random. Source: cai2024medusa,
    typical acceptance with the released defaults.

    Args:
      tree: one drawn tree of N nodes.
      cap: as in `lossy.typical`.
      scale: as in `lossy.typical`.

    Returns:
      The law [N, V], a one at the end of the kept prefix and the token after it.

    Example:
      >>> from theory import trees, typical_path
      >>> problem = trees.everywhere((-1, 0, 0), [0.5, 0.3, 0.2], [0.2, 0.3, 0.5], "top_n")
      >>> drawn = trees.drawn(problem)
      >>> drawn.tokens.tolist()
      [[0, 2, 1]]
      >>> drawn.laws(typical_path.typical_path)[0].argmax(axis=0).tolist()
      [2, 0, 0]
    """
    best = max(_prefix(tree, path, cap, scale) for path in _paths(tree, ROOT))
    end = -best.first
    law = np.zeros_like(tree.p)
    law[end, tree.p[end].argmax()] = 1.0
    return law


def _paths(tree: Tree, node: int) -> list[list[int]]:
    """The paths of drafts from a node to each leaf below it."""
    below = [int(child) for child in tree.below(node)]
    longer = [path for child in below for path in _paths(tree, child)]
    return [[node, *path] for path in longer] or [[node]]


def _prefix(tree: Tree, path: list[int], cap: float, scale: float) -> Prefix:
    """The longest prefix of a path, all of its tokens typical."""
    length = 0
    chance = 1.0
    for above, node in pairwise(path):
        token = tree.tokens[node]
        if not lossy.typical(tree.p[above], cap, scale)[token]:
            break
        length += 1
        chance *= float(tree.p[above, token])
    return Prefix(length, chance, -path[length])

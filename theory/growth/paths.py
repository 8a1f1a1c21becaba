"""Independent paths, merged if they share a prefix."""

import itertools
from collections.abc import Iterator

import numpy as np
from numpy.typing import ArrayLike

from theory.growth._base import Placed, World, collect, world
from theory.trees import ROOT, Drawn, levels


def drawn(target: ArrayLike, draft: ArrayLike, count: int, depth: int) -> Drawn:
    """`count` independent paths of `depth` tokens, merged by prefix.

    Paths that share a prefix draw their next tokens at one node, as so many slots. Slot j of level
    d is the d-th token of path j. Slots with one parent and one token are all siblings. What
    follows any of them hangs under the first. Given how many paths reach a node, its drafts are
    that many independent draws from the draft law there.

    Cost: O(V^(count depth)) trees. Source: sun2023spectr.

    Args:
      target: [S, V], the target law after each context.
      draft: [S, V], the draft law after each context.
      count: number of paths, at least 1.
      depth: tokens of each path, at least 1.

    Returns:
      The trees of 1 + count depth nodes, under scheme `iid`.

    Raises:
      ValueError: a table is no table of laws or has too few rows, or there are too many trees.
    """
    known = world(target, draft, depth)
    return collect(known, _trees(known, count, depth), "iid")


def _trees(world: World, count: int, depth: int) -> Iterator[tuple[list[Placed], float]]:
    ends = world.level(depth).tolist()
    for paths in itertools.product(ends, repeat=count):
        mass = np.prod(world.mass[list(paths)])
        yield _nodes(world, paths, depth), float(mass)


def _nodes(world: World, paths: tuple[int, ...], depth: int) -> list[Placed]:
    nodes: list[Placed] = []
    above = [ROOT] * len(paths)
    for level in levels(world.draft)[1 : depth + 1]:
        prefixes = [_cut(world, path, level.stop) for path in paths]
        first = 1 + len(nodes)
        nodes += zip(above, prefixes, strict=True)
        above = [first + prefixes.index(prefix) for prefix in prefixes]
    return nodes


def _cut(world: World, context: int, stop: int) -> int:
    """The prefix that lies before row `stop`."""
    while context >= stop:
        context = world.above(context)
    return context

"""Independent paths, merged where they share a prefix."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np
from numpy.typing import ArrayLike

from theory.growth._base import Placed, World, collect, world
from theory.trees import ROOT, Drawn, levels


def drawn(
    target: ArrayLike,
    draft: ArrayLike,
    count: int,
    depth: int,
) -> Drawn:
    """`count` independent paths of `depth` tokens; those that share a prefix draw their next tokens
    at one node, as so many slots.

    Slot j of level d is the d-th token of path j. Of slots with one parent and one token all are
    siblings, and what follows any of them hangs under the first. Given how many paths reach a node,
    its drafts are that many independent draws from the draft law there. Cost: O(V^(count depth))
    trees. Source: sun2023spectr.
    """
    known = world(target, draft, depth)
    ends = known.level(depth)
    trees = itertools.product(ends.tolist(), repeat=count)
    return collect(
        known,
        ((_nodes(known, paths, depth), float(np.prod(known.mass[list(paths)]))) for paths in trees),
        "iid",
    )


def _nodes(world: World, paths: tuple[int, ...], depth: int) -> list[Placed]:
    nodes: list[Placed] = []
    above = [ROOT] * len(paths)
    for prefixes in _prefixes(world, paths, depth):
        first = 1 + len(nodes)
        nodes += zip(above, prefixes, strict=True)
        above = [first + prefixes.index(prefix) for prefix in prefixes]
    return nodes


def _prefixes(world: World, paths: tuple[int, ...], depth: int) -> Iterator[tuple[int, ...]]:
    """The contexts of 1, .., depth tokens that each path runs through."""
    for level in levels(world.draft)[1 : depth + 1]:
        yield tuple(_cut(world, path, level.stop) for path in paths)


def _cut(world: World, context: int, stop: int) -> int:
    """The prefix that lies before row `stop`."""
    while context >= stop:
        context = world.above(context)
    return context

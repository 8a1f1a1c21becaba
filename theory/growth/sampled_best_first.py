"""The likeliest next draw first: a tree of draws without replacement, grown where a draw is most
likely to be accepted.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import ArrayLike

from theory.growth._base import Placed, World, collect, world
from theory.trees import ROOT, Drawn

Tree = tuple[int, ...]  # contexts in the order in which they were drawn


def drawn(
    target: ArrayLike,
    draft: ArrayLike,
    nodes: int,
    width: int,
    depth: int,
) -> Drawn:
    """One draft after the other, `nodes` - 1 of them, each a draw without replacement at the node
    of largest Q(node) (1 - q(its drafts)).

    That product is the chance that the draw, whatever it be, continues a path of the draft model;
    it is known before the draw. No level takes more than `width` drafts. Of equal nodes the first
    drawn is taken. Cost: O(V^nodes) trees at worst. Source: xiong2024dyspec.
    """
    known = world(target, draft, depth)
    trees = (
        (_level_order(known, tree, nodes), mass)
        for tree, mass in _grow(known, (ROOT,), 1.0, (nodes, width))
    )
    return collect(known, trees, "without_replacement")


def _grow(
    world: World,
    tree: Tree,
    mass: float,
    sizes: tuple[int, int],
) -> Iterator[tuple[Tree, float]]:
    nodes, width = sizes
    chances = [_left(world, tree, context, width) for context in tree]
    if len(tree) == nodes or max(chances) == 0:
        yield tree, mass
        return
    context = tree[int(np.argmax(chances))]
    rest = _rest(world, tree, context)
    for token in np.flatnonzero(rest):
        below = context * world.vocabulary + 1 + int(token)
        yield from _grow(world, (*tree, below), mass * float(rest[token] / rest.sum()), sizes)


def _left(
    world: World,
    tree: Tree,
    context: int,
    width: int,
) -> float:
    """Q of the next draw below a context, 0 where there can be none."""
    level = world.depth(context) + 1
    full = sum(world.depth(other) == level for other in tree) == width
    deepest = context * world.vocabulary + 1 >= len(world.mass)
    return (
        0.0 if full or deepest else float(world.mass[context] * _rest(world, tree, context).sum())
    )


def _rest(world: World, tree: Tree, context: int) -> np.ndarray:
    """The draft law at a context without the tokens drawn there."""
    rest = world.draft[context].copy()
    rest[
        [(other - 1) % world.vocabulary for other in tree[1:] if world.above(other) == context]
    ] = 0.0
    return rest


def _level_order(world: World, tree: Tree, nodes: int) -> list[Placed | None]:
    """Level by level, in the order in which they were drawn."""
    order = sorted(tree, key=world.depth)
    below: list[Placed | None] = [
        (order.index(world.above(context)), context) for context in order[1:]
    ]
    return below + [None] * (nodes - len(order))

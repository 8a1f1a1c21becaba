"""The likeliest next draw first: a tree of draws without replacement.

It is grown where a draw is most likely to be accepted.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import ArrayLike

from theory._arrays import Values
from theory.growth._base import Placed, World, collect, placed, world
from theory.trees import ROOT, Drawn

Tree = tuple[int, ...]  # contexts in the order in which they were drawn


def drawn(
    target: ArrayLike,
    draft: ArrayLike,
    nodes: int,
    width: int,
    depth: int,
) -> Drawn:
    """One draft after the other, `nodes` - 1 of them, each a draw without replacement.

    The next draw is at the node of largest Q(node) (1 - q(its drafts)). That product is the chance
    that the draw, whatever it is, continues a path of the draft model. It is known before the draw.
    No level takes more than `width` drafts. Of equal nodes the first drawn is taken.

    Cost: O(V^nodes) trees at worst. Source: xiong2024dyspec.

    Args:
      target: [S, V], the target law after each context.
      draft: [S, V], the draft law after each context.
      nodes: of the tree, the root included, at least 1.
      width: the most drafts of a level, at least 1.
      depth: levels of drafts, at least 1.

    Returns:
      The trees, under scheme `without_replacement`.

    Raises:
      ValueError: a table is no table of laws or has too few rows, or there are too many trees.
    """
    known = world(target, draft, depth)
    grown = _grow(known, (ROOT,), 1.0, (nodes, width))
    trees = ((_nodes(known, tree, nodes), mass) for tree, mass in grown)
    return collect(known, trees, "without_replacement")


def _nodes(world: World, tree: Tree, nodes: int) -> list[Placed | None]:
    """Level by level, in the order in which they were drawn."""
    return placed(world, sorted(tree, key=world.depth), nodes)


def _grow(
    world: World, tree: Tree, mass: float, sizes: tuple[int, int]
) -> Iterator[tuple[Tree, float]]:
    """All ways to go on with a tree, with their probabilities."""
    nodes, width = sizes
    chances = [_left(world, tree, context, width) for context in tree]
    if len(tree) == nodes or max(chances) == 0:
        yield tree, mass
        return
    context = tree[int(np.argmax(chances))]
    rest = _rest(world, tree, context)
    first = world.first_below(context)
    for token in np.flatnonzero(rest):
        chance = float(rest[token] / rest.sum())
        yield from _grow(world, (*tree, first + int(token)), mass * chance, sizes)


def _left(world: World, tree: Tree, context: int, width: int) -> float:
    """Q of the next draw below a context, 0 if there can be none."""
    level = world.depth(context) + 1
    taken = sum(world.depth(other) == level for other in tree)
    deepest = world.first_below(context) >= len(world.mass)
    if taken == width or deepest:
        return 0.0
    return float(world.mass[context] * _rest(world, tree, context).sum())


def _rest(world: World, tree: Tree, context: int) -> Values:
    """The draft law at a context without the tokens drawn there."""
    rest: Values = world.draft[context].copy()
    first = world.first_below(context)
    rest[[other - first for other in tree[1:] if world.above(other) == context]] = 0.0
    return rest

"""Stochastic beam search: sequences without replacement, `width` at every level."""

import itertools
from collections.abc import Iterator

import numpy as np
from numpy.typing import ArrayLike

from theory.growth._base import Placed, World, collect, world
from theory.trees import ROOT, Drawn

Beams = tuple[tuple[int, ...], ...]


def drawn(target: ArrayLike, draft: ArrayLike, width: int, depth: int) -> Drawn:
    """Level d holds the first `width` distinct prefixes of d tokens in a row of sequences.

    The sequences have D tokens and are drawn without replacement. Each level alone is
    Plackett-Luce over prefixes. Their joint law: while a level is short, the deepest such level
    draws its next prefix in proportion to Q among those it has not seen. The levels above see that
    prefix too. Sequences that repeat a prefix of that level are passed over: in a race of
    exponential clocks the next new prefix does not depend on them. Slots are in order of
    appearance; those beyond the support are absent.

    Cost: O(V^(width depth)) trees at worst. Source: kool2019stochastic.

    Args:
      target: [S, V], the target law after each context.
      draft: [S, V], the draft law after each context.
      width: nodes of each level, at least 1.
      depth: D, levels of drafts, at least 1.

    Returns:
      The trees of 1 + width depth nodes, under scheme `without_replacement`.

    Raises:
      ValueError: a table is no table of laws or has too few rows, or there are too many trees.
    """
    known = world(target, draft, depth)
    empty: Beams = ((ROOT,), *((),) * depth)
    grown = _grow(known, empty, 1.0, width)
    trees = ((_nodes(known, beams, width), mass) for beams, mass in grown)
    return collect(known, trees, "without_replacement")


def _grow(world: World, beams: Beams, mass: float, width: int) -> Iterator[tuple[Beams, float]]:
    """All ways to fill the beams, with their probabilities."""
    short = []
    for depth, beam in enumerate(beams):
        if len(beam) < min(width, len(world.level(depth))):
            short.append(depth)
    if not short:
        yield beams, mass
        return
    deepest = short[-1]
    unseen = np.setdiff1d(world.level(deepest), beams[deepest])
    chances = world.mass[unseen] / world.mass[unseen].sum()
    for context, chance in zip(unseen, chances, strict=True):
        seen = _seen(world, beams, deepest, int(context))
        yield from _grow(world, seen, mass * float(chance), width)


def _seen(world: World, beams: Beams, depth: int, context: int) -> Beams:
    """The beams once a prefix of `depth` tokens has come."""
    grown = list(beams)
    for level in range(depth, 0, -1):
        if context not in grown[level]:
            grown[level] = (*grown[level], context)
        context = world.above(context)
    return tuple(grown)


def _nodes(world: World, beams: Beams, width: int) -> list[Placed | None]:
    """Slot j of level d is node 1 + (d - 1) width + j."""
    nodes: list[Placed | None] = []
    for depth, (above, beam) in enumerate(itertools.pairwise(beams)):
        first = ROOT
        if depth:
            first = 1 + (depth - 1) * width
        nodes += [(first + above.index(world.above(context)), context) for context in beam]
        nodes += [None] * (width - len(beam))
    return nodes

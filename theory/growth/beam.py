"""Stochastic beam search: sequences without replacement, `width` at every level."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np
from numpy.typing import ArrayLike

from theory.growth._base import Placed, World, collect, world
from theory.trees import ROOT, Drawn

Beams = tuple[tuple[int, ...], ...]


def drawn(
    target: ArrayLike,
    draft: ArrayLike,
    width: int,
    depth: int,
) -> Drawn:
    """Level d holds the first `width` distinct prefixes of d tokens in a row of sequences of D
    tokens drawn without replacement.

    Each level alone is Plackett-Luce over prefixes. Their joint law: while a level is short, the
    deepest such level draws its next prefix in proportion to Q among those it has not seen, and the
    levels above see that prefix too. Sequences that repeat a prefix of that level are passed over:
    in a race of exponential clocks the next new prefix does not depend on them. Slots are in order
    of appearance; those beyond the support are absent. Cost: O(V^(width depth)) trees at worst.
    Source: kool2019stochastic.
    """
    known = world(target, draft, depth)
    trees = (
        (_nodes(known, beams, width), mass)
        for beams, mass in _grow(known, ((ROOT,), *((),) * depth), 1.0, width)
    )
    return collect(known, trees, "without_replacement")


def _grow(
    world: World,
    beams: Beams,
    mass: float,
    width: int,
) -> Iterator[tuple[Beams, float]]:
    short = [d for d, beam in enumerate(beams) if len(beam) < min(width, len(world.level(d)))]
    if not short:
        yield beams, mass
        return
    unseen = np.setdiff1d(world.level(short[-1]), beams[short[-1]])
    for context, chance in zip(unseen, world.mass[unseen] / world.mass[unseen].sum(), strict=True):
        yield from _grow(
            world, _seen(world, beams, short[-1], int(context)), mass * float(chance), width
        )


def _seen(
    world: World,
    beams: Beams,
    depth: int,
    context: int,
) -> Beams:
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
        first = 1 + (depth - 1) * width if depth else ROOT
        nodes += [(first + above.index(world.above(context)), context) for context in beam]
        nodes += [None] * (width - len(beam))
    return nodes

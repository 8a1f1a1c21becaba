"""The likeliest prefixes: a tree that is a function of the context."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from theory.growth._base import Placed, World, collect, world
from theory.trees import ROOT, Drawn


def drawn(
    target: ArrayLike,
    draft: ArrayLike,
    nodes: int,
    width: int,
    depth: int,
) -> Drawn:
    """The `nodes` - 1 contexts of largest Q among the `width` likeliest continuations of each
    level: one tree, of mass 1.

    A prefix is no less likely than what follows it, so that with its drafts the tree holds all
    above them. The drafts at a node are its likeliest tokens, as many as the context decides; any
    verifier of fixed drafts is lossless. Of equals the first is taken: of tokens the lowest, of
    contexts that whose prefix comes first. Cost: O(depth width V). Source: li2024eagle2.
    """
    known = world(target, draft, depth)
    levels = [[ROOT]]
    for _ in range(depth):
        levels.append(
            _likeliest(
                known,
                [below for context in levels[-1] for below in _continuations(known, context)],
                width,
            )
        )
    grown = [context for level in levels[1:] for context in level]
    kept = set(_likeliest(known, grown, nodes - 1))
    order = [ROOT, *(context for context in grown if context in kept)]
    tree: list[Placed | None] = [
        (order.index(known.above(context)), context) for context in order[1:]
    ]
    return collect(known, [(tree + [None] * (nodes - len(order)), 1.0)], "top_n")


def _likeliest(world: World, contexts: list[int], count: int) -> list[int]:
    return sorted(contexts, key=lambda context: -world.mass[context])[:count]


def _continuations(world: World, context: int) -> list[int]:
    """The contexts one token longer that can be drawn, likeliest first."""
    below = context * world.vocabulary + 1 + np.argsort(-world.draft[context], kind="stable")
    return below[world.mass[below] > 0].tolist()

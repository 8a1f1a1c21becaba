"""The likeliest prefixes: a tree that is a function of the context."""

import numpy as np
from numpy.typing import ArrayLike

from theory.growth._base import World, collect, placed, world
from theory.trees import ROOT, Drawn


def drawn(
    target: ArrayLike,
    draft: ArrayLike,
    nodes: int,
    width: int,
    depth: int,
) -> Drawn:
    """The `nodes` - 1 contexts of largest Q: one tree, of mass 1.

    They are taken among the `width` likeliest continuations of each level. A prefix is no less
    likely than what follows it, so the tree holds with its drafts all contexts above them. The
    drafts at a node are its likeliest tokens, as many as the context decides. Any verifier of fixed
    drafts is lossless. Of equal tokens the lowest is taken. Of equal contexts the one whose prefix
    comes first is taken.

    Cost: O(depth width V). Source: li2024eagle2.

    Args:
      target: [S, V], the target law after each context.
      draft: [S, V], the draft law after each context.
      nodes: of the tree, the root included, at least 1.
      width: the most contexts of a level that are continued, at least 1.
      depth: levels of drafts, at least 1.

    Returns:
      One tree, under scheme `top_n`.

    Raises:
      ValueError: a table is no table of laws, or has too few rows for the depth.
    """
    known = world(target, draft, depth)
    level = [ROOT]
    grown: list[int] = []
    for _ in range(depth):
        below = [found for context in level for found in _continuations(known, context)]
        level = _likeliest(known, below, width)
        grown += level
    kept = set(_likeliest(known, grown, nodes - 1))
    order = [ROOT]
    order += [context for context in grown if context in kept]
    return collect(known, [(placed(known, order, nodes), 1.0)], "top_n")


def _likeliest(world: World, contexts: list[int], count: int) -> list[int]:
    return sorted(contexts, key=lambda context: -world.mass[context])[:count]


def _continuations(world: World, context: int) -> list[int]:
    """The contexts one token longer that can be drawn, likeliest first."""
    tokens = np.argsort(-world.draft[context], kind="stable")
    below = world.first_below(context) + tokens
    return [int(found) for found in below[world.mass[below] > 0]]

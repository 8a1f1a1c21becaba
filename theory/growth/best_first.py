"""The likeliest prefixes: a tree that is a function of the context."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from theory.growth._base import Indices, Placed, World, collect, world
from theory.trees import ROOT, Drawn


def drawn(target: ArrayLike, draft: ArrayLike, nodes: int, width: int, depth: int) -> Drawn:
    """The `nodes` - 1 contexts of largest Q among the `width` likeliest of each level: one tree, of mass 1.

    A prefix is no less likely than what follows it, so that with its drafts the tree holds all above them. The drafts at a node are its
    likeliest tokens, as many as the context decides; any verifier of fixed drafts is lossless. Of equal contexts the first is taken.
    Cost: O(V^depth). Source: li2024eagle2.
    """
    known = world(target, draft, depth)
    kept = np.concatenate([_likeliest(known, known.level(level), width) for level in range(1, depth + 1)])
    kept = _likeliest(known, kept, nodes - 1)
    order = [ROOT, *sorted(kept.tolist(), key=lambda context: (known.depth(context), -known.mass[context]))]
    tree: list[Placed | None] = [(order.index(known.above(context)), context) for context in order[1:]]
    return collect(known, [(tree + [None] * (nodes - len(order)), 1.0)], "top_n")


def _likeliest(world: World, contexts: Indices, count: int) -> Indices:
    return contexts[np.argsort(-world.mass[contexts], kind="stable")][:count]

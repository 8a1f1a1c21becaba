"""SpecHub's pairs: one of the two drafts is always the most likely token."""

from __future__ import annotations

import numpy as np

from theory.drafting import greedy
from theory.drafting._base import Joint, Law, Subset, Tokens, chain, support_size, without


def live(q: Law, n: int) -> int:
    """Two slots.

    Raises:
      ValueError: n is not 2.
    """
    support_size(q)
    if n != 2:
        raise ValueError(f"n: scheme hub drafts pairs, expected 2, got {n}")
    return 2


def conditional(q: Law, tokens: Tokens, slots: int) -> Law:
    """First a draw from q; then a = argmax q, or, where a came first, a draw from the rest (a again
    where q is one-hot).
    """
    if tokens.shape[1] == 0:
        return q
    hub = int(np.argmax(q))
    laws = np.zeros((len(tokens), len(q)))
    laws[:, hub] = 1.0
    if len(q) > 1:
        laws[tokens[:, 0] == hub] = without(q, np.array([[hub]]))
    return laws


def joint(q: Law, n: int) -> Joint:
    """Q(i, a) = q(i) and Q(a, i) = q(a) q(i) / (1 - q(a)). Cost: O(V^2). Source: sun2024spechub."""
    return chain(conditional, q, live(q, n))


def inclusion(q: Law, n: int) -> Law:
    """That of greedy drafts: the unordered laws agree."""
    return greedy.inclusion(q, live(q, n))


def optimum(p: Law, q: Law, n: int) -> tuple[float, Subset]:
    """That of greedy drafts: the unordered laws agree. Cost: O(V log V). Source: hu2025towards."""
    return greedy.optimum(p, q, live(q, n))

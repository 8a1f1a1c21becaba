"""SpecHub's pairs: one of the two drafts is always the most likely token."""

import numpy as np

from theory._arrays import Indices, Law, Mask, Values
from theory.drafting import greedy
from theory.drafting._base import Joint, chain, support_size, without


def live(q: Law, n: int) -> int:
    """Two slots.

    Raises:
      ValueError: q is not one law, or n is not 2.
    """
    support_size(q)
    if n != 2:
        raise ValueError(f"n: scheme hub drafts pairs, expected 2, got {n}")
    return 2


def conditional(q: Law, tokens: Indices, slots: int) -> Law:
    """First a draw from q; then a = argmax q, or, if a came first, a draw from the rest.

    If q is one-hot, the second draft is a again.
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
    """Q(i, a) = q(i) and Q(a, i) = q(a) q(i) / (1 - q(a)).

    Cost: O(V^2). Source: sun2024spechub.

    Example:
      >>> from theory import Problem
      >>> joint = Problem([0.5, 0.3, 0.2], [0.2, 0.3, 0.5], 2, "hub").joint()
      >>> joint.tokens.tolist(), joint.mass.round(6).tolist()
      ([[0, 2], [1, 2], [2, 0], [2, 1]], [0.2, 0.3, 0.2, 0.3])
    """
    return chain(conditional, q, live(q, n))


def inclusion(q: Law, n: int) -> Law:
    """The same as for greedy drafts: the unordered laws agree. Cost: O(V log V)."""
    return greedy.inclusion(q, live(q, n))


def optimum(p: Law, q: Law, n: int) -> tuple[float, Mask]:
    """The same as for greedy drafts: the unordered laws agree.

    Cost: O(V log V). Source: hu2025towards.
    """
    return greedy.optimum(p, q, live(q, n))


def prefixes(p: Law, q: Law, n: int) -> tuple[Indices, Values]:
    """The same as for greedy drafts: the unordered laws agree. Cost: O(V log V)."""
    return greedy.prefixes(p, q, live(q, n))

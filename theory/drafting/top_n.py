"""The n most likely tokens."""

import numpy as np

from theory._arrays import Indices, Law, Mask, Values
from theory.drafting._base import Joint, chain, support_size, top


def live(q: Law, n: int) -> int:
    """min(n, support of q).

    Raises:
      ValueError: q is not one law.
    """
    return min(n, support_size(q))


def conditional(q: Law, tokens: Indices, slots: int) -> Law:
    """Slot j is the j-th most likely token (ties to the lowest index)."""
    law = np.zeros(len(q))
    law[top(q, slots)[tokens.shape[1]]] = 1.0
    return law


def joint(q: Law, n: int) -> Joint:
    """Q is a point mass.

    Cost: O(V log V).

    Example:
      >>> from theory import Problem
      >>> joint = Problem([0.5, 0.3, 0.2], [0.2, 0.3, 0.5], 2, "top_n").joint()
      >>> joint.tokens.tolist(), joint.mass.tolist()
      ([[2, 1]], [1.0])
    """
    return chain(conditional, q, live(q, n))


def inclusion(q: Law, n: int) -> Law:
    """P(y among the drafts) = 1 for y in the top set S, else 0. Cost: O(V log V)."""
    inside = np.zeros(len(q))
    inside[top(q, live(q, n))] = 1.0
    return inside


def optimum(p: Law, q: Law, n: int) -> tuple[float, Mask]:
    """alpha* = p(S), at H = S. Cost: O(V log V)."""
    subset = inclusion(q, n) > 0
    return float(p[subset].sum()), subset


def prefixes(p: Law, q: Law, n: int) -> tuple[Indices, Values]:
    """S, then the others; and Q(H) of the prefixes: 0 up to S, then 1. Cost: O(V log V)."""
    drafted = live(q, n)
    order = top(q, len(q))
    return order, np.where(np.arange(len(q) + 1) < drafted, 0.0, 1.0)

"""Different drafters at one node: each slot has its own law."""

from __future__ import annotations

import numpy as np

from theory.drafting._base import Joint, Law, Tokens, chain


def live(q: Law, n: int) -> int:
    """All n slots are drawn.

    Raises:
      ValueError: q is not n laws.
    """
    if q.ndim != 2 or len(q) != n:
        raise ValueError(f"q: scheme independent draws slot i from q[i], expected shape ({n}, V), got {q.shape}")
    return n


def conditional(q: Law, tokens: Tokens, slots: int) -> Law:
    """Slot j is a draw from q[j]."""
    return q[tokens.shape[1]]


def joint(q: Law, n: int) -> Joint:
    """Q(x) = prod_j q_j(x_j). Cost: O(V^n)."""
    return chain(conditional, q, live(q, n))


def inclusion(q: Law, n: int) -> Law:
    """P(y among the drafts) = 1 - prod_j (1 - q_j(y)). Cost: O(V n)."""
    with np.errstate(divide="ignore"):
        return -np.expm1(np.log1p(-q).sum(axis=0))

"""Independent draws from one law."""

from __future__ import annotations

import numpy as np

from theory.drafting._base import (
    Joint,
    Law,
    Subset,
    Tokens,
    best_prefix,
    chain,
    ratio_order,
    support_size,
)


def live(q: Law, n: int) -> int:
    """All n slots are drawn."""
    support_size(q)
    return n


def conditional(q: Law, tokens: Tokens, slots: int) -> Law:
    """Every slot is a draw from q."""
    return q


def joint(q: Law, n: int) -> Joint:
    """Q(x) = prod_j q(x_j). Cost: O(V^n)."""
    return chain(conditional, q, live(q, n))


def inclusion(q: Law, n: int) -> Law:
    """P(y among the drafts) = 1 - (1 - q(y))^n. Cost: O(V)."""
    with np.errstate(divide="ignore"):
        return -np.expm1(n * np.log1p(-q))


def optimum(p: Law, q: Law, n: int) -> tuple[float, Subset]:
    """alpha* = 1 + min_H [p(H) - q(H)^n] over the prefixes of the tokens sorted by p / q.

    Cost: O(V log V). Source: hu2025towards.
    """
    order = ratio_order(p, q)
    inside = np.concatenate(([0.0], np.cumsum(q[order]))) ** n
    return best_prefix(p, order, inside)

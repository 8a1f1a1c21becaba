"""Independent draws from one law."""

import numpy as np

from theory._arrays import Indices, Law, Mask, Values
from theory.drafting._base import Joint, best_prefix, chain, ratio_order, support_size


def live(q: Law, n: int) -> int:
    """All n slots are drawn.

    Raises:
      ValueError: q is not one law.
    """
    support_size(q)
    return n


def conditional(q: Law, tokens: Indices, slots: int) -> Law:
    """Every slot is a draw from q."""
    return q


def joint(q: Law, n: int) -> Joint:
    """Q(x) = prod_j q(x_j).

    Cost: O(V^n).

    Example:
      >>> from theory import Problem
      >>> joint = Problem([0.5, 0.5], [0.2, 0.8], 2, "iid").joint()
      >>> joint.tokens.tolist(), joint.mass.round(6).tolist()
      ([[0, 0], [0, 1], [1, 0], [1, 1]], [0.04, 0.16, 0.16, 0.64])
    """
    return chain(conditional, q, live(q, n))


def inclusion(q: Law, n: int) -> Law:
    """P(y among the drafts) = 1 - (1 - q(y))^n. Cost: O(V)."""
    with np.errstate(divide="ignore"):
        inside: Law = -np.expm1(n * np.log1p(-q))
    return inside


def optimum(p: Law, q: Law, n: int) -> tuple[float, Mask]:
    """alpha* = 1 + min_H [p(H) - q(H)^n] over the prefixes of the tokens sorted by p / q.

    Cost: O(V log V). Source: hu2025towards.
    """
    return best_prefix(p, *prefixes(p, q, n))


def prefixes(p: Law, q: Law, n: int) -> tuple[Indices, Values]:
    """The tokens sorted by p / q, and q(H)^n of their prefixes. Cost: O(V log V)."""
    order = ratio_order(p, q)
    drawn = np.concatenate(([0.0], np.cumsum(q[order])))
    return order, drawn**n

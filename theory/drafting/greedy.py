"""The n-1 most likely tokens, then one draw from the rest."""

import numpy as np

from theory._arrays import Indices, Law, Mask, Values
from theory.drafting._base import Joint, chain, ratio_order, support_size, top, without


def live(q: Law, n: int) -> int:
    """min(n, support of q).

    Raises:
      ValueError: q is not one law.
    """
    return min(n, support_size(q))


def conditional(q: Law, tokens: Indices, slots: int) -> Law:
    """The next most likely token, with ties to the lowest index.

    The last slot is a draw from q without the tokens before it.
    """
    slot = tokens.shape[1]
    if slot == slots - 1:
        return without(q, tokens)
    law = np.zeros(len(q))
    law[top(q, slots)[slot]] = 1.0
    return law


def joint(q: Law, n: int) -> Joint:
    """Q(top_1, .., top_{m-1}, y) = q(y) / (1 - q(Top)).

    Cost: O(V log V). Source: hu2025towards.

    Example:
      >>> from theory import Problem
      >>> joint = Problem([0.5, 0.3, 0.2], [0.2, 0.3, 0.5], 2, "greedy").joint()
      >>> joint.tokens.tolist(), joint.mass.round(6).tolist()
      ([[2, 0], [2, 1]], [0.4, 0.6])
    """
    return chain(conditional, q, live(q, n))


def inclusion(q: Law, n: int) -> Law:
    """P(y among the drafts) = 1 for y in Top, else q(y) / (1 - q(Top)). Cost: O(V log V)."""
    fixed = top(q, live(q, n) - 1)
    inside: Law = without(q, fixed[None])[0]
    inside[fixed] = 1.0
    return inside


def optimum(p: Law, q: Law, n: int) -> tuple[float, Mask]:
    """alpha* = sum_y min(p(y), P(y among the drafts)).

    The subset H is Top and the tokens with p < q / (1 - q(Top)). Cost: O(V log V). Source:
    hu2025towards.
    """
    inside = inclusion(q, n)
    subset = p < inside
    subset[top(q, live(q, n) - 1)] = True
    return float(np.minimum(p, inside).sum()), subset


def prefixes(p: Law, q: Law, n: int) -> tuple[Indices, Values]:
    """Top, then the others by p / q; and Q(H) of the prefixes: 0 up to Top, then q(H) / q(not Top).

    Cost: O(V log V).
    """
    fixed = top(q, live(q, n) - 1)
    rest = without(q, fixed[None])[0]
    by_ratio = ratio_order(p, rest)
    others = by_ratio[~np.isin(by_ratio, fixed)]
    order = np.concatenate((fixed, others))
    return order, np.concatenate(([0.0], np.cumsum(rest[order])))

"""The n-1 most likely tokens, then one draw from the rest."""

from __future__ import annotations

import numpy as np

from theory.drafting._base import Joint, Law, Subset, Tokens, chain, support_size, top, without


def live(q: Law, n: int) -> int:
    """min(n, support of q)."""
    return min(n, support_size(q))


def conditional(q: Law, tokens: Tokens, slots: int) -> Law:
    """The next most likely token (ties to the lowest index); in the last slot a draw from q without
    the tokens before it.
    """
    slot = tokens.shape[1]
    if slot == slots - 1:
        return without(q, tokens)
    law = np.zeros(len(q))
    law[top(q, slots)[slot]] = 1.0
    return law


def joint(q: Law, n: int) -> Joint:
    """Q(top_1, .., top_{m-1}, y) = q(y) / (1 - q(Top)). Cost: O(V log V). Source: hu2025towards."""
    return chain(conditional, q, live(q, n))


def inclusion(q: Law, n: int) -> Law:
    """P(y among the drafts) = 1 for y in Top, else q(y) / (1 - q(Top)). Cost: O(V log V)."""
    fixed = top(q, live(q, n) - 1)
    inside = without(q, fixed[None])[0]
    inside[fixed] = 1.0
    return inside


def optimum(p: Law, q: Law, n: int) -> tuple[float, Subset]:
    """alpha* = sum_y min(p(y), P(y among the drafts)), at H = Top and the tokens with p < q / (1 -
    q(Top)).

    Cost: O(V log V). Source: hu2025towards.
    """
    inside = inclusion(q, n)
    subset = p < inside
    subset[top(q, live(q, n) - 1)] = True
    return float(np.minimum(p, inside).sum()), subset

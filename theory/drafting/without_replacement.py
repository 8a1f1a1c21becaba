"""Gumbel-top-n: draws without replacement, in order."""

from __future__ import annotations

from collections.abc import Iterator

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
    without,
)

STEP = 0.125


def live(q: Law, n: int) -> int:
    """min(n, support of q)."""
    return min(n, support_size(q))


def conditional(q: Law, tokens: Tokens, slots: int) -> Law:
    """A draw from q without the tokens before it."""
    return without(q, tokens)


def joint(q: Law, n: int) -> Joint:
    """Q(x) = prod_j q(x_j) / (1 - sum_{l<j} q(x_l)) (Plackett-Luce). Cost: O(V^n)."""
    return chain(conditional, q, live(q, n))


def inclusion(q: Law, n: int) -> Law:
    """P(y among the drafts) = integral q_y e^{-q_y t} P(fewer than m others have arrived by t) dt,
    m the live slots.

    Cost: O(V m nodes) in time and memory.
    """
    slots = live(q, n)
    drawn = np.flatnonzero(q)
    rates = q[drawn]
    times = _log_times(rates.min())
    before = list(_arrived(rates, slots, times))
    after = list(_arrived(rates[::-1], slots, times))[-2::-1]
    inside = np.zeros(len(q))
    for token, rate, left, right in zip(drawn, rates, before, after, strict=False):
        fewer = (left * right.cumsum(axis=0)[::-1]).sum(axis=0)
        inside[token] = _race(rate, fewer, times)
    return inside


def optimum(p: Law, q: Law, n: int) -> tuple[float, Subset]:
    """alpha* = 1 + min_H [p(H) - Q(H)] over the prefixes of the tokens sorted by p / q.

    Q(H) = 1 - integral a e^{-a t} P(fewer than m tokens of H have arrived by t) dt, a = q(not H):
    token i arrives at rate q_i, and the drafts are the first m arrivals. Cost: O(V m nodes).
    Source: hu2025towards.
    """
    slots = live(q, n)
    order = ratio_order(p, q)
    rates = q[order]
    outside = np.append(np.cumsum(rates[::-1])[::-1], 0.0)
    times = _log_times(q[q > 0].min())
    prefixes = zip(outside, _arrived(rates, slots, times), strict=True)
    inside = np.array(
        [
            1.0 - _race(rate, arrived.sum(axis=0), times) if rate > 0 else 1.0
            for rate, arrived in prefixes
        ]
    )
    return best_prefix(p, order, inside)


def _log_times(slowest: float) -> Law:
    """Nodes of the trapezoid rule in log t: before the first nothing has arrived (e^-40), after the
    last everything has (e^-60).
    """
    return np.arange(-40.0, np.log(60.0) - np.log(slowest) + STEP, STEP)


def _race(rate: float, given: Law, times: Law) -> float:
    """Integral of rate e^{-rate t} given(t) dt by the trapezoid rule in log t, whose error is below
    1e-14.
    """
    exponent = times + np.log(rate)
    with np.errstate(over="ignore"):
        density = np.exp(exponent - np.exp(exponent))
    return float(density @ given * STEP)


def _arrived(rates: Law, slots: int, times: Law) -> Iterator[Law]:
    """P(exactly k of the first j tokens have arrived by t), k < slots, as [slots, nodes] for j =
    0..V (Poisson-binomial).
    """
    count = np.zeros((slots, len(times)))
    count[0] = 1.0
    yield count
    for rate in rates:
        with np.errstate(divide="ignore", over="ignore"):
            odds = np.exp(times + np.log(rate))
        count = count * np.exp(-odds) - np.vstack((np.zeros_like(times), count[:-1])) * np.expm1(
            -odds
        )
        yield count

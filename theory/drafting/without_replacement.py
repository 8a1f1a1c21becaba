"""Gumbel-top-n: draws without replacement, in order."""

from collections.abc import Iterator

import numpy as np

from theory._arrays import Indices, Law, Mask, Values
from theory.drafting._base import (
    Joint,
    best_prefix,
    chain,
    ratio_order,
    support_size,
    without,
)

STEP = 0.125  # of the trapezoid rule in log t


def live(q: Law, n: int) -> int:
    """min(n, support of q).

    Raises:
      ValueError: q is not one law.
    """
    return min(n, support_size(q))


def conditional(q: Law, tokens: Indices, slots: int) -> Law:
    """A draw from q without the tokens before it."""
    return without(q, tokens)


def joint(q: Law, n: int) -> Joint:
    """Q(x) = prod_j q(x_j) / (1 - sum_{l<j} q(x_l)) (Plackett-Luce).

    Cost: O(V^n).

    Example:
      >>> from theory import Problem
      >>> joint = Problem([0.5, 0.5], [0.2, 0.8], 2, "without_replacement").joint()
      >>> joint.tokens.tolist(), joint.mass.round(6).tolist()
      ([[0, 1], [1, 0]], [0.2, 0.8])
    """
    return chain(conditional, q, live(q, n))


def inclusion(q: Law, n: int) -> Law:
    """P(y among the drafts) = integral q_y e^{-q_y t} P(fewer than m others came by t) dt.

    m is the number of live slots. Cost: O(V m nodes) in time and memory.
    """
    slots = live(q, n)
    drawn = np.flatnonzero(q)
    rates = q[drawn]
    times = _log_times(rates.min())
    before = list(_arrived(rates, slots, times))
    after = list(_arrived(rates[::-1], slots, times))[-2::-1]
    inside = np.zeros(len(q))
    for token, rate, left, right in zip(drawn, rates, before, after, strict=False):
        at_most = right.cumsum(axis=0)[::-1]
        fewer = (left * at_most).sum(axis=0)
        inside[token] = _race(rate, fewer, times)
    return inside


def optimum(p: Law, q: Law, n: int) -> tuple[float, Mask]:
    """alpha* = 1 + min_H [p(H) - Q(H)] over the prefixes of the tokens sorted by p / q.

    Cost: O(V m nodes). Source: hu2025towards.
    """
    return best_prefix(p, *prefixes(p, q, n))


def prefixes(p: Law, q: Law, n: int) -> tuple[Indices, Values]:
    """The tokens sorted by p / q, and Q(H) of their prefixes.

    Token i arrives at rate q_i, and the drafts are the first m arrivals. So Q(H) = 1 - integral
    a e^{-a t} P(fewer than m tokens of H have arrived by t) dt, a = q(not H). Cost: O(V m nodes).
    """
    slots = live(q, n)
    order = ratio_order(p, q)
    rates = q[order]
    outside = np.append(np.cumsum(rates[::-1])[::-1], 0.0)
    times = _log_times(q[q > 0].min())
    inside = np.ones(len(outside))
    arrivals = zip(outside, _arrived(rates, slots, times), strict=True)
    for place, (rate, arrived) in enumerate(arrivals):
        if rate > 0:
            inside[place] = 1.0 - _race(rate, arrived.sum(axis=0), times)
    return order, inside


def _log_times(slowest: float) -> Values:
    """Nodes of the trapezoid rule in log t.

    Before the first nothing has arrived (e^-40), after the last everything has (e^-60).
    """
    end = np.log(60.0) - np.log(slowest)
    return np.arange(-40.0, end + STEP, STEP)


def _race(rate: float, given: Values, times: Values) -> float:
    """Integral of rate e^{-rate t} given(t) dt by the trapezoid rule in log t.

    The error is below 1e-14.
    """
    exponent = times + np.log(rate)
    with np.errstate(over="ignore"):
        density = np.exp(exponent - np.exp(exponent))
    return float(density @ given * STEP)


def _arrived(rates: Values, slots: int, times: Values) -> Iterator[Values]:
    """P(exactly k of the first j tokens have arrived by t), k < slots (Poisson-binomial).

    Yields [slots, nodes] for j = 0..V.
    """
    count = np.zeros((slots, len(times)))
    count[0] = 1.0
    yield count
    for rate in rates:
        with np.errstate(divide="ignore", over="ignore"):
            odds = np.exp(times + np.log(rate))
        one_fewer = np.vstack((np.zeros_like(times), count[:-1]))
        count = count * np.exp(-odds) - one_fewer * np.expm1(-odds)
        yield count

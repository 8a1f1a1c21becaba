"""Expected acceptance that takes more than a line.

One formula selects one of the drafts; another verifies pairs without replacement.
"""

import math
from typing import NamedTuple

import numpy as np

from theory._arrays import Indices, Law, Values

STEPS = 64  # cells to a factor e of p/q
FARTHEST = 22  # factors e from 1 up to which cells are told apart
OFFSET = math.sqrt(0.5)  # a cell's edge is no ratio of small numbers
SLOPE = 1e-5  # a gain that is not worth a larger weight


class Picks(NamedTuple):
    """The draft in the highest cell, the first of those there.

    Attributes:
      cell: [V], of each token, the highest first.
      onward: [C], q mass of each cell and all lower ones.
      after: [C], q mass of the lower ones.
      law: [V], of the pick.
    """

    cell: Indices
    onward: Values
    after: Values
    law: Law


def picks(q: Law, cell: Indices, n: int) -> Picks:
    """The law of the pick among n iid drafts, by cells.

    T^n - U^n is the chance of a cell, with T, U its q mass onward and after. In the cell, the pick
    is a draw from q.

    Args:
      q: draft law [V].
      cell: [V], the cell of each token, the highest 0.
      n: number of drafts, at least 1.

    Returns:
      The pick's law, with the masses of the C cells.
    """
    mass = np.asarray(np.bincount(cell, weights=q), np.float64)
    onward = np.cumsum(mass[::-1])[::-1]
    after = np.append(onward[1:], 0.0)
    law = q * _powers(onward, after, n)[cell]
    return Picks(
        cell=cell,
        onward=onward,
        after=after,
        law=law,
    )


def cells(p: Law, q: Law) -> Indices:
    """p/q in steps of e^(1/64), up to 22 factors e from 1; the highest first, none empty.

    Args:
      p: target law [V].
      q: draft law [V].

    Returns:
      The cell of each token [V].
    """
    farthest = STEPS * FARTHEST
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where(p > 0, np.divide(p, q), 0.0)
        steps = np.floor(STEPS * np.log(ratio) + OFFSET)
    falling = -np.clip(steps, -farthest, farthest)
    return np.unique(falling, return_inverse=True)[1]


def importance_weighted(p: Law, q: Law, n: int) -> float:
    """Acceptance of the one-draft rule on a selected draft.

    The draft of largest p/q is picked with the best probability w, else the first one. The result
    is 1 - P(the pick x is refused, and the residual's y was not drafted). Without q_y, a cell has
    the chance (T - q_y)^n - (U - q_y)^n if it is higher than that of y. It has (T - q_y)^n - U^n if
    it is its own, and T^n - U^n if it is lower. Each of its tokens has an even part of it.

    Cost: O(V log V + V n). Source: khisti2024multidraft.

    Args:
      p: target law [V].
      q: draft law [V].
      n: number of iid drafts, at least 1.

    Returns:
      The acceptance, in [0, 1].
    """
    cell, onward, after, largest = picks(q, cells(p, q), n)
    weight = selection_weight(p, q, largest)
    r = q + weight * (largest - q)
    rest = np.maximum(p - r, 0.0)
    if rest.sum() == 0.0:
        return 1.0
    refused_share = np.divide(
        np.maximum(r - p, 0.0),
        r,
        out=np.zeros_like(r),
        where=r > 0,
    )
    refusal = q * refused_share
    by_first = refusal.sum() * (1.0 - q) ** (n - 1)
    refused = np.bincount(cell, weights=refusal)
    per_mass = [refused * _powers(onward, after, m) for m in range(1, n + 1)]
    whole = per_mass[-1]
    lower = whole.sum() - np.cumsum(whole)
    by_largest = lower[cell]
    by_largest += refused[cell] * _powers(onward[cell] - q, after[cell], n)
    for k in range(n):
        share = per_mass[n - 1 - k]
        higher = np.cumsum(share) - share
        factor = math.comb(n, k) * (-q) ** k
        by_largest += factor * higher[cell]
    unseen = (1.0 - weight) * by_first + weight * by_largest
    return float(1.0 - rest @ unseen / rest.sum())


def selection_weight(p: Law, q: Law, largest: Law) -> float:
    """The least weight in [0, 1] beyond which more weight gains no more than 1e-5 for each unit.

    What it gains is sum min(p, q + w (largest - q)). The slope is the sum of largest - q over the
    tokens that stay below p. Each token leaves or joins once, at (p - q) / (largest - q).

    Args:
      p: target law [V].
      q: draft law [V].
      largest: law of the draft of largest p/q [V].

    Returns:
      The weight.
    """
    change = largest - q
    moving = change != 0
    change = change[moving]
    gap = (p - q)[moving]
    below = (gap > 0) | ((gap == 0) & (change < 0))
    slope = float(change[below].sum())
    if slope <= SLOPE:
        return 0.0
    turns = np.clip(gap / change, 0.0, 1.0)
    towards = np.sign(gap) == np.sign(change)
    inner = (gap != 0) & towards & (turns < 1)
    order = np.argsort(turns, kind="stable")
    inside = order[inner[order]]
    slopes = slope - np.cumsum(np.abs(change[inside]))
    flat = np.flatnonzero(slopes <= SLOPE)
    if not len(flat):
        return 1.0
    return float(turns[inside[flat[0]]])


def pairs_without_replacement(p: Law, q: Law) -> float:
    """Acceptance of recursive rejection of two drafts without replacement.

    It is 1 - sum_x (q - p)+(x) sum_y ((p - q)+(y) / Z - q(y) / (1 - q(x)))+, Z = sum (p - q)+.
    Tokens are sorted by (p - q)+ / q, so that the inner sum is a suffix.

    Cost: O(V log V). Source: jeon2024recursive.

    Args:
      p: target law [V].
      q: draft law [V].

    Returns:
      The acceptance, in [0, 1].
    """
    excess = np.maximum(p - q, 0.0)
    refused = np.maximum(q - p, 0.0)
    z = excess.sum()
    if z == 0.0:
        return 1.0
    with np.errstate(divide="ignore"):
        ratio = np.divide(
            excess,
            q,
            out=np.zeros_like(q),
            where=excess > 0,
        )
    ratio = ratio / z
    order = np.argsort(ratio, kind="stable")
    excess_onward = _suffix_sums((excess / z)[order])
    draft_onward = _suffix_sums(q[order])
    likeliest = np.argmax(q)
    left = 1.0 - q
    left[likeliest] = np.delete(q, likeliest).sum()
    second = left > 0
    rejected = float(refused[~second].sum())  # no second token can be drafted
    scale = 1.0 / left[second]
    start = np.searchsorted(ratio[order], scale)
    missed = excess_onward[start] - scale * draft_onward[start]
    return 1.0 - rejected - float(refused[second] @ missed)


def _powers(high: Values, low: Values, n: int) -> Values:
    """(high^n - low^n) / (high - low), as the sum of n products."""
    total = np.zeros_like(high)
    for k in range(n):
        total = total + high**k * low ** (n - 1 - k)
    return total


def _suffix_sums(values: Values) -> Values:
    """The sum of the values from each place on, and 0 beyond the last."""
    return np.append(np.cumsum(values[::-1])[::-1], 0.0)

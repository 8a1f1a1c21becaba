"""Expected acceptance that takes more than a line: selection of one draft, pairs without
replacement, the truncated linear program.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linprog

Law = NDArray[np.float64]

STEPS = 64
FARTHEST = 22
OFFSET = math.sqrt(0.5)
SLOPE = 1e-5


class Picks(NamedTuple):
    """The draft in the highest cell, the first of those there.

    Attributes:
      cell: [V], of each token, the highest first.
      onward: [C], q mass of each cell and all lower ones; after: of the lower ones.
      law: [V], of the pick.
    """

    cell: NDArray[np.int64]
    onward: Law
    after: Law
    law: Law


def picks(q: Law, cell: NDArray[np.int64], n: int) -> Picks:
    """Of n iid drafts, T^n - U^n is the chance of a cell, T, U its q mass onward and after; in it,
    the pick is a draw from q.
    """
    mass: Law = np.bincount(cell, weights=q).astype(np.float64)
    onward = np.cumsum(mass[::-1])[::-1]
    after = np.append(onward[1:], 0.0)
    return Picks(
        cell, onward, after, q * sum(onward**k * after ** (n - 1 - k) for k in range(n))[cell]
    )


def cells(p: Law, q: Law) -> NDArray[np.int64]:
    """p/q in steps of e^(1/64), up to 22 factors e from 1; the highest first, none empty."""
    with np.errstate(divide="ignore", invalid="ignore"):
        steps = np.floor(STEPS * np.log(np.where(p > 0, np.divide(p, q), 0.0)) + OFFSET)
    return np.unique(-np.clip(steps, -STEPS * FARTHEST, STEPS * FARTHEST), return_inverse=True)[1]


def importance_weighted(p: Law, q: Law, n: int) -> float:
    """Acceptance where the draft of largest p/q is picked with the best probability w, else the
    first one, then the one-draft rule.

    1 - P(the pick x is refused, and the residual's y was not drafted). Without q_y, a cell has the
    chance (T - q_y)^n - (U - q_y)^n if it is higher than that of y, (T - q_y)^n - U^n if it is its
    own, T^n - U^n if it is lower, and each of its tokens an even part of it. Cost: O(V log V + V
    n). Source: khisti2024multidraft.
    """
    cell, onward, after, largest = picks(q, cells(p, q), n)
    weight = selection_weight(p, q, largest)
    r = q + weight * (largest - q)
    rest = np.maximum(p - r, 0.0)
    if rest.sum() == 0.0:
        return 1.0
    refusal = q * np.divide(np.maximum(r - p, 0.0), r, out=np.zeros_like(r), where=r > 0)
    by_first = refusal.sum() * (1.0 - q) ** (n - 1)
    refused = np.bincount(cell, weights=refusal)
    per_mass = [
        refused * sum(onward**k * after ** (m - 1 - k) for k in range(m)) for m in range(1, n + 1)
    ]
    by_largest = (per_mass[-1].sum() - np.cumsum(per_mass[-1]))[cell]
    by_largest += refused[cell] * sum(
        (onward[cell] - q) ** k * after[cell] ** (n - 1 - k) for k in range(n)
    )
    for k in range(n):
        by_largest += (
            math.comb(n, k)
            * (-q) ** k
            * (np.cumsum(per_mass[n - 1 - k]) - per_mass[n - 1 - k])[cell]
        )
    unseen = (1.0 - weight) * by_first + weight * by_largest
    return float(1.0 - rest @ unseen / rest.sum())


def selection_weight(p: Law, q: Law, largest: Law) -> float:
    """The least w in [0, 1] beyond which sum min(p, q + w (largest - q)) rises by no more than 1e-5
    w.

    Its slope is the sum of largest - q over the tokens that stay below p; each token leaves or
    joins once, at (p - q) / (largest - q).
    """
    change = largest - q
    moving = change != 0
    change = change[moving]
    gap = (p - q)[moving]
    turns = np.clip(gap / change, 0.0, 1.0)
    slope = float(change[(gap > 0) | ((gap == 0) & (change < 0))].sum())
    order = np.argsort(turns, kind="stable")
    inside = order[
        (gap[order] != 0) & (np.sign(gap[order]) == np.sign(change[order])) & (turns[order] < 1)
    ]
    if slope <= SLOPE:
        return 0.0
    slopes = slope - np.cumsum(np.abs(change[inside]))
    flat = np.flatnonzero(slopes <= SLOPE)
    return float(turns[inside[flat[0]]]) if len(flat) else 1.0


def pairs_without_replacement(p: Law, q: Law) -> float:
    """Recursive rejection of two drafts: 1 - sum_x (q - p)+(x) sum_y ((p - q)+(y) / Z - q(y) / (1 -
    q(x)))+, Z = sum (p - q)+.

    Tokens by (p - q)+ / q, so that the inner sum is a suffix. Cost: O(V log V). Source:
    jeon2024recursive.
    """
    excess = np.maximum(p - q, 0.0)
    refused = np.maximum(q - p, 0.0)
    z = excess.sum()
    if z == 0.0:
        return 1.0
    with np.errstate(divide="ignore"):
        ratio = np.divide(excess, q, out=np.zeros_like(q), where=excess > 0) / z
    order = np.argsort(ratio, kind="stable")
    onward = [np.append(np.cumsum(x[order][::-1])[::-1], 0.0) for x in (excess / z, q)]
    left = 1.0 - q
    left[np.argmax(q)] = np.delete(q, np.argmax(q)).sum()
    rejected = float(refused[left == 0].sum())  # no second token can be drafted
    scale = 1.0 / left[left > 0]
    start = np.searchsorted(ratio[order], scale)
    return 1.0 - rejected - float(refused[left > 0] @ (onward[0][start] - scale * onward[1][start]))


class Truncated(NamedTuple):
    """The truncated linear program for two drafts.

    Attributes:
      acceptance: sum min(p, r) of the weights found: what the rule accepts before its residual
        lands on the other draft.
      guarantee: alpha* - sum over the tokens that were left out of (p - q^2)+, which the acceptance
        is proven to reach.
    """

    acceptance: float
    guarantee: float


def truncated_linear(
    p: Law,
    q: Law,
    kept: int,
    optimum: float,
) -> Truncated:
    """Selection between two iid drafts with a weight for each pair of the `kept` tokens of largest
    p - q^2, set by a linear program.

    Of any other pair the token earlier in that order is picked. Left-out tokens keep r >= q^2, kept
    ones lose nothing to them: hence the guarantee. It says nothing where the left-out tokens hold
    more of p than two drafts add: there it is below sum min(p, q).

    Arguments:
      kept: how many tokens, from 1 to V; the program has kept^2 / 2 weights.
      optimum: alpha* of two iid drafts.
    Raises:
      RuntimeError: the solver failed, with its status.
    Cost: O(V log V) and the program. Source: khisti2024multidraft, section 4.
    """
    order = np.argsort(-(p - q**2), kind="stable")
    law = picks(q, np.argsort(order), 2).law
    top = order[:kept]
    first, second = np.triu_indices(len(top), 1)
    pairs = np.arange(len(first))
    # minus what the picked law gains, plus z, its part below p
    transfer = np.zeros((len(top), len(first) + len(top)))
    both = 2.0 * q[top][first] * q[top][second]
    transfer[first, pairs], transfer[second, pairs] = -both, both
    transfer[:, len(first) :] = np.eye(len(top))
    base = law[top] - np.bincount(first, both, len(top))
    room = base + np.bincount(second, both, len(top))
    bounds = [(0.0, 1.0)] * len(first) + [(0.0, mass) for mass in p[top]]
    solution = linprog(
        np.repeat((0.0, -1.0), (len(first), len(top))),
        A_ub=transfer,
        b_ub=room,
        bounds=bounds,
        method="highs",
    )
    if solution.status != 0:
        raise RuntimeError(f"linprog failed with status {solution.status}: {solution.message}")
    rest = order[kept:]
    acceptance = -float(solution.fun) + float(np.minimum(p[rest], law[rest]).sum())
    return Truncated(acceptance, optimum - float(np.maximum(p[rest] - q[rest] ** 2, 0.0).sum()))

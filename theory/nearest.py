"""e_1, the law nearest to p among the emitted laws of rules that always accept a draft.

Such a rule emits e with e(H) >= Q(H) for every set H of tokens, Q(H) = P(all drafts lie in H). In
every f-divergence at once the nearest is the lexicographically optimal base of Q with weights p
(fujishige1980lexicographically): the set of largest Q/p is given Q of it in proportion to p, then
the next. Where the best sets are prefixes of one order, these are the steps of the least concave
majorant of the points (p(H_k), Q(H_k)).
"""

import numpy as np

from theory import drafting, subsets
from theory._arrays import Indices, Law, Values
from theory.problem import Problem

SETS_OF = 14  # the most tokens for which all sets are looked at
TIE = 1e-12  # slopes so near are one


def law(problem: Problem) -> Law:
    """e_1 by the scheme's order of the tokens, or through all sets.

    Cost: O(V log V), without replacement O(V n nodes); O(V 2^V) for schemes without an order.

    Args:
      problem: the laws, the number of drafts and the scheme.

    Returns:
      The law [V].

    Raises:
      ValueError: the scheme has no order, and V exceeds 14.

    Example:
      >>> from theory import Problem, nearest
      >>> nearest.law(Problem([0.5, 0.3, 0.2], [0.2, 0.3, 0.5], 2, "iid")).round(6).tolist()
      [0.36, 0.384, 0.256]
    """
    if not drafting.has_order(problem.drafting):
        return by_sets(problem)
    order, inside = drafting.ordered(problem.drafting).prefixes(
        problem.p,
        problem.q,
        problem.n,
    )
    steps = majorant(problem.p[order], inside)
    found = np.empty_like(problem.p)
    found[order] = steps
    return found / found.sum()


def by_sets(problem: Problem) -> Law:
    """e_1 by the sets of largest Q/p, one after another, among all subsets.

    Cost: O(V 2^V) beside the enumeration.

    Args:
      problem: at most 14 tokens.

    Returns:
      The law [V].

    Raises:
      ValueError: V exceeds 14, or the joint law is too large to enumerate.
    """
    size = len(problem.p)
    if size > SETS_OF:
        raise ValueError(f"by_sets: expected at most {SETS_OF} tokens, got {size}")
    bits = 1 << np.arange(size)
    inside = subsets.inside(problem)
    mass = subsets.over_subsets(bits, problem.p, size)
    every = np.arange(1 << size)
    found = np.zeros(size)
    done = 0
    while done != every[-1]:
        larger = (every & done) == done
        larger[done] = False
        grown = every[larger]
        more = mass[grown] - mass[done]
        gain = inside[grown] - inside[done]
        best = _steepest(more, gain)
        added = (grown[best] & ~done & bits) > 0
        weights = problem.p[added]
        if more[best] <= 0.0:
            weights = np.ones_like(weights)
        found[added] = gain[best] * weights / weights.sum()
        done = int(grown[best])
    return found / found.sum()


def majorant(p: Law, inside: Values) -> Law:
    """The steps of the least concave majorant of the points (p(H_k), Q(H_k)).

    Where p is 0 a step is that of Q.

    Args:
      p: [V], in the order of the prefixes.
      inside: [V + 1], Q(H_k).

    Returns:
      The steps [V], which sum to 1.
    """
    below = np.clip(inside, 0.0, 1.0)
    below = np.maximum.accumulate(below)
    below[-1] = 1.0
    masses = np.append(0.0, np.cumsum(p))
    corners = _corners(masses, below)
    width = np.diff(masses[corners])
    height = np.diff(below[corners])
    slope = np.divide(
        height,
        width,
        out=np.zeros_like(height),
        where=width > 0.0,
    )
    pool = np.repeat(np.arange(len(width)), np.diff(corners))
    steps = np.diff(below)
    return np.where(width[pool] > 0.0, slope[pool] * p, steps)


def _corners(masses: Values, below: Values) -> Indices:
    """The points at which the least concave majorant turns, both ends included."""
    corners = [0]
    for place in range(1, len(masses)):
        while len(corners) > 1 and _is_under(
            masses,
            below,
            corners[-2],
            corners[-1],
            place,
        ):
            corners.pop()
        corners.append(place)
    return np.array(corners, np.int64)


def _is_under(
    masses: Values,
    below: Values,
    start: int,
    middle: int,
    end: int,
) -> bool:
    """Whether the middle point lies on or under the line between the others."""
    width = masses[middle] - masses[start]
    height = below[middle] - below[start]
    more = masses[end] - masses[middle]
    gain = below[end] - below[middle]
    apart = width + more > 0.0
    return bool(apart and gain * width >= height * more)


def _steepest(more: Values, gain: Values) -> int:
    """The set of largest gain / more, of such the largest; where more is 0, a gain comes first."""
    slope = np.divide(
        gain,
        more,
        out=np.where(gain > 0.0, np.inf, -1.0),
        where=more > 0.0,
    )
    best = slope.max()
    least = best
    if np.isfinite(best):
        least = best - TIE * max(best, 1.0)
    size = np.where(slope >= least, more + gain, -1.0)
    return int(np.argmax(size))

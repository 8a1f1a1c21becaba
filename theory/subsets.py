"""alpha* by the subset formula, the dual of the transport problem."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from theory import drafting
from theory.problem import Bound, Problem

BRUTE_FORCE_TOKENS = 20


def optimum(problem: Problem) -> Bound:
    """alpha* = 1 + min_H [p(H) - Q(H)] by the scheme's own formula.

    Raises:
      ValueError: the scheme has no formula.
    Cost: O(V log V), without replacement O(V n nodes). Source: hu2025towards.
    """
    value, subset = drafting.solved(problem.drafting).optimum(problem.p, problem.q, problem.n)
    return Bound(value, subset, None, math.nan)


def brute_force(problem: Problem) -> Bound:
    """alpha* = 1 + min_H [p(H) - Q(H)] over all 2^V subsets.

    Raises:
      ValueError: V exceeds 20, or the joint law is too large to enumerate.
    Cost: O(V 2^V) beside the enumeration.
    """
    vocabulary = len(problem.p)
    if vocabulary > BRUTE_FORCE_TOKENS:
        raise ValueError(
            f"brute_force: expected at most {BRUTE_FORCE_TOKENS} tokens, got {vocabulary}"
        )
    joint = problem.joint()
    bits = 1 << np.arange(vocabulary)
    drafts = np.bitwise_or.reduce(bits[joint.tokens], axis=1)
    slack = _over_subsets(bits, problem.p, vocabulary) - _over_subsets(
        drafts, joint.mass, vocabulary
    )
    best = int(np.argmin(slack))
    return Bound(1.0 + float(slack[best]), (best & bits) > 0, None, math.nan)


def _over_subsets(
    keys: NDArray[np.int64], mass: NDArray[np.float64], vocabulary: int
) -> NDArray[np.float64]:
    """For each subset H, as a bit mask, the mass of the keys that lie in H (zeta transform)."""
    table = np.asarray(np.bincount(keys, mass, 1 << vocabulary), np.float64).reshape(
        (2,) * vocabulary
    )
    for axis in range(vocabulary):
        table = table.cumsum(axis=axis)
    return table.reshape(-1)

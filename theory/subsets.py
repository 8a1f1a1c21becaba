"""alpha* by the subset formula, the dual of the transport problem."""

import math

import numpy as np

from theory import drafting
from theory._arrays import Indices, Values
from theory.problem import Bound, Problem

BRUTE_FORCE_TOKENS = 20


def optimum(problem: Problem) -> Bound:
    """alpha* = 1 + min_H [p(H) - Q(H)] by the scheme's own formula.

    Cost: O(V log V), without replacement O(V n nodes). Source: hu2025towards.

    Args:
      problem: the laws, the number of drafts and the scheme.

    Returns:
      alpha* and a best subset H, without a coupling.

    Raises:
      ValueError: the scheme has no formula.

    Example:
      >>> from theory import Problem, subsets
      >>> bound = subsets.optimum(Problem([0.5, 0.3, 0.2], [0.2, 0.3, 0.5], 2, "iid"))
      >>> round(bound.value, 6), bound.subset.tolist()
      (0.86, [False, True, True])
    """
    scheme = drafting.solved(problem.drafting)
    value, subset = scheme.optimum(problem.p, problem.q, problem.n)
    return Bound(
        value=value,
        subset=subset,
        coupling=None,
        gap=math.nan,
    )


def brute_force(problem: Problem) -> Bound:
    """alpha* = 1 + min_H [p(H) - Q(H)] over all 2^V subsets.

    Cost: O(V 2^V) beside the enumeration.

    Args:
      problem: at most 20 tokens.

    Returns:
      alpha* and a best subset H, without a coupling.

    Raises:
      ValueError: V exceeds 20, or the joint law is too large to enumerate.

    Example:
      >>> from theory import Problem, subsets
      >>> problem = Problem([0.5, 0.3, 0.2], [0.2, 0.3, 0.5], 2, "without_replacement")
      >>> round(subsets.brute_force(problem).value, 6)
      0.985714
    """
    vocabulary = len(problem.p)
    if vocabulary > BRUTE_FORCE_TOKENS:
        raise ValueError(
            f"brute_force: expected at most {BRUTE_FORCE_TOKENS} tokens, got {vocabulary}"
        )
    bits = 1 << np.arange(vocabulary)
    slack = over_subsets(bits, problem.p, vocabulary) - inside(problem)
    best = int(np.argmin(slack))
    return Bound(
        value=1.0 + float(slack[best]),
        subset=(best & bits) > 0,
        coupling=None,
        gap=math.nan,
    )


def inside(problem: Problem) -> Values:
    """Q(H), the probability that all drafts lie in H, for every subset H as a bit mask [2^V].

    Args:
      problem: the laws, the number of drafts and the scheme.

    Returns:
      The probabilities.

    Raises:
      ValueError: the joint law is too large to enumerate.
    """
    joint = problem.joint()
    bits = 1 << np.arange(len(problem.p))
    drafts = np.bitwise_or.reduce(bits[joint.tokens], axis=1)
    return over_subsets(drafts, joint.mass, len(problem.p))


def over_subsets(keys: Indices, mass: Values, vocabulary: int) -> Values:
    """For each subset H, as a bit mask, the mass of the keys that lie in H (zeta transform).

    Args:
      keys: [K], subsets as bit masks.
      mass: [K], the mass of each.
      vocabulary: V.

    Returns:
      The masses [2^V].
    """
    counts = np.bincount(keys, mass, 1 << vocabulary)
    table = np.asarray(counts, np.float64).reshape((2,) * vocabulary)
    for axis in range(vocabulary):
        table = table.cumsum(axis=axis)
    return table.reshape(-1)

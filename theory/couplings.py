"""P(the token is among the drafts) for couplings that share their noise.

It is exact for one draft, and a lower bound for a list.
"""

import numpy as np
from numpy.typing import ArrayLike

from theory._arrays import Law
from theory.problem import as_law


def gumbel(p: ArrayLike, q: ArrayLike) -> float:
    """sum_j 1 / sum_i max(p_i / p_j, q_i / q_j): the same token wins both races.

    Cost: a sort of V. Source: daliri2024coupling.

    Args:
      p: target law [V].
      q: draft law [V].

    Returns:
      The probability, in [0, 1].

    Raises:
      ValueError: p or q is not a law, or their vocabularies differ.

    Example:
      >>> from theory import couplings
      >>> round(couplings.gumbel([0.5, 0.3, 0.2], [0.2, 0.3, 0.5]), 6)
      0.630769
    """
    return gumbel_list(p, q, 1)


def gumbel_list(p: ArrayLike, q: ArrayLike, n: int) -> float:
    """sum_j n / (sum_i max(p_i / p_j, q_i / q_j) + (n - 1) / p_j), a lower bound.

    It is exact for n = 1. By falling p/q, max(p_i / p_j, q_i / q_j) is p_i / p_j for the tokens
    before j and q_i / q_j from j on. Cost: a sort of V. Source: rowan2025list.

    Args:
      p: target law [V].
      q: draft law [V].
      n: number of drafts, at least 1.

    Returns:
      The bound, in [0, 1].

    Raises:
      ValueError: p or q is not a law, their vocabularies differ, or n < 1.
    """
    if n < 1:
        raise ValueError(f"n: expected at least 1, got {n}")
    first, second = _pair(p, q)
    shared = (first > 0) & (second > 0)
    only_target = first[second == 0].sum()
    only_draft = second[first == 0].sum()
    first = first[shared]
    second = second[shared]
    order = np.argsort(-(first / second), kind="stable")
    first = first[order]
    second = second[order]
    before = only_target + np.cumsum(first) - first
    falling = np.cumsum(second[::-1])
    onward = only_draft + falling[::-1]
    times = (before + n - 1) / first + onward / second
    return float(np.sum(n / times))


def minhash(p: ArrayLike, q: ArrayLike) -> float:
    """(sum min + sum (q - p)+ p + sum (p - q)+ q) / sum max, for weighted MinHash.

    The two agree on the first point, or on its token by two points. The first point below
    max(p, q), on token j, may serve the draft alone. Then the token is still to come, with law p:
    it is j with probability p_j. The same holds with p and q exchanged. Cost: O(V). Source:
    daliri2024coupling, whose sum min / sum max counts points.

    Args:
      p: target law [V].
      q: draft law [V].

    Returns:
      The probability, in [0, 1].

    Raises:
      ValueError: p or q is not a law, or their vocabularies differ.

    Example:
      >>> from theory import couplings
      >>> round(couplings.minhash([0.5, 0.3, 0.2], [0.2, 0.3, 0.5]), 6)
      0.630769
    """
    first, second = _pair(p, q)
    low = np.minimum(first, second)
    high = np.maximum(first, second)
    one_sided = ((high - low) * low).sum()
    return float((low.sum() + one_sided) / high.sum())


def _pair(p: ArrayLike, q: ArrayLike) -> tuple[Law, Law]:
    first = as_law("p", p)
    second = as_law("q", q)
    if first.shape != second.shape or first.ndim != 1:
        raise ValueError(f"q: expected the shape of p, (V,) = {first.shape}, got {second.shape}")
    return first, second

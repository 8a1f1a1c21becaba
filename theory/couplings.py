"""P(the token is among the drafts) for couplings that share their noise: exact for one draft, a
lower bound for a list.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from theory.problem import as_law

Law = NDArray[np.float64]


def gumbel(p: ArrayLike, q: ArrayLike) -> float:
    """sum_j 1 / sum_i max(p_i / p_j, q_i / q_j): the same token wins both races. Cost: a sort of V.
    Source: daliri2024coupling.
    """
    return gumbel_list(p, q, 1)


def gumbel_list(p: ArrayLike, q: ArrayLike, n: int) -> float:
    """sum_j n / (sum_i max(p_i / p_j, q_i / q_j) + (n - 1) / p_j), a lower bound; exact for n = 1.

    By falling p/q, max(p_i / p_j, q_i / q_j) is p_i / p_j for the tokens before j and q_i / q_j
    from j on. Cost: a sort of V. Source: rowan2025list.

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
    onward = only_draft + np.cumsum(second[::-1])[::-1]
    return float(np.sum(n / ((before + n - 1) / first + onward / second)))


def minhash(p: ArrayLike, q: ArrayLike) -> float:
    """(sum min + sum (q - p)+ p + sum (p - q)+ q) / sum max: agreement on the first point, or on
    its token by two points.

    Where the first point below max(p, q), on token j, serves the draft alone, the token is still to
    come, with law p: it is j with probability p_j; and with p and q exchanged. Cost: O(V). Source:
    daliri2024coupling, whose sum min / sum max counts points.
    """
    first, second = _pair(p, q)
    low = np.minimum(first, second)
    high = np.maximum(first, second)
    return float((low.sum() + ((high - low) * low).sum()) / high.sum())


def _pair(p: ArrayLike, q: ArrayLike) -> tuple[Law, Law]:
    first = as_law("p", p)
    second = as_law("q", q)
    if first.shape != second.shape or first.ndim != 1:
        raise ValueError(f"q: expected the shape of p, (V,) = {first.shape}, got {second.shape}")
    return first, second

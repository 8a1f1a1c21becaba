"""From acceptance to speed."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike


def flat(tokens: int) -> float:
    """The cost curve of a target for which scoring many tokens costs as much as one."""
    return 1.0


def cost_curve(tokens: ArrayLike, costs: ArrayLike) -> Callable[[int], float]:
    """c(T) by linear interpolation between measured points; c(1) = 1 is known.

    Arguments:
      tokens: numbers of tokens scored at once, ascending, above 1.
      costs: their costs in units of scoring one token.
    Raises:
      ValueError: the shapes differ, or the tokens are not ascending and above 1. The curve raises
        beyond its last point.
    """
    points = np.asarray(tokens, np.float64)
    values = np.asarray(costs, np.float64)
    if points.ndim != 1 or points.shape != values.shape or len(points) == 0:
        raise ValueError(
            f"costs: expected one per entry of tokens, got shapes {points.shape} and {values.shape}"
        )
    if not (np.diff(points, prepend=1.0) > 0).all():
        raise ValueError(f"tokens: expected ascending numbers above 1, got {points.tolist()}")

    def curve(count: int) -> float:
        if not 1 <= count <= points[-1]:
            raise ValueError(
                f"count: expected between 1 and the last measured point {points[-1]:g}, got {count}"
            )
        return float(np.interp(count, np.insert(points, 0, 1.0), np.insert(values, 0, 1.0)))

    return curve


def expected_tokens(alpha: float, length: int) -> float:
    """Emitted tokens per target call with the bonus token, (1 - alpha^(g+1)) / (1 - alpha) =
    sum_{i<=g} alpha^i.

    Arguments:
      alpha: acceptance of each draft given those before it, independent of position, in [0, 1].
      length: g, drafted tokens per call, at least 0.
    Raises:
      ValueError: an argument out of its range.
    Source: leviathan2023fast.
    """
    if not 0.0 <= alpha <= 1.0:
        raise ValueError(f"alpha: expected a probability, got {alpha}")
    if length < 0:
        raise ValueError(f"length: expected at least 0, got {length}")
    return float((alpha ** np.arange(length + 1)).sum())


def speedup(
    alpha: float,
    length: int,
    draft_cost: float,
    scoring_cost: Callable[[int], float] = flat,
) -> float:
    """Tokens per unit of time against plain decoding: expected tokens over (g c + c(g + 1)).

    Arguments:
      alpha: acceptance of each draft, in [0, 1].
      length: g, drafted tokens per call.
      draft_cost: c, the cost of one draft in units of scoring one token with the target.
      scoring_cost: c(T), the cost of scoring T tokens at once in the same unit.
    Raises:
      ValueError: an argument out of its range.
    Source: leviathan2023fast.
    """
    if not draft_cost >= 0.0:
        raise ValueError(f"draft_cost: expected at least 0, got {draft_cost}")
    return expected_tokens(alpha, length) / (length * draft_cost + scoring_cost(length + 1))

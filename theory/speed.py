"""From acceptance to speed."""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import ArrayLike

CostCurve = Callable[[int], float]


def flat(tokens: int) -> float:
    """The cost curve of a target for which scoring many tokens costs as much as one.

    Args:
      tokens: how many tokens are scored at once.

    Returns:
      1.
    """
    return 1.0


def cost_curve(tokens: ArrayLike, costs: ArrayLike) -> CostCurve:
    """c(T) by linear interpolation between measured points; c(1) = 1 is known.

    Args:
      tokens: numbers of tokens scored at once, ascending, above 1.
      costs: their costs in units of scoring one token.

    Returns:
      The curve. It raises ValueError below 1 and beyond its last point.

    Raises:
      ValueError: the shapes differ, or the tokens are not ascending and above 1.
    """
    points = np.asarray(tokens, np.float64)
    values = np.asarray(costs, np.float64)
    if points.ndim != 1 or points.shape != values.shape or len(points) == 0:
        raise ValueError(
            f"costs: expected one per entry of tokens, got shapes {points.shape} and {values.shape}"
        )
    if not (np.diff(points, prepend=1.0) > 0).all():
        raise ValueError(f"tokens: expected ascending numbers above 1, got {points.tolist()}")
    points = np.insert(points, 0, 1.0)
    values = np.insert(values, 0, 1.0)

    def curve(count: int) -> float:
        if not 1 <= count <= points[-1]:
            raise ValueError(
                f"count: expected between 1 and the last measured point {points[-1]:g}, got {count}"
            )
        return float(np.interp(count, points, values))

    return curve


def expected_tokens(alpha: float, length: int) -> float:
    """Emitted tokens per target call, with the bonus token.

    They are (1 - alpha^(g+1)) / (1 - alpha) = sum_{i<=g} alpha^i. Source: leviathan2023fast.

    Args:
      alpha: acceptance of each draft given those before it, the same at each position, in [0, 1].
      length: g, drafted tokens per call, at least 0.

    Returns:
      The expectation, in [1, g + 1].

    Raises:
      ValueError: an argument is out of its range.

    Example:
      >>> from theory import speed
      >>> round(speed.expected_tokens(0.8, 5), 6)
      3.68928
    """
    if not 0.0 <= alpha <= 1.0:
        raise ValueError(f"alpha: expected a probability, got {alpha}")
    if length < 0:
        raise ValueError(f"length: expected at least 0, got {length}")
    return float((alpha ** np.arange(length + 1)).sum())


def speedup(alpha: float, length: int, draft_cost: float, scoring_cost: CostCurve = flat) -> float:
    """Tokens per unit of time against plain decoding: expected tokens over (g c + c(g + 1)).

    Source: leviathan2023fast.

    Args:
      alpha: acceptance of each draft, in [0, 1].
      length: g, drafted tokens per call, at least 0.
      draft_cost: c, the cost of one draft in units of scoring one token with the target.
      scoring_cost: c(T), the cost of scoring T tokens at once in the same unit.

    Returns:
      The ratio of the two speeds.

    Raises:
      ValueError: an argument is out of its range.

    Example:
      >>> from theory import speed
      >>> round(speed.speedup(0.8, 5, draft_cost=0.1), 6)
      2.45952
    """
    if not draft_cost >= 0.0:
        raise ValueError(f"draft_cost: expected at least 0, got {draft_cost}")
    cost = length * draft_cost + scoring_cost(length + 1)
    return expected_tokens(alpha, length) / cost


def tokens_by_depth(alphas: Sequence[float]) -> float:
    """Emitted tokens per target call on a chain whose acceptance differs by depth.

    They are 1 + a_1 + a_1 a_2 + ..; with one acceptance for all it is `expected_tokens`.

    Args:
      alphas: acceptance of the draft at each depth given those before it, each in [0, 1].

    Returns:
      The expectation, in [1, len(alphas) + 1].

    Raises:
      ValueError: an acceptance is no probability.

    Example:
      >>> from theory import speed
      >>> speed.tokens_by_depth([0.5, 0.5]), speed.tokens_by_depth([1, 0.0])
      (1.75, 2.0)
    """
    given = np.asarray(alphas, np.float64)
    if not ((given >= 0) & (given <= 1)).all():
        raise ValueError(f"alphas: expected probabilities, got {list(alphas)}")
    return float(1 + np.cumprod(given).sum())


def step(target: CostCurve, draft: CostCurve, widths: Sequence[int], nodes: int) -> float:
    """The cost of the forwards of one step: the target scores the tree, the draft all but leaves.

    The draft's first forward is of two tokens: the last level of a tree is scored with the next.

    Args:
      target: the cost of scoring so many tokens at once.
      draft: likewise, in the same unit.
      widths: the number of nodes drafted at each level; the root's 1 is the first.
      nodes: how many of all these the target scores.

    Returns:
      The cost, in that unit.

    Example:
      >>> from theory import speed
      >>> speed.step(float, float, (1, 2, 4), 7)  # c(T) = T: 7 tokens, then 2 and 2
      11.0
    """
    if len(widths) == 1:
        return target(1)
    return target(nodes) + draft(2) + sum(draft(width) for width in widths[1:-1])

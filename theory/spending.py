"""How bias is spent over contexts: at one price, with one KL or with one TV in each.

At one price the mean acceptance is the largest at its mean KL. The others are what a budget per
token gives. Points are named by what they reject, 1 - A.
"""

from collections.abc import Callable, Sequence

import numpy as np
from scipy.optimize import brentq

from theory._arrays import Values
from theory.curve import Curve

DEAREST = 700.0  # the largest price
FINE = 1e-14  # of roots
TURNS = 1000  # the most of a root


def same_price(curves: Sequence[Curve], price: float) -> Values:
    """1 - A of every context at one price."""
    return np.array([curve.at_price(price) for curve in curves])


def same_kl(curves: Sequence[Curve], budget: float) -> Values:
    """1 - A of every context at one KL, or at the end of its front."""
    return np.array([curve.at_kl(budget) for curve in curves])


def same_tv(curves: Sequence[Curve], budget: float) -> Values:
    """1 - A of every context at one TV, or at the end of its front."""
    return np.array([curve.at_tv(budget) for curve in curves])


def kl(curves: Sequence[Curve], rejected: Values) -> Values:
    """KL of every context in nats, where it rejects so much.

    Args:
      curves: the fronts.
      rejected: [C], 1 - A of each.

    Returns:
      The divergences [C].
    """
    places = zip(curves, rejected, strict=True)
    return np.array([curve.kl(point) for curve, point in places], float)


def price_of_kl(curves: Sequence[Curve], mean: float) -> float:
    """The price at which the mean KL is so large.

    Args:
      curves: the fronts.
      mean: in nats.

    Returns:
      The price.
    """

    def short(price: float) -> float:
        return mean - float(kl(curves, same_price(curves, price)).mean())

    return _root(short, DEAREST)


def tv_of_kl(curves: Sequence[Curve], mean: float) -> float:
    """The TV of each context at which the mean KL is so large."""

    def short(budget: float) -> float:
        return mean - float(kl(curves, same_tv(curves, budget)).mean())

    return _root(short, 1.0)


def price_of_rejections(curves: Sequence[Curve], mean: float) -> float:
    """The price at which the mean of 1 - A is so small.

    Args:
      curves: the fronts.
      mean: of 1 - A.

    Returns:
      The price; the largest one if no finite KL buys so much.
    """

    def over(price: float) -> float:
        return float(same_price(curves, price).mean()) - mean

    return _root(over, DEAREST)


def _root(falling: Callable[[float], float], end: float) -> float:
    """The root of a falling function in [0, end], or the end that lies nearer to it."""
    if falling(end) >= 0.0:
        return end
    if falling(0.0) <= 0.0:
        return 0.0
    return float(brentq(falling, 0.0, end, xtol=FINE, maxiter=TURNS))

"""The front of one context as a table, between whose rows every point has a closed form.

With r = e_1/p sorted, sum (e_1 - b p)+ is linear in b between neighbouring r, and so is sum (a p -
e_1)+ in a. Hence both levels are linear in 1 - A between the corners of the table. Sums over the
tokens above b and below a are suffix and prefix sums. `theory.front` finds the same points by
roots.
"""

from dataclasses import dataclass

import numpy as np
from scipy.optimize import brentq
from scipy.special import xlogy

from theory import nearest
from theory._arrays import Law, Values
from theory.front import LARGEST
from theory.problem import Problem

FINE = 1e-15  # of roots
ROUNDING = 1e-12  # of sums over a vocabulary


@dataclass(frozen=True, eq=False)
class Curve:
    """Acceptance and KL along the front, as far as KL is finite.

    Points are named by what they reject, 1 - A.

    Attributes:
      ratios: [K], the e_1/p of the tokens that p emits, ascending.
      below: [K + 1], the p mass of the first k of them.
      above: [K + 1], the p mass of the others.
      inside: [K + 1], the sum of e_1 log(e_1/p) over the first k.
      rejected: [S], 1 - A at the corners, ascending; the last is 1 - alpha*.
      low: [S], the level a at the corners.
      high: [S], the level b at the corners.
    """

    ratios: Values
    below: Values
    above: Values
    inside: Values
    rejected: Values
    low: Values
    high: Values

    @property
    def alpha_star(self) -> float:
        """The most that a lossless rule accepts."""
        return float(1.0 - self.rejected[-1])

    @property
    def least(self) -> float:
        """The least 1 - A of finite KL."""
        return float(self.rejected[0])

    def kl(self, rejected: Values | float) -> Values:
        """KL(e || p) in nats at points of the front.

        Args:
          rejected: 1 - A; above 1 - alpha* it counts as 1 - alpha*. nan gives nan.

        Returns:
          The divergences, infinite below the least 1 - A.
        """
        low = np.interp(rejected, self.rejected, self.low)
        high = np.interp(rejected, self.rejected, self.high)
        first = np.searchsorted(self.ratios, low, "left")
        last = np.searchsorted(self.ratios, high, "right")
        raised = xlogy(low * self.below[first], low)
        cut = xlogy(high * self.above[last], high)
        found = np.maximum(raised + cut + self.inside[last] - self.inside[first], 0.0)
        found = np.where(np.asarray(rejected) < self.least - ROUNDING, np.inf, found)
        return np.where(np.isnan(rejected), np.nan, found)

    def at_price(self, price: float) -> float:
        """1 - A where one more unit of acceptance costs so many nats, log(b/a).

        Args:
          price: at least 0; more than 700 counts as 700.

        Returns:
          The point, or an end of the front.
        """
        if price <= 0.0:
            return float(self.rejected[-1])
        factor = np.exp(min(price, LARGEST))
        # b - factor a falls along the front
        over = self.high - factor * self.low
        if over[0] <= 0.0:
            return self.least
        end = int(np.argmax(over <= 0.0))
        share = over[end - 1] / (over[end - 1] - over[end])
        step = self.rejected[end] - self.rejected[end - 1]
        return float(self.rejected[end - 1] + share * step)

    def at_tv(self, budget: float) -> float:
        """1 - A where TV(e, p) is the budget, or the end of the front."""
        return max(float(self.rejected[-1]) - budget, self.least)

    def at_kl(self, budget: float) -> float:
        """1 - A where KL(e || p) is the budget in nats, or the end of the front."""
        ends = (self.least, float(self.rejected[-1]))

        def surplus(rejected: float) -> float:
            return float(self.kl(rejected)) - budget

        if budget <= 0.0 or surplus(ends[0]) <= 0.0:
            return ends[1] if budget <= 0.0 else ends[0]
        return float(brentq(surplus, *ends, xtol=FINE))


def curve(problem: Problem) -> Curve:
    """The front of a problem as a table.

    Cost: that of `nearest.law` and a sort; a point takes O(log V), at a price O(V).

    Args:
      problem: the laws, the number of drafts and a scheme with an order of the tokens.

    Returns:
      The table.

    Example:
      >>> from theory import Problem, curve
      >>> edge = curve.curve(Problem([0.5, 0.3, 0.2], [0.2, 0.3, 0.5], 2, "iid"))
      >>> rejected = edge.at_tv(0.05)
      >>> round(1 - rejected, 6), round(float(edge.kl(rejected)), 6)
      (0.91, 0.005008)
    """
    return of_laws(problem.p, nearest.law(problem))


def of_laws(p: Law, nearest: Law) -> Curve:
    """The table of the bands of e_1.

    Args:
      p: target law [V].
      nearest: [V], e_1.

    Returns:
      The table.
    """
    emitted = p > 0.0
    held = p[emitted]
    ratios = nearest[emitted] / held
    order = np.argsort(ratios, kind="stable")
    ratios = ratios[order]
    mass = held[order]
    drafted = nearest[emitted][order]
    never = float(nearest[~emitted].sum())
    below = np.append(0.0, np.cumsum(mass))
    above = np.append(np.cumsum(mass[::-1])[::-1], 0.0)
    raised_from = np.append(0.0, np.cumsum(drafted))
    cut_from = np.append(np.cumsum(drafted[::-1])[::-1], 0.0) + never
    middle = int(np.searchsorted(ratios, 1.0))
    lows = np.append(ratios[:middle], 1.0)
    highs = np.append(1.0, ratios[middle:])
    raised = np.maximum(lows * below[: middle + 1] - raised_from[: middle + 1], 0.0)
    cut = np.maximum(cut_from[middle:] - highs * above[middle:], 0.0)
    raised = np.maximum.accumulate(raised)
    cut = np.minimum.accumulate(cut)
    ends = np.clip(np.union1d(raised, cut), cut[-1], raised[-1])
    rejected = np.unique(ends)
    return Curve(
        ratios=ratios,
        below=below,
        above=above,
        inside=np.append(0.0, np.cumsum(xlogy(drafted, ratios))),
        rejected=rejected,
        low=np.interp(rejected, raised, lows),
        high=np.interp(rejected, cut[::-1], highs[::-1]),
    )

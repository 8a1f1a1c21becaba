"""The exact front: the most acceptance at a given bias, and the emitted law that is best there.

A rule that accepts A of n drafts emits a law e with e(H) >= Q(H) - (1 - A) for every set H: if all
drafts lie in H and one is accepted, the token lies in H. Let e_1 be the nearest such law to p at
A = 1 (`theory.nearest`). For every A, every drafting scheme and every f-divergence at once, the
nearest law is a band of it:

    e = clip(e_1, a p, b p),  sum (e_1 - b p)+ = sum (a p - e_1)+ = 1 - A.

Proof. This e satisfies all constraints: e(H) >= e_1(H) - sum (e_1 - b p)+ >= Q(H) - (1 - A). Let
a < s < b, and T = {e_1 > s p}. Then e_1(T) = Q(T), and all of 1 - A is cut off inside T. So e(T) =
Q(T) - (1 - A), the least that a rule with this A can emit there. A convex f has f(e'/p) >= f(e/p) +
f'(e/p) (e' - e)/p, and the sum of p times the last term is the integral of e'(T) - e(T) >= 0 over
df'(s). So no such e' is nearer. At one draft e_1 is q.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.optimize import brentq

from theory import drafting, nearest, subsets
from theory._arrays import Law, Values
from theory.problem import Problem

LARGEST = 700.0  # the largest finite price: e^-700 is a number
FINE = 1e-15  # of roots
TURNS = 1000  # the most of a root


@dataclass(frozen=True, eq=False)
class Point:
    """A point of the front.

    Attributes:
      acceptance: A.
      law: [V], the emitted law e.
      p: [V], the target law.
      low: a, the smallest e/p.
      high: b, the largest e/p.
    """

    acceptance: float
    law: Law
    p: Law
    low: float
    high: float

    @property
    def price(self) -> float:
        """log(b/a), the nats of KL that one more unit of acceptance costs."""
        if self.low <= 0.0:
            return np.inf
        return float(np.log(self.high) - np.log(self.low))

    @property
    def tv(self) -> float:
        """TV(e, p), which is A - alpha*."""
        return float(np.abs(self.law - self.p).sum() / 2.0)

    @property
    def kl(self) -> float:
        """KL(e || p) in nats; infinite if e gives mass to a token that p never emits."""
        return divergence(self.law, self.p)


@dataclass(frozen=True, eq=False)
class Front:
    """The front of one problem.

    Attributes:
      p: [V], the target law.
      nearest: [V], e_1, the law nearest to p among those of rules that always accept.
    """

    p: Law
    nearest: Law

    @property
    def alpha_star(self) -> float:
        """The most that a lossless rule accepts, 1 - TV(e_1, p)."""
        return 1.0 - self._cut(1.0)

    def at_acceptance(self, acceptance: float) -> Point:
        """The best law of a rule that accepts so much.

        Args:
          acceptance: A in [0, 1]; for less than alpha* the point is that of alpha*.

        Returns:
          The point.
        """
        short = 1.0 - acceptance
        if acceptance <= self.alpha_star:
            return self._lossless()
        low = _root(lambda a: self._raised(a) - short, 0.0, 1.0)
        never = self.p <= 0.0
        beyond = float(self.nearest[never].sum())
        if short > beyond:
            high = _root(lambda b: self._cut(b) - short, 1.0, self._highest())
            return self._band(low, high)
        # what p never emits is cut first, and not all of it
        kept = self.nearest.copy()
        if beyond > 0.0:
            kept[never] *= 1.0 - short / beyond
        return Point(
            acceptance=acceptance,
            law=_whole(np.maximum(kept, low * self.p)),
            p=self.p,
            low=low,
            high=np.inf,
        )

    def at_price(self, price: float) -> Point:
        """The point at which one more unit of acceptance costs so many nats.

        Args:
          price: log(b/a), at least 0; more than 700 counts as 700.

        Returns:
          The point; from the largest price on, the last one of finite KL.
        """
        if price <= 0.0:
            return self._lossless()
        price = min(price, LARGEST)

        def surplus(height: float) -> float:
            cut = self._cut(np.exp(height))
            return cut - self._raised(np.exp(height - price))

        height = _root(surplus, 0.0, price)
        return self._band(np.exp(height - price), np.exp(height))

    def at_tv(self, budget: float) -> Point:
        """The point at which TV(e, p) is the budget, or the end of the front."""
        return self.at_acceptance(min(1.0, self.alpha_star + budget))

    def at_kl(self, budget: float) -> Point:
        """The point at which KL(e || p) is the budget in nats, or the last one of finite KL."""
        least = self.alpha_star
        most = 1.0 - float(self.nearest[self.p <= 0.0].sum())

        def surplus(acceptance: float) -> float:
            return self.at_acceptance(acceptance).kl - budget

        if least >= most or surplus(most) <= 0.0:
            return self.at_acceptance(most)
        return self.at_acceptance(_root(surplus, least, most))

    def at_ratio(self, budget: float) -> Point:
        """The point at which the largest e/p is the budget, at least 1."""
        return self.at_acceptance(1.0 - self._cut(budget))

    def _lossless(self) -> Point:
        return Point(
            acceptance=self.alpha_star,
            law=self.p,
            p=self.p,
            low=1.0,
            high=1.0,
        )

    def _band(self, low: float, high: float) -> Point:
        band = np.clip(self.nearest, low * self.p, high * self.p)
        return Point(
            acceptance=1.0 - self._cut(high),
            law=_whole(band),
            p=self.p,
            low=float(low),
            high=float(high),
        )

    def _cut(self, high: float) -> float:
        """sum (e_1 - b p)+, which is 1 - A."""
        over = self.nearest - high * self.p
        return float(np.maximum(over, 0.0).sum())

    def _raised(self, low: float) -> float:
        """sum (a p - e_1)+, which is 1 - A too."""
        under = low * self.p - self.nearest
        return float(np.maximum(under, 0.0).sum())

    def _highest(self) -> float:
        """The largest e_1/p at a token that p emits."""
        emitted = self.p > 0.0
        ratios = self.nearest[emitted] / self.p[emitted]
        return float(ratios.max())


def front(problem: Problem) -> Front:
    """The front of a problem.

    Cost: that of `nearest.law`; each point takes some 50 passes over V.

    Args:
      problem: the laws, the number of drafts and the scheme.

    Returns:
      The front.

    Raises:
      ValueError: the scheme has no order of the tokens, and V exceeds 14.

    Example:
      >>> from theory import Problem, front
      >>> edge = front.front(Problem([0.5, 0.3, 0.2], [0.2, 0.3, 0.5], 2, "iid"))
      >>> point = edge.at_tv(0.05)
      >>> round(point.acceptance, 6), point.law.round(6).tolist()
      (0.91, [0.45, 0.33, 0.22])
    """
    return Front(problem.p, nearest.law(problem))


def line(problem: Problem, tv: float) -> float:
    """The most that any rule accepts whose emitted law lies within tv of p: min(1, alpha* + tv).

    Any rule has A <= 1 + e(H) - Q(H), and e(H) <= p(H) + tv. The bound is attained: where the
    optimal plan would emit no draft, one of them is emitted now and then.

    Args:
      problem: the laws, the number of drafts and a scheme with a formula.
      tv: TV(e, p), in [0, 1].

    Returns:
      The acceptance.
    """
    return min(1.0, subsets.optimum(problem).value + tv)


def ratio(problem: Problem, budget: float) -> float:
    """The most that any rule accepts whose emitted law is at most budget p everywhere.

    It is 1 + min_H [budget p(H) - Q(H)], lenience for n drafts.

    Args:
      problem: the laws, the number of drafts and a scheme with an order.
      budget: the largest e/p, at least 1.

    Returns:
      The acceptance.
    """
    masses, inside = _prefixes(problem)
    return float(1.0 + np.min(budget * masses - inside))


def kl_bound(problem: Problem, budget: float) -> float:
    """An upper bound of the acceptance of any rule with KL(e || p) <= budget.

    A <= 1 + min_H [psi(p(H)) - Q(H)], where psi(u) is the largest v at which the KL of two coins v,
    u is within the budget (data processing).

    Args:
      problem: the laws, the number of drafts and a scheme with an order.
      budget: in nats, at least 0.

    Returns:
      The bound, in [0, 1].
    """
    masses, inside = _prefixes(problem)
    coins = [_largest_coin(mass, budget) for mass in masses]
    lowest = np.min(np.array(coins) - inside)
    return float(min(1.0, 1.0 + lowest))


def divergence(law: Law, p: Law) -> float:
    """KL(law || p) in nats.

    Args:
      law: [V].
      p: [V].

    Returns:
      The divergence, infinite if p is 0 where the law is not.
    """
    drawn = law > 0.0
    if np.any(p[drawn] <= 0.0):
        return np.inf
    ratios = law[drawn] / p[drawn]
    return float(law[drawn] @ np.log(ratios))


def _prefixes(problem: Problem) -> tuple[Values, Values]:
    """p(H) and Q(H) over the prefixes of the scheme's order."""
    order, inside = drafting.ordered(problem.drafting).prefixes(
        problem.p,
        problem.q,
        problem.n,
    )
    masses = np.append(0.0, np.cumsum(problem.p[order]))
    return masses, inside


def _largest_coin(chance: float, budget: float) -> float:
    """The largest v in [u, 1] with v log(v/u) + (1 - v) log((1 - v)/(1 - u)) <= budget."""
    if chance <= 0.0 or chance >= 1.0:
        return float(chance)
    coin = np.array([chance, 1.0 - chance])

    def surplus(heads: float) -> float:
        return divergence(np.array([heads, 1.0 - heads]), coin) - budget

    if surplus(1.0) <= 0.0:
        return 1.0
    return _root(surplus, chance, 1.0)


def _root(function: Callable[[float], float], low: float, high: float) -> float:
    """The root of a monotone function between two ends, or the end that lies nearer to it."""
    at_low = function(low)
    at_high = function(high)
    if at_low * at_high < 0.0:
        return float(brentq(function, low, high, xtol=FINE, maxiter=TURNS))
    return low if abs(at_low) <= abs(at_high) else high


def _whole(law: Values) -> Law:
    """The law with its rounding taken out of the sum."""
    return law / law.sum()

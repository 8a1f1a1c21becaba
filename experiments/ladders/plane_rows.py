"""The rows of the plane: what rules accept and lose beside the front, as means over contexts."""

from typing import NamedTuple, TypedDict

import numpy as np

from experiments.decoding.pair_laws import PairLaws
from experiments.enumeration import plane_points
from experiments.enumeration.plane_points import Setting, Values
from experiments.stats.means import Mean, clustered_mean, ratio_of_means
from specjax import rules
from specjax.rules import Rule
from theory import Problem, curve, spending
from theory.curve import Curve

ROUNDING = 1e-9  # of sums over a vocabulary in float64
FINE = 1e-6  # how near a rule comes to its budget by search
BINNED = 1e-5  # what a rule may state wrongly where it puts tokens into bins


class Row(TypedDict):
    """A rule with n drafts: means over the contexts; nan where nothing is known.

    Attributes:
      setting: the rule's knob.
      scale: the multiple of its default.
      infinite: the share of contexts with infinite KL; `kl` is infinite if there are some.
      efficiency: (accepted - alpha_star) / tv.
      over: the most that the rule accepts above min(1, alpha* + TV) at any context.
      repaired, repaired_tv, repaired_kl: of the repaired rule.
      repaired_infinite: its share of contexts with infinite KL.
      best_kl: the least KL of any rule that accepts as much as the repaired one in each context.
      best_infinite: the share of contexts where that is infinite.
      stated_kl: the KL budget that the rule names, of each law or of its own part of it.
      beyond: the share of contexts in which KL exceeds it.
    """

    rule: str
    setting: str
    scale: float
    n: int
    contexts: int
    vocabulary: int
    alpha_star: float
    accepted: float
    accepted_se: float
    tv: float
    tv_se: float
    kl: float
    kl_se: float
    infinite: float
    efficiency: float
    efficiency_se: float
    over: float
    repaired: float
    repaired_tv: float
    repaired_kl: float
    repaired_infinite: float
    best_kl: float
    best_infinite: float
    stated_kl: float | None
    beyond: float


class FrontRow(TypedDict):
    """The most that any rule accepts of n drafts at a mean KL.

    Attributes:
      budget: the KL of each context, but at the end of a front.
      kl: the mean KL that this comes to; the others have it too.
      price: the price of that mean KL, in nats for one more unit of acceptance.
      same_price, same_kl, same_tv: the mean acceptance with one price, KL or TV in every context.
    """

    n: int
    alpha_star: float
    budget: float
    kl: float
    price: float
    same_price: float
    same_price_se: float
    same_kl: float
    same_kl_se: float
    same_tv: float
    same_tv_se: float


class HalvedRow(TypedDict):
    """What it costs to halve the rejections of n drafts, at one price.

    Attributes:
      rejected: the mean of 1 - A there; more than half of 1 - alpha* if no finite KL buys that.
    """

    n: int
    alpha_star: float
    alpha_star_se: float
    rejected: float
    price: float
    tv: float
    tv_se: float
    kl: float
    kl_se: float


class Plane(NamedTuple):
    """The laws of all contexts and the front of n drafts at each."""

    laws: PairLaws
    n: int
    curves: list[Curve]

    @property
    def alpha_star(self) -> Values:
        """The most that a lossless rule accepts [C]."""
        return np.array([curve.alpha_star for curve in self.curves])

    def mean(self, values: Values) -> Mean:
        """The mean over contexts, those of one text as a cluster."""
        return clustered_mean(self.laws.spread(values), self.laws.used)


def of_laws(laws: PairLaws, n: int) -> Plane:
    """The front of n drafts at every context."""
    problems = [Problem(p, q, n, plane_points.SCHEME) for p, q in zip(laws.p, laws.q, strict=True)]
    return Plane(laws, n, [curve.curve(problem) for problem in problems])


def row(plane: Plane, setting: Setting) -> Row:
    """A rule on the plane.

    Raises:
      RuntimeError: it accepts more than any rule can at its bias.
    """
    rule = setting.rule
    p, q, _ = plane.laws
    points, mended = plane_points.measured(rule, plane.n, p, q)
    over = points.accepted - np.minimum(1.0, plane.alpha_star + points.tv)
    _check_line(rule, over)
    best = spending.kl(plane.curves, 1.0 - mended.accepted)
    accepted = plane.mean(points.accepted)
    tv = plane.mean(points.tv)
    kl = plane.mean(points.kl)
    gained, apart = map(plane.laws.spread, (points.accepted - plane.alpha_star, points.tv))
    efficiency = Mean(np.nan, np.nan)
    if tv.value > ROUNDING:
        efficiency = ratio_of_means(gained, apart, plane.laws.used)
    stated = _stated_kl(rule)
    return {
        "rule": rule.name,
        "setting": setting.words,
        "scale": setting.scale,
        "n": plane.n,
        "contexts": len(p),
        "vocabulary": p.shape[1],
        "alpha_star": plane.mean(plane.alpha_star).value,
        "accepted": accepted.value,
        "accepted_se": accepted.error,
        "tv": tv.value,
        "tv_se": tv.error,
        "kl": kl.value,
        "kl_se": kl.error,
        "infinite": float(np.isinf(points.kl).mean()),
        "efficiency": efficiency.value,
        "efficiency_se": efficiency.error,
        "over": float(over.max()),
        "repaired": plane.mean(mended.accepted).value,
        "repaired_tv": plane.mean(mended.tv).value,
        "repaired_kl": plane.mean(mended.kl).value,
        "repaired_infinite": float(np.isinf(mended.kl).mean()),
        "best_kl": plane.mean(best).value,
        "best_infinite": float(np.isinf(best).mean()),
        "stated_kl": stated,
        "beyond": np.nan if stated is None else float((points.kl > stated + FINE).mean()),
    }


def _check_line(rule: Rule, over: Values) -> None:
    if over.max() > BINNED:
        raise RuntimeError(
            f"rule {rule.name}: accepts {over.max():.1e} more than alpha* + TV, which no rule can "
            "at its bias"
        )


def _stated_kl(rule: Rule) -> float | None:
    """The KL that a rule names as its budget."""
    if isinstance(rule, rules.Cactus):
        return float(rule.delta)
    loss = rule.claims.loss
    if loss is None or loss.measure != "kl":
        return None
    return float(getattr(rule, loss.field))


def front_row(plane: Plane, budget: float) -> FrontRow:
    """The front where each context loses so much KL, and the other ways to that mean KL."""
    spent = spending.same_kl(plane.curves, budget)
    mean = float(spending.kl(plane.curves, spent).mean())
    price = spending.price_of_kl(plane.curves, mean)
    share = spending.tv_of_kl(plane.curves, mean)
    priced = plane.mean(1.0 - spending.same_price(plane.curves, price))
    budgeted = plane.mean(1.0 - spent)
    shared = plane.mean(1.0 - spending.same_tv(plane.curves, share))
    return {
        "n": plane.n,
        "alpha_star": float(plane.alpha_star.mean()),
        "budget": budget,
        "kl": mean,
        "price": price,
        "same_price": priced.value,
        "same_price_se": priced.error,
        "same_kl": budgeted.value,
        "same_kl_se": budgeted.error,
        "same_tv": shared.value,
        "same_tv_se": shared.error,
    }


def halved(plane: Plane) -> HalvedRow:
    """The front where one price halves the rejections."""
    optimum = plane.mean(plane.alpha_star)
    price = spending.price_of_rejections(plane.curves, (1.0 - optimum.value) / 2.0)
    rejected = spending.same_price(plane.curves, price)
    tv = plane.mean(1.0 - rejected - plane.alpha_star)
    kl = plane.mean(spending.kl(plane.curves, rejected))
    return {
        "n": plane.n,
        "alpha_star": optimum.value,
        "alpha_star_se": optimum.error,
        "rejected": float(rejected.mean()),
        "price": price,
        "tv": tv.value,
        "tv_se": tv.error,
        "kl": kl.value,
        "kl_se": kl.error,
    }

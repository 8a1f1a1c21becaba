"""The optimal lossy rule for independent drafts, at any vocabulary."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Bool

from specjax import bounds
from specjax.numerics import divide, fixed, total
from specjax.rules._base import (
    Claims,
    Count,
    Law,
    Mask,
    Scalar,
    Solves,
    Tokens,
    register,
)
from specjax.solvers.levels import exchange, level_rule
from specjax.solvers.levels.level_rule import Levels

Inside = Bool[Array, " V"]


class Solved(NamedTuple):
    """The levels of the optimal rule for the law that is to be emitted.

    Attributes:
      law: [V], the emitted law e.
      levels: of the optimal rule with e for p.
    """

    law: Law
    levels: Levels


@register
class Front(Solves[Solved]):
    """Emits e in place of p, the law nearest to p at a price, and accepts as much as any rule can.

    At the price c one more unit of acceptance costs c nats of KL(e || p). No rule accepts more at
    the same TV, KL or any other f-divergence. With the same price in every context, the mean
    acceptance is largest at its mean KL. The law e is a band of the law nearest to p among those of
    rules that always accept: `bounds.front` gives it. The rule is then `optimal` with e for p. For
    V <= 512 it attains the front to rounding; for larger V up to the width of its bins of p/q.

    Attributes:
      price: c, at least 0; at 0 the rule is `optimal`, to the bit. From 80 on it accepts all that
        it can.

    Cost: that of `optimal`, a scatter of V and some 70 passes; no sort of V. Source: specjax2026.

    Example:
      >>> import jax.numpy as jnp, specjax
      >>> p, q = jnp.array([0.5, 0.3, 0.2]), jnp.array([0.2, 0.3, 0.5])
      >>> rule = specjax.rules.Front(price=0.25)
      >>> round(float(rule.expected_acceptance(p, q, 2)), 3)
      0.922
    """

    claims = Claims(
        lossless=False,
        drafting=frozenset({"iid"}),
        source="specjax2026",
        searches=True,
        on_front=True,
    )
    price: Scalar | float = 1.0

    def solve(self, p: Law, q: Law, n: int, live: Count) -> Solved:
        """The emitted law with `live` of n drafts, and the levels for it."""
        p, q = jax.lax.stop_gradient((p, q))
        price = jnp.asarray(self.price, p.dtype)
        nearest = bounds.nearest(p, q, n, "iid", jnp.maximum(live, 1))
        law = fixed(bounds.band(p, nearest, price).law)
        return Solved(law, exchange.solve(law, q, n, live, price > 0))

    def law_of(self, solved: Solved, tokens: Tokens, p: Law, mask: Mask) -> Law:
        """The law of the emitted token given the drafts; p without a draft."""
        target = jnp.where(jnp.any(mask), solved.law, p)
        return level_rule.law(solved.levels, tokens, target, mask)

    def accepted(self, solved: Solved) -> Scalar:
        """The acceptance of the solved levels."""
        return total(solved.levels.allocated)

    def expected_acceptance(self, p: Law, q: Law, n: int) -> Scalar:
        """The acceptance of the solved levels, with the gradient of the front."""
        found = self.accepted(self.solve(p, q, n, jnp.asarray(n)))
        return jax.lax.stop_gradient(found) + _slope(p, q, n, self.price)

    def emitted(self, p: Law, q: Law, n: int) -> Law:
        """The emitted law e, on average over the drafts [V]."""
        return bounds.front(p, q, n, "iid", self.price).law


def _slope(p: Law, q: Law, n: int, price: Scalar | float) -> Scalar:
    """0, with the gradient of the acceptance at a price.

    Let phi(s) = max_H Q(H) - s p(H). Then A = 1 - phi(b), and phi(b) = phi(a) + a - 1 holds b and a
    = b e^-price. Sets H that attain phi do not move, so that b moves by a step of Newton's method.
    """
    held = jax.lax.stop_gradient((p, q))
    nearest = bounds.nearest(*held, n, "iid")
    point = bounds.band(held[0], nearest, price)
    cut, kept = nearest > point.high * held[0], nearest > point.low * held[0]

    def excess(inside: Inside, level: Scalar) -> Scalar:
        found = total(jnp.where(inside, q, 0)) ** n - level * total(jnp.where(inside, p, 0))
        return found - jax.lax.stop_gradient(found)

    above, below = excess(cut, point.high), excess(kept, point.low)
    of_cut = total(jnp.where(cut, held[0], 0))
    of_rest = total(jnp.where(kept, 0, held[0]))
    rise = divide(above - below, of_cut + point.low / point.high * of_rest)
    return of_cut * rise - above

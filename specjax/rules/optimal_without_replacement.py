"""A rule of levels for drafts without replacement that seeks the optimum, at any vocabulary."""

import jax
import jax.numpy as jnp

from specjax import bounds
from specjax.numerics import total
from specjax.rules._base import (
    Certificate,
    Claims,
    Count,
    Law,
    Mask,
    Scalar,
    Solves,
    Tokens,
    register,
)
from specjax.solvers.levels import level_rule, level_weights
from specjax.solvers.levels.level_rule import Levels


@register
class OptimalWithoutReplacement(Solves[Levels]):
    """Picks a draft with a probability proportional to its weight; Newton's method fits the weights
    to the race of the drafts.

    At most 120 kernels a look, three looks, one up to V = 512. Lossless whatever the weights are;
    the certificate says how far the search came. It claims no optimum: nothing proves that the
    search ends there (`specjax bench` shows where it does on real contexts). Cost: an evaluation of
    the race, C x H x n x nodes, and C = 39 linear equations for each kernel. Source: specjax2026,
    solvers/levels/level_weights.py.
    """

    claims = Claims(
        lossless=True,
        drafting=frozenset({"without_replacement"}),
        source="specjax2026",
        searches=True,
    )

    def expected_acceptance(self, p: Law, q: Law, n: int) -> Scalar:
        return level_rule.acceptance(
            self.solve(p, q, n, jnp.asarray(n)),
            bounds.optimal_acceptance(p, q, n, "without_replacement"),
        )

    def certificate(self, p: Law, q: Law, n: int) -> Certificate:
        return level_rule.certificate(
            self.solve(p, q, n, jnp.asarray(n)),
            bounds.bracket(p, q, n, "without_replacement").upper,
            n,
        )

    def solve(self, p: Law, q: Law, n: int, live: Count) -> Levels:
        """The levels of `live` of n drafts."""
        p, q = jax.lax.stop_gradient((p, q))
        if n == 1:
            return level_rule.single(p, q)
        return level_weights.levels(p, q, n, jnp.clip(live, 1, jnp.sum(q > 0)))

    def law_of(self, solved: Levels, tokens: Tokens, p: Law, mask: Mask) -> Law:
        """The law of the emitted token given the drafts."""
        return level_rule.law(solved, tokens, p, mask)

    def accepted(self, solved: Levels) -> Scalar:
        """The acceptance of the solved levels."""
        return total(solved.given)

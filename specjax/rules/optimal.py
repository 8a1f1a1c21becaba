"""The optimal rule for independent drafts, at any vocabulary."""

import jax
import jax.numpy as jnp

from specjax import bounds
from specjax.bounds import iid
from specjax.numerics import rounding, total
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
from specjax.solvers.levels import exchange, grid, level_rule
from specjax.solvers.levels.level_rule import Levels


@register
class Optimal(Solves[Levels]):
    """Lets every draft draw a level, high as its p/q is; the highest level wins and is accepted if
    it is high enough.

    The levels are uniform on [0, 1] and independent, so that a unit of q mass at level m is given n
    m^(n-1). Tokens that would be given more than p swap levels with lower ones that would be given
    less; below the level at which alpha* is spent nothing is accepted. Attains alpha* to rounding
    where V <= 512, and up to the width of its nodes of p/q beyond; lossless whatever the nodes are.
    Cost: a search of every token among 256 nodes, no sort of V. Source: specjax2026, after
    hu2025towards. The proof stands in solvers/levels/exchange.py.
    """

    claims = Claims(
        lossless=True, drafting=frozenset({"iid"}), source="specjax2026", optimal_for=-1
    )

    def expected_acceptance(self, p: Law, q: Law, n: int) -> Scalar:
        return level_rule.acceptance(
            self.solve(p, q, n, jnp.asarray(n)), bounds.optimal_acceptance(p, q, n, "iid")
        )

    def certificate(self, p: Law, q: Law, n: int) -> Certificate:
        return level_rule.certificate(
            self.solve(p, q, n, jnp.asarray(n)), bounds.bracket(p, q, n, "iid").upper, n
        )

    def solve(self, p: Law, q: Law, n: int, live: Count) -> Levels:
        """The levels of `live` of n drafts."""
        p, q = jax.lax.stop_gradient((p, q))
        if n == 1 and p.shape[0] > grid.SMALL:
            # below, it is solved for, so as to round as a masked set with one draft left does
            return level_rule.single(p, q)
        slots = jnp.maximum(live, 1).astype(p.dtype)
        inside = total(jnp.where(iid.binned(p, q, slots, rounding(p)).inside, q, 0))
        return exchange.levels(
            p, q, grid.place(p, q, slots, slots * inside ** (slots - 1)), n, slots
        )

    def law_of(self, solved: Levels, tokens: Tokens, p: Law, mask: Mask) -> Law:
        """The law of the emitted token given the drafts."""
        return level_rule.law(solved, tokens, p, mask)

    def accepted(self, solved: Levels) -> Scalar:
        """The acceptance of the solved levels."""
        return total(solved.given)

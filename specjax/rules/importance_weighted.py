"""Importance-weighted selection of one draft, then the one-draft rule."""

import functools

import jax
import jax.numpy as jnp

from specjax.numerics import acceptance_probability, add_at, residual, rounding_error, total
from specjax.rules._base import Claims, Law, Mask, Rule, Scalar, Tokens, register
from specjax.solvers.importance_weights import CELLS, refused_and_unseen, select


@register
class ImportanceWeighted(Rule):
    """Tests a single draft: that of largest p/q with probability w, else the first.

    The one-draft rule runs with the law r of the pick for q. The ratio p/q counts in cells of a
    factor e^(1/64), and of the drafts in one cell the first is picked. The law of the pick is r = q
    + w (r_1 - q) with r_1 = q (T^n - U^n) / (T - U). T is the q mass of the token's cell and all
    lower cells, and U is that of the lower cells alone.

    The rule is lossless for every w. It takes the w that maximises sum min(p, r), which is a lower
    bound of the acceptance: the residual may also land on another draft. With a weight for each
    pair of tokens, such a rule attains the optimum by a linear program. This rule is its member
    with one weight.

    Cost: a scatter of V and some forty passes. Source: khisti2024multidraft, theorem 1.

    Example:
      >>> import jax.numpy as jnp, specjax
      >>> p, q = jnp.array([0.5, 0.3, 0.2]), jnp.array([0.2, 0.3, 0.5])
      >>> round(float(specjax.rules.ImportanceWeighted().expected_acceptance(p, q, 2)), 3)
      0.86
    """

    claims = Claims(
        lossless=True, drafting=frozenset({"iid"}), source="khisti2024multidraft", optimal_for=1
    )

    def law(self, tokens: Tokens, p: Law, q: Law, mask: Mask) -> Law:
        selection = select(p, q, len(tokens), jnp.sum(mask))
        largest = jnp.argmin(jnp.where(mask, selection.cell[tokens], CELLS))
        picked = tokens[jnp.stack([largest, jnp.argmax(mask)])]
        chance = jnp.stack([selection.weight, 1 - selection.weight])
        accepted = chance * acceptance_probability(p[picked], selection.law[picked])
        tried = add_at(residual(p, selection.law) * (1 - jnp.sum(accepted)), picked, accepted)
        return jnp.where(jnp.any(mask), tried, p)

    def expected_acceptance(self, p: Law, q: Law, n: int) -> Scalar:
        return 1 - total(_missed(p, q, n))

    def accepted_mass(self, p: Law, q: Law, mask: Mask) -> Law:
        counts = [functools.partial(_missed, n=n) for n in range(1, len(mask) + 1)]
        missed: Law = jax.lax.switch(jnp.sum(mask) - 1, counts, p, q)
        return jnp.maximum(p - missed, 0)


def _missed(p: Law, q: Law, n: int) -> Law:
    """P(the emitted token is y and none of the n drafts is)."""
    selection = select(p, q, n, jnp.asarray(n))
    rest = jnp.maximum(p - selection.law, 0)
    unseen = refused_and_unseen(selection, p, q, n)
    left = total(rest) > rounding_error(p)
    return jnp.where(left, rest * unseen / jnp.where(left, total(rest), 1), 0)

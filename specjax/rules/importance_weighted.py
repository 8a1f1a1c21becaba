"""Importance-weighted selection of one draft, then the one-draft rule."""

import math

import jax.numpy as jnp

from specjax.numerics import acceptance_probability, deposit, residual, rounding, tiny, total
from specjax.rules._base import Claims, Law, Mask, Scalar, Tokens, register
from specjax.solvers.selection import select


@register
class ImportanceWeighted:
    """Picks the draft of largest p/q with probability w, else the first one; then runs the one-draft rule with the pick's law r for q.

    r = q + w (r_1 - q), r_1 = T^n - U^n with T, U the q mass of the tokens from this one on, and after it, by falling p/q: lossless
    for every w, which is set to maximise sum min(p, r), a lower bound on the acceptance: the residual may land on another draft.
    With a weight for each pair of tokens such a rule attains the optimum, by a linear program; this is its one-weight member.
    Cost: a sort of V and some forty passes. Source: khisti2024multidraft, theorem 1.
    """

    claims = Claims(lossless=True, drafting=frozenset({"iid"}), source="khisti2024multidraft", optimal_for=1)

    def law(self, tokens: Tokens, p: Law, q: Law, mask: Mask) -> Law:
        selection = select(p, q, len(tokens), jnp.sum(mask))
        rank = jnp.zeros_like(selection.order).at[selection.order].set(jnp.arange(len(p)))
        largest = jnp.argmin(jnp.where(mask, rank[tokens], len(p)))
        picked = tokens[jnp.stack([largest, jnp.argmax(mask)])]
        chance = jnp.stack([selection.weight, 1 - selection.weight])
        accepted = chance * acceptance_probability(p[picked], selection.law[picked])
        tried = deposit(residual(p, selection.law) * (1 - jnp.sum(accepted)), picked, accepted)
        return jnp.where(jnp.any(mask), tried, p)

    def expected_acceptance(self, p: Law, q: Law, n: int) -> Scalar:
        order, sums, r, weight = select(p, q, n, jnp.asarray(n))
        p, q, r = p[order], q[order], r[order]
        held = r > math.sqrt(tiny(r))  # the gradient divides by r^2, and less than that is never drawn
        refused = jnp.where(held, jnp.maximum(r - p, 0) / jnp.where(held, r, 1), 0)
        unseen = (1 - weight) * total(refused * q) * (1 - q) ** (n - 1)  # y was not drafted, and the first draft was refused
        lost = weight * refused * q * sums  # [m]: refused, weighted with T^m - U^m
        unseen += jnp.sum(lost[-1]) - jnp.cumsum(lost[-1])  # the largest draft was refused, and comes after y
        for k in range(n):  # it comes before y: (T - q_y)^n - (U - q_y)^n, by powers of q_y
            unseen += math.comb(n, k) * (-q) ** k * (jnp.cumsum(lost[n - 1 - k]) - lost[n - 1 - k])
        rest = jnp.maximum(p - r, 0)
        left = total(rest) > rounding(p)
        return 1 - jnp.where(left, total(rest * unseen) / jnp.where(left, total(rest), 1), 0)

"""Importance-weighted selection of one draft, then the one-draft rule."""

import math

import jax.numpy as jnp
from jax import Array
from jaxtyping import Float

from specjax import exact_sums
from specjax.numerics import acceptance_probability, deposit, residual, rounding, tiny, total
from specjax.rules._base import Claims, Law, Mask, Rule, Scalar, Tokens, register
from specjax.solvers.importance_weights import CELLS, Selection, pick_chances, select


@register
class ImportanceWeighted(Rule):
    """Picks the draft of largest p/q with probability w, else the first one; then runs the
    one-draft rule with the pick's law r for q.

    p/q counts in cells of a factor e^(1/64); of drafts in one cell the first is picked. r = q + w
    (r_1 - q), r_1 = q (T^n - U^n) / (T - U) with T, U the q mass of the token's cell and all lower
    ones, and of the lower ones: lossless for every w, which is set to maximise sum min(p, r), a
    lower bound on the acceptance: the residual may land on another draft. With a weight for each
    pair of tokens such a rule attains the optimum, by a linear program; this is its one-weight
    member. Cost: a scatter of V and some forty passes. Source: khisti2024multidraft, theorem 1.
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
        tried = deposit(residual(p, selection.law) * (1 - jnp.sum(accepted)), picked, accepted)
        return jnp.where(jnp.any(mask), tried, p)

    def expected_acceptance(self, p: Law, q: Law, n: int) -> Scalar:
        selection = select(p, q, n, jnp.asarray(n))
        r, weight = selection.law, selection.weight
        # the gradient divides by r^2, and less than that is never drawn
        held = r > math.sqrt(tiny(r))
        refused = jnp.where(held, jnp.maximum(r - p, 0) / jnp.where(held, r, 1), 0) * q
        by_pick = jnp.stack(
            _unseen(selection, exact_sums.sums(selection.cell, CELLS, refused)[0], n), 1
        )[selection.cell]
        # y was not drafted, and the first draft was refused
        unseen = (1 - weight) * total(refused) * (1 - q) ** (n - 1)
        unseen += weight * sum(by_pick[:, k] * (-q) ** k for k in range(n))
        rest = jnp.maximum(p - r, 0)
        left = total(rest) > rounding(p)
        return 1 - jnp.where(left, total(rest * unseen) / jnp.where(left, total(rest), 1), 0)


def _unseen(
    selection: Selection, refused: Float[Array, " cells"], n: int
) -> list[Float[Array, " cells"]]:
    """P(the pick is refused and y is not drafted), by powers of -q_y and the cell of y; y itself is
    never refused.

    y is not drafted if the pick is of a lower cell; else T and U, or in its own cell T, are without
    q_y.
    """
    chances = pick_chances(selection.onward, selection.after, n)
    own = [refused * part for part in chances[-1]]
    higher = [jnp.cumsum(refused * of_m[0]) - refused * of_m[0] for of_m in chances]
    lower = jnp.sum(own[0]) - jnp.cumsum(own[0])
    # (T - q)^n - (U - q)^n
    unseen = [own[k] + math.comb(n, k) * higher[n - 1 - k] for k in range(n)]
    return [unseen[0] + lower, *unseen[1:]]

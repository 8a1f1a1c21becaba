"""Recursive rejection without replacement (RSD)."""

import jax.numpy as jnp

from specjax import bounds
from specjax.numerics import (
    acceptance_probability,
    add_at,
    divide,
    is_duplicate,
    normalise,
    rounding_error,
    sums_onward,
    total,
)
from specjax.rules._base import Claims, Law, Mask, Rule, Scalar, Tokens, register
from specjax.solvers.rejection_pairs import acceptance_of_pairs, accepted_mass_of_pairs


@register
class RecursiveRejectionWithoutReplacement(Rule):
    """Recursive rejection in which q loses every rejected draft and is renormalised.

    The next draft is tried against the renormalised q. A token that was never drafted has the
    residual (p - c_i q)+ / Z_i with c_{i+1} = c_i + Z_i / (q mass left). A rejected draft keeps the
    c of its own trial.

    Cost: n + 1 fused passes over V. Source: jeon2024recursive, algorithm 1.

    Example:
      >>> import jax.numpy as jnp, specjax
      >>> p, q = jnp.array([0.5, 0.3, 0.2]), jnp.array([0.2, 0.3, 0.5])
      >>> rule = specjax.rules.RecursiveRejectionWithoutReplacement()
      >>> round(float(rule.expected_acceptance(p, q, 2)), 3)
      0.82
    """

    claims = Claims(
        lossless=True,
        drafting=frozenset({"without_replacement"}),
        source="jeon2024recursive",
        optimal_for=1,
        expectation_up_to=2,
        sequential=True,
    )

    def law(self, tokens: Tokens, p: Law, q: Law, mask: Mask) -> Law:
        slots = jnp.arange(len(tokens))
        # the law passes over what has no probability
        live = mask & ~is_duplicate(tokens, mask) & (q[tokens] > 0)
        drafted = jnp.where(live, tokens, p.shape[0])  # out of range: dropped
        others_p = p.at[drafted].set(0, mode="drop")
        others_q = q.at[drafted].set(0, mode="drop")
        token_p = jnp.where(live, p[tokens], 0)
        token_q = jnp.where(live, q[tokens], 0)
        # q mass before each trial, as a sum of what remains
        left = total(others_q) + sums_onward(token_q)
        c = jnp.zeros((), p.dtype)
        z = jnp.ones((), p.dtype)
        reached = jnp.ones((), p.dtype)
        token_c = jnp.zeros_like(token_p)  # the c that each drafted token has seen
        accepted = []
        for i in range(len(tokens)):
            r = jnp.maximum(token_p[i] - c * token_q[i], 0)
            accept = acceptance_probability(r, z * divide(token_q[i], left[i]))
            accept = jnp.where(live[i], accept, 0)
            accepted.append(reached * accept)
            reached = reached * (1 - accept)
            c = jnp.where(live[i], c + divide(z, left[i]), c)
            token_c = jnp.where(slots >= i, c, token_c)
            others = jnp.maximum(others_p - c * others_q, 0)
            rejected = jnp.maximum(token_p - token_c * token_q, 0)
            z = jnp.where(live[i], total(others) + jnp.sum(rejected), z)
        weights = add_at(others, drafted, rejected)
        rest = normalise(weights, p, rounding_error(p))
        return add_at(rest * reached, drafted, jnp.stack(accepted))

    def expected_acceptance(self, p: Law, q: Law, n: int) -> Scalar:
        """The exact acceptance of one or two drafts.

        From the third draft on no formula is known; `rules.estimate_acceptance` estimates it.

        Raises:
          ValueError: n is above 2.
        """
        if n > 2:
            raise ValueError(
                f"n: recursive_rejection_without_replacement has a closed form for at most 2 "
                f"drafts, got {n}"
            )
        return acceptance_of_pairs(p, q) if n == 2 else bounds.overlap(p, q)

    def accepted_mass(self, p: Law, q: Law, mask: Mask) -> Law:
        """The mass that one or two drafts accept.

        Raises:
          ValueError: there are more than two slots.
        """
        if len(mask) > 2:
            raise ValueError(
                "recursive_rejection_without_replacement: its accepted mass has a closed form for "
                f"at most 2 drafts, got {len(mask)}"
            )
        of_one = jnp.minimum(p, q)
        return jnp.where(jnp.sum(mask) == 2, accepted_mass_of_pairs(p, q), of_one)

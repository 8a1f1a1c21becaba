"""One draft."""

import jax.numpy as jnp

from specjax import bounds
from specjax.numerics import acceptance_probability, add_at, residual
from specjax.rules._base import Claims, Law, Mask, Rule, Scalar, Tokens, register


@register
class Single(Rule):
    """Accepts the draft with probability min(1, p/q), else draws from the residual (p - q)+.

    The acceptance is sum min(p, q), the optimum for one draft.

    Cost: one pass over V. Source: leviathan2023fast, algorithm 1.

    Example:
      >>> import jax.numpy as jnp, specjax
      >>> p, q = jnp.array([0.5, 0.3, 0.2]), jnp.array([0.2, 0.3, 0.5])
      >>> round(float(specjax.rules.Single().expected_acceptance(p, q, 1)), 3)
      0.7
    """

    claims = Claims(
        lossless=True,
        drafting=frozenset({"iid", "without_replacement", "greedy"}),
        source="leviathan2023fast",
        optimal_for=1,
        n_range=(1, 1),
        sequential=True,
    )

    def law(self, tokens: Tokens, p: Law, q: Law, mask: Mask) -> Law:
        accept = acceptance_probability(p[tokens], q[tokens])
        rejected = residual(p, q) * (1 - jnp.sum(accept))
        return jnp.where(mask[0], add_at(rejected, tokens, accept), p)

    def expected_acceptance(self, p: Law, q: Law, n: int) -> Scalar:
        return bounds.overlap(p, q)

    def accepted_mass(self, p: Law, q: Law, mask: Mask) -> Law:
        return jnp.minimum(p, q)

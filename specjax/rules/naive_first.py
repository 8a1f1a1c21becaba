"""Try the first draft only."""

import jax.numpy as jnp

from specjax.numerics import acceptance_probability, add_at, residual, total
from specjax.rules._base import Claims, Law, Mask, Rule, Scalar, Tokens, register


@register
class NaiveFirst(Rule):
    """Runs the one-draft rule on the first live draft; the residual draw may hit a later draft.

    The acceptance is sum min(p, q) + sum (p - q)+ (1 - (1 - q)^(n-1)).

    Cost: one pass over V. Source: chen2024sequoia (naive tree).

    Example:
      >>> import jax.numpy as jnp, specjax
      >>> p, q = jnp.array([0.5, 0.3, 0.2]), jnp.array([0.2, 0.3, 0.5])
      >>> round(float(specjax.rules.NaiveFirst().expected_acceptance(p, q, 2)), 3)
      0.76
    """

    claims = Claims(
        lossless=True,
        drafting=frozenset({"iid"}),
        source="chen2024sequoia",
        optimal_for=1,
        sequential=True,
    )

    def law(self, tokens: Tokens, p: Law, q: Law, mask: Mask) -> Law:
        first = tokens[jnp.argmax(mask)]
        accept = acceptance_probability(p[first], q[first])
        tried = add_at(residual(p, q) * (1 - accept), first[None], accept[None])
        return jnp.where(jnp.any(mask), tried, p)

    def expected_acceptance(self, p: Law, q: Law, n: int) -> Scalar:
        missed = (1 - q) ** (n - 1)
        return total(jnp.minimum(p, q) + jnp.maximum(p - q, 0) * (1 - missed))

    def accepted_mass(self, p: Law, q: Law, mask: Mask) -> Law:
        missed = (1 - q) ** (jnp.sum(mask) - 1)
        return jnp.minimum(p, q) + jnp.maximum(p - q, 0) * (1 - missed)

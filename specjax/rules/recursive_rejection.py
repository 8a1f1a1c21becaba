"""Recursive rejection with replacement."""

import jax.numpy as jnp

from specjax.numerics import acceptance_probability, add_at, residual, total
from specjax.rules._base import Claims, Law, Mask, Rule, Scalar, Tokens, register


@register
class RecursiveRejection(Rule):
    """Tries the drafts in turn: accepts x_i with probability min(1, r_i/q), else updates r.

    r_1 = p and r_{i+1} ~ (r_i - q)+. If all are rejected, the rule draws from the last r. Every
    residual is (p - c_i q)+ / Z_i with c_{i+1} = c_i + Z_i, so that only two scalars travel from
    draft to draft. The acceptance is 1 - prod_i (1 - sum min(r_i, q)).

    Cost: n fused passes over V. Source: miao2024specinfer, algorithm 2.

    Example:
      >>> import jax.numpy as jnp, specjax
      >>> p, q = jnp.array([0.5, 0.3, 0.2]), jnp.array([0.2, 0.3, 0.5])
      >>> round(float(specjax.rules.RecursiveRejection().expected_acceptance(p, q, 2)), 3)
      0.76
    """

    claims = Claims(
        lossless=True,
        drafting=frozenset({"iid"}),
        source="miao2024specinfer",
        optimal_for=1,
        sequential=True,
    )

    def law(self, tokens: Tokens, p: Law, q: Law, mask: Mask) -> Law:
        c = jnp.zeros((), p.dtype)
        z = jnp.ones((), p.dtype)
        reached = jnp.ones((), p.dtype)
        accepted = []
        for token, live in zip(tokens, mask, strict=True):
            r = jnp.maximum(p[token] - c * q[token], 0)
            accept = jnp.where(live, acceptance_probability(r, z * q[token]), 0)
            accepted.append(reached * accept)
            reached = reached * (1 - accept)
            c = jnp.where(live, c + z, c)
            z = jnp.where(live, total(jnp.maximum(p - c * q, 0)), z)
        rest = residual(p, c * q)
        return add_at(reached * rest, tokens, jnp.stack(accepted))

    def expected_acceptance(self, p: Law, q: Law, n: int) -> Scalar:
        # the product of the chances of a miss telescopes to it
        return 1 - total(jnp.maximum(p - _taken(p, q, jnp.ones(n, bool)) * q, 0))

    def accepted_mass(self, p: Law, q: Law, mask: Mask) -> Law:
        return jnp.minimum(p, _taken(p, q, mask) * q)


def _taken(p: Law, q: Law, mask: Mask) -> Scalar:
    """The c of the residual (p - c q)+ after all live drafts were rejected."""
    c = jnp.zeros((), p.dtype)
    z = jnp.ones((), p.dtype)
    for live in mask:
        c = jnp.where(live, c + z, c)
        z = jnp.where(live, total(jnp.maximum(p - c * q, 0)), z)
    return c

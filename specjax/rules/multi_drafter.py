"""Recursive rejection of drafts from different drafters."""

import jax.numpy as jnp
from jax import Array
from jaxtyping import Float

from specjax.numerics import acceptance_probability, add_at, residual, total
from specjax.rules._base import Claims, Law, Mask, Rule, Scalar, Tokens, register


@register
class MultiDrafter(Rule):
    """Tries the drafts in turn, each against its own law: recursive rejection over drafters.

    Draft x_i is accepted with probability min(1, r_i/q_i); r_1 = p, r_{i+1} ~ (r_i - q_i)+. Every
    residual is (p - c_i)+ / Z_i with c_1 = 0 and c_{i+1} = c_i + Z_i q_i. The probability that no
    draft is accepted is therefore Z_{n+1}, the product of the 1 - sum min(r_i, q_i). The acceptance
    is 1 - Z_{n+1}. The order of the drafters matters.

    Cost: n passes over V. Source: miao2024specinfer, algorithm 2.

    Example:
      >>> import jax.numpy as jnp, specjax
      >>> p, q = jnp.array([0.5, 0.3, 0.2]), jnp.array([[0.2, 0.3, 0.5], [0.6, 0.2, 0.2]])
      >>> round(float(specjax.rules.MultiDrafter().expected_acceptance(p, q, 2)), 3)
      0.88
    """

    claims = Claims(
        lossless=True,
        drafting=frozenset({"independent"}),
        source="miao2024specinfer",
        optimal_for=1,
        sequential=True,
    )

    def law(self, tokens: Tokens, p: Law, q: Float[Array, "n V"], mask: Mask) -> Law:
        c = jnp.zeros_like(p)
        z = jnp.ones((), p.dtype)
        reached = jnp.ones((), p.dtype)
        accepted = []
        for token, live, own in zip(tokens, mask, q, strict=True):
            r = jnp.maximum(p[token] - c[token], 0)
            accept = jnp.where(live, acceptance_probability(r, z * own[token]), 0)
            accepted.append(reached * accept)
            reached = reached * (1 - accept)
            c = jnp.where(live, c + z * own, c)
            z = jnp.where(live, total(jnp.maximum(p - c, 0)), z)
        return add_at(reached * residual(p, c), tokens, jnp.stack(accepted))

    def expected_acceptance(self, p: Law, q: Float[Array, "n V"], n: int) -> Scalar:
        c = jnp.zeros_like(p)
        z = jnp.ones((), p.dtype)
        for own in q:
            c = c + z * own
            z = total(jnp.maximum(p - c, 0))
        return 1 - z

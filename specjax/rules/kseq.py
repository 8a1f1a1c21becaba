"""K-SEQ (SpecTr)."""

import jax.numpy as jnp

from specjax.numerics import acceptance_probability, add_at, residual, rounding_error, total
from specjax.rules._base import Claims, Law, Mask, Rule, Scalar, Tokens, register
from specjax.solvers.kseq_threshold import threshold


@register
class KSeq(Rule):
    """Accepts the first draft with rho U_i < p/q, else draws from the residual.

    rho is the smallest number that keeps the rule lossless. Let R = sum (p - rho q)+ and S = P(one
    draft is rejected) = (R + rho - 1) / rho. The residual (p - min(p/rho, q) (1 - S^n) / (1 - S))+
    is a law without clipping iff S^n >= R, and rho* is the root. The solver returns the upper end
    of its bracket, so that rho >= rho* always. The acceptance is 1 - S^n at rho*, at least (1 -
    1/e) of the optimum.

    Cost: some ten fused passes over V, for every n. Source: sun2023spectr, algorithm 3.

    Example:
      >>> import jax.numpy as jnp, specjax
      >>> p, q = jnp.array([0.5, 0.3, 0.2]), jnp.array([0.2, 0.3, 0.5])
      >>> round(float(specjax.rules.KSeq().expected_acceptance(p, q, 2)), 3)
      0.791
    """

    claims = Claims(
        lossless=True, drafting=frozenset({"iid"}), source="sun2023spectr", optimal_for=1
    )

    def law(self, tokens: Tokens, p: Law, q: Law, mask: Mask) -> Law:
        live = jnp.sum(mask)
        rho, miss_probability = threshold(p, q, jnp.maximum(live, 1).astype(p.dtype))
        accept = jnp.where(mask, acceptance_probability(p[tokens], rho * q[tokens]), 0)
        reached = jnp.concatenate([jnp.ones(1, p.dtype), jnp.cumprod(1 - accept)])
        thinned = jnp.minimum(p / rho, q)
        rest = residual(p, thinned * _series(miss_probability, jnp.arange(len(tokens)) < live))
        return add_at(reached[-1] * rest, tokens, reached[:-1] * accept)

    def expected_acceptance(self, p: Law, q: Law, n: int) -> Scalar:
        return 1 - total(_missed(p, q, jnp.ones(n, bool)))

    def accepted_mass(self, p: Law, q: Law, mask: Mask) -> Law:
        return jnp.maximum(p - _missed(p, q, mask), 0)


def _missed(p: Law, q: Law, mask: Mask) -> Law:
    """P(the emitted token is y and no live draft is)."""
    n = jnp.maximum(jnp.sum(mask), 1)
    rho, miss_probability = threshold(p, q, n.astype(p.dtype))
    thinned = jnp.minimum(p / rho, q)
    rest = jnp.maximum(p - thinned * _series(miss_probability, jnp.arange(len(mask)) < n), 0)
    left = total(rest) > rounding_error(p)
    mass = jnp.where(left, total(rest), 1)
    stay = jnp.where(left, miss_probability, 1)
    # above rho* the residual may land on a rejected draft, whose law is (q - thinned) / S
    unseen = (1 - jnp.minimum((q - thinned) / stay, 1)) ** n
    return jnp.where(left, miss_probability**n * rest * unseen / mass, 0)


def _series(miss_probability: Scalar, live: Mask) -> Scalar:
    """(1 - S^n) / (1 - S), as the sum 1 + S + .. + S^(n-1), which is exactly 1 for one draft."""
    return jnp.sum(jnp.where(live, miss_probability ** jnp.arange(len(live)), 0))

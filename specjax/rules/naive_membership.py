"""Ignore the drafts."""

import jax.numpy as jnp

from specjax._types import SlotLaws
from specjax.numerics import total
from specjax.rules._base import Claims, Law, Mask, Rule, Scalar, Tokens, register


@register
class NaiveMembership(Rule):
    """Draws Y from p without looking at the drafts and accepts if Y is one of them.

    Under iid drafts the acceptance is sum p (1 - (1 - q)^n).

    Cost: none beyond the draw of Y. Source: miao2024specinfer (naive sampling).

    Example:
      >>> import jax.numpy as jnp, specjax
      >>> p, q = jnp.array([0.5, 0.3, 0.2]), jnp.array([0.2, 0.3, 0.5])
      >>> round(float(specjax.rules.NaiveMembership().expected_acceptance(p, q, 2)), 3)
      0.483
    """

    claims = Claims(
        lossless=True,
        drafting=frozenset({"iid", "without_replacement", "greedy", "hub", "top_n", "independent"}),
        source="miao2024specinfer",
        expectation_under=frozenset({"iid"}),
        sequential=True,
    )

    def law(self, tokens: Tokens, p: Law, q: SlotLaws, mask: Mask) -> Law:
        return p

    def expected_acceptance(self, p: Law, q: Law, n: int) -> Scalar:
        return total(p * (1 - (1 - q) ** n))

    def accepted_mass(self, p: Law, q: Law, mask: Mask) -> Law:
        return p * (1 - (1 - q) ** jnp.sum(mask))

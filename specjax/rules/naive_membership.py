"""Ignore the drafts."""

from jax import Array
from jaxtyping import Float

from specjax.numerics import total
from specjax.rules._base import Claims, Law, Mask, Rule, Scalar, Tokens, register


@register
class NaiveMembership(Rule):
    """Draws Y from p without looking at the drafts and accepts if Y is one of them.

    Acceptance under iid drafts sum p (1 - (1 - q)^n). Cost: none beyond the draw. Source:
    miao2024specinfer (naive sampling).
    """

    claims = Claims(
        lossless=True,
        drafting=frozenset({"iid", "without_replacement", "greedy", "hub", "top_n", "independent"}),
        source="miao2024specinfer",
        expectation_under=frozenset({"iid"}),
        sequential=True,
    )

    def law(
        self,
        tokens: Tokens,
        p: Law,
        q: Float[Array, "*slots V"],
        mask: Mask,
    ) -> Law:
        return p

    def expected_acceptance(self, p: Law, q: Law, n: int) -> Scalar:
        return total(p * (1 - (1 - q) ** n))

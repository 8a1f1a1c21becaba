"""EAGLE's recursion on deterministic drafts."""

from specjax.bounds import top_n
from specjax.rules._base import Claims, Law, Mask, Rule, Scalar, Tokens, register


@register
class OneHot(Rule):
    """Recursive rejection in which the law of each draft counts as one-hot: accepts x_1 with
    probability p(x_1), else drops it from p.

    The i-th draft is accepted with probability p(x_i) / (1 - p(x_1) - .. - p(x_{i-1})), given that
    it is reached with probability 1 - p(x_1) - .. - p(x_{i-1}): the products telescope to p(x_i),
    and the law of the emitted token, given the drafts, is p. Acceptance p(S), S the drafted set:
    the optimum of the scheme. Cost: none beyond the draw. Source: li2024eagle.
    """

    claims = Claims(
        lossless=True,
        drafting=frozenset({"top_n"}),
        source="li2024eagle",
        optimal_for=-1,
        sequential=True,
    )

    def law(
        self,
        tokens: Tokens,
        p: Law,
        q: Law,
        mask: Mask,
    ) -> Law:
        return p

    def expected_acceptance(self, p: Law, q: Law, n: int) -> Scalar:
        return top_n.acceptance(p, q, n)

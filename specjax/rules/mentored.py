"""One draft, verified for the best law within a KL budget."""

from specjax.rules._base import Claims, Law, Loss, Scalar, register
from specjax.rules._one_draft import Retargeted
from specjax.solvers import kl_band


@register
class Mentored(Retargeted):
    """Accepts most of all rules of one draft whose emitted law e has KL(e || p) <= budget.

    The law is e = clip(q, a p, b p), a <= 1 <= b. No other law at that acceptance has a smaller
    f-divergence from p, whichever f.

    Attributes:
      budget: in nats, at least 0; at 0 the rule is `single`, and lossless. No default is published.

    Cost: a sort of V and some 30 passes. Source: tranthien2023mentored.
    """

    claims = Claims(
        lossless=False,
        drafting=frozenset({"iid"}),
        source="tranthien2023mentored",
        n_range=(1, 1),
        loss=Loss("kl", "budget"),
        on_front=True,
    )
    budget: Scalar | float = 0.1

    def target(self, p: Law, q: Law) -> Law:
        """clip(q, a p, b p) [V]."""
        return kl_band.law(p, q, self.budget)

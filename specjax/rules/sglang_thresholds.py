"""One draft, tested against the target's law alone."""

import jax.numpy as jnp

from specjax.numerics import divide, normalise, total
from specjax.rules._base import Claims, Law, Mask, Rule, Scalar, Tokens, register
from specjax.rules._one_draft import tested


@register
class SglangThresholds(Rule):
    """Accepts the draft iff p(x) >= single, or with probability min(1, p(x) / accumulated).

    Otherwise it draws from p without x. It never reads q. Both thresholds are 1 unless an engine's
    user lowers them; then the rule is lossless, and accepts as `naive_membership` does.

    Attributes:
      single: in (0, 1]; a likelier draft is always kept.
      accumulated: in (0, 1]; of one draft it divides p(x), of several their sum.

    Cost: one pass over V. Source: zheng2024sglang, the engine's sampling of drafts by the target
    only.
    """

    claims = Claims(
        lossless=False,
        drafting=frozenset({"iid"}),
        source="zheng2024sglang",
        n_range=(1, 1),
    )
    single: Scalar | float = 0.5
    accumulated: Scalar | float = 1.0

    def law(self, tokens: Tokens, p: Law, q: Law, mask: Mask) -> Law:
        rest = normalise(p.at[tokens].set(0), p)
        return jnp.where(mask[0], tested(self._kept(p[tokens]), rest, tokens), p)

    def expected_acceptance(self, p: Law, q: Law, n: int) -> Scalar:
        return total(q * self._kept(p))

    def emitted(self, p: Law, q: Law, n: int) -> Law:
        """The emitted law, on average over the draft [V]."""
        kept = self._kept(p)
        share = divide(q * (1 - kept), 1 - p)
        return q * kept + p * (total(share) - share)

    def _kept(self, p: Law) -> Law:
        """The probability that a draft is accepted, for each of these probabilities."""
        return jnp.where(p >= self.single, 1, jnp.minimum(1, p / self.accumulated))

"""One draft, for which the target is raised at this draft alone."""

import jax.numpy as jnp

from specjax.numerics import acceptance_probability, divide, residual, total
from specjax.rules._base import Claims, Law, Mask, Rule, Scalar, Tokens, register
from specjax.rules._one_draft import tested


@register
class Cactus(Rule):
    """The lossless rule for a law that is raised to h at the draft x and scaled down elsewhere.

    h = min(1, p + sqrt(2 delta p (1 - p))), to second order the most that p(x) may rise to within
    KL delta. But every draft has a law of its own, and what is emitted is none of them: its KL
    exceeds delta at most pairs.

    Attributes:
      delta: the budget of the law of each draft, at least 0; at 0 the rule is `single`.

    Cost: two passes over V. Source: hao2026cactus.
    """

    claims = Claims(
        lossless=False,
        drafting=frozenset({"iid"}),
        source="hao2026cactus",
        n_range=(1, 1),
        on_front=True,
    )
    delta: Scalar | float = 0.1

    def law(self, tokens: Tokens, p: Law, q: Law, mask: Mask) -> Law:
        kept = acceptance_probability(self._raised(p[tokens]), q[tokens])
        others = p.at[tokens].set(0)
        left = 1 - self._raised(p[tokens])
        target = (others * divide(left, total(others))).at[tokens].set(1 - left)
        return jnp.where(mask[0], tested(kept, residual(target, q), tokens), p)

    def expected_acceptance(self, p: Law, q: Law, n: int) -> Scalar:
        return total(jnp.minimum(q, self._raised(p)))

    def _raised(self, p: Law) -> Law:
        """h for every token: min(1, p + sqrt(2 delta p (1 - p)))."""
        variance = jnp.maximum(p * (1 - p), 0)
        inside = variance > 0
        root = jnp.where(inside, jnp.sqrt(2 * self.delta * jnp.where(inside, variance, 1)), 0)
        return jnp.minimum(1, p + root)

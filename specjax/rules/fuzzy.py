"""One draft, kept unseen where target and draft law are alike."""

import jax.numpy as jnp

from specjax.numerics import relative_entropy
from specjax.rules._base import Claims, Law, Scalar, register
from specjax.rules._one_draft import Retargeted


@register
class Fuzzy(Retargeted):
    """Keeps every draft where JS(p, q) <= threshold, else is the lossless rule.

    So it emits q or p. The Jensen-Shannon divergence is in nats.

    Attributes:
      threshold: at least 0; the published ones hang on the pair of models.

    Cost: two passes over V. Source: holsman2025fuzzy.
    """

    claims = Claims(
        lossless=False,
        drafting=frozenset({"iid"}),
        source="holsman2025fuzzy",
        n_range=(1, 1),
        on_front=True,
    )
    threshold: Scalar | float = 0.05

    def target(self, p: Law, q: Law) -> Law:
        """q where both laws are alike, else p [V]."""
        middle = (p + q) / 2
        distance = (relative_entropy(p, middle) + relative_entropy(q, middle)) / 2
        return jnp.where(distance <= self.threshold, q, p)

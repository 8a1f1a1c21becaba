"""One draft, kept unseen where the draft model is sure enough."""

import jax.numpy as jnp

from specjax.numerics import total
from specjax.rules._base import Claims, Law, Scalar, register
from specjax.rules._one_draft import Retargeted


@register
class Cascade(Retargeted):
    """Keeps every draft where max q >= max p - tolerance TV(p, q), else is the lossless rule.

    So it emits q or p, by the rule OPT of speculative cascades.

    Attributes:
      tolerance: any number; 0.5 in the published notebook.

    Cost: two passes over V. Source: narasimhan2025faster, equation 10.
    """

    claims = Claims(
        lossless=False,
        drafting=frozenset({"iid"}),
        source="narasimhan2025faster",
        n_range=(1, 1),
        on_front=True,
    )
    tolerance: Scalar | float = 0.5

    def target(self, p: Law, q: Law) -> Law:
        """q where the draft model is sure enough, else p [V]."""
        distance = total(jnp.maximum(q - p, 0))
        return jnp.where(jnp.max(q) >= jnp.max(p) - self.tolerance * distance, q, p)

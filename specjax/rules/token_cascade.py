"""One draft, kept if the target finds it likely enough."""

import jax.numpy as jnp

from specjax.numerics import total
from specjax.rules._base import Claims, Law, Scalar, register
from specjax.rules._one_draft import Retargeted


@register
class TokenCascade(Retargeted):
    """The lossless rule for q on the target's likely tokens and, with the mass left of q, p.

    A token is likely where p >= (1 - tolerance) max p. This is the rule TokenV3 of speculative
    cascades. It accepts less of the other drafts than `single` does.

    Attributes:
      tolerance: in [0, 1]; 0.5 in the published notebook.

    Cost: two passes over V. Source: narasimhan2025faster, equation 15.
    """

    claims = Claims(
        lossless=False,
        drafting=frozenset({"iid"}),
        source="narasimhan2025faster",
        n_range=(1, 1),
    )
    tolerance: Scalar | float = 0.5

    def target(self, p: Law, q: Law) -> Law:
        """The law that is emitted [V]."""
        likely = p >= (1 - self.tolerance) * jnp.max(p)
        drafted = jnp.where(likely, q, 0)
        return drafted + total(jnp.where(likely, 0, q)) * p

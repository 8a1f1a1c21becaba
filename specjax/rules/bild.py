"""One draft, kept unless the target finds it unlikely."""

import jax.numpy as jnp
from jax import Array
from jaxtyping import Bool

from specjax.rules._base import Claims, Law, Scalar, register
from specjax.rules._one_draft import Accepts, likeliest


@register
class Bild(Accepts):
    """Keeps the draft iff -log p(x) <= rollback, else emits the likeliest token.

    So it does without a draft: it was made for greedy targets. The published system also stops
    drafting where max q is small, which is no part of the rule.

    Attributes:
      rollback: in nats; 5, of the published 2 to 5.

    Cost: one pass over V. Source: kim2023speculative, rollback policy.
    """

    claims = Claims(
        lossless=False,
        drafting=frozenset({"iid"}),
        source="kim2023speculative",
        n_range=(1, 1),
        bonus="own",
    )
    rollback: Scalar | float = 5.0

    def accepts(self, p: Law) -> Bool[Array, " V"]:
        """p >= e^-rollback [V]."""
        return p >= jnp.exp(-self.rollback)

    def alone(self, p: Law) -> Law:
        """One-hot at the likeliest token [V]."""
        return likeliest(p)

"""One draft, kept if it is among the target's best tokens."""

import dataclasses

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Bool

from specjax.rules._base import Claims, Law, Scalar, register
from specjax.rules._one_draft import Accepts, likeliest


@register
class SpecVerification(Accepts):
    """Keeps the draft iff it is one of the target's top tokens, and p(x) >= e^-gap max p.

    Otherwise it emits the likeliest token, and so it does without a draft. It was made for greedy
    targets. With top = 1 it decodes greedily.

    Attributes:
      top: how many tokens may be kept, ties at the edge included; 5 in the published script.
      gap: how far log p(x) may lie below log max p; 3.0 in the published script.

    Cost: a top_k of V. Source: xia2023speculative.
    """

    claims = Claims(
        lossless=False,
        drafting=frozenset({"iid"}),
        source="xia2023speculative",
        n_range=(1, 1),
        bonus="own",
    )
    top: int = dataclasses.field(default=5, metadata={"static": True})
    gap: Scalar | float = 3.0

    def accepts(self, p: Law) -> Bool[Array, " V"]:
        """Whether a token is among the top ones and near the best [V]."""
        best = jax.lax.top_k(p, min(self.top, p.shape[0]))[0]
        return (p >= best[-1]) & (p >= jnp.exp(-self.gap) * best[0])

    def alone(self, p: Law) -> Law:
        """One-hot at the likeliest token [V]."""
        return likeliest(p)

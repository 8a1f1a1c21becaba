"""One draft, kept if its probability is typical of the target."""

import jax.numpy as jnp
from jax import Array
from jaxtyping import Bool

from specjax.numerics import total
from specjax.rules._base import Claims, Law, Scalar, register
from specjax.rules._one_draft import Accepts

SMOOTHING = 1e-5  # is added to p under the logarithm, as published


def threshold(p: Law, cap: Scalar | float, scale: Scalar | float) -> Scalar:
    """min(cap, scale e^-H(p)): a token is typical iff it is likelier than that."""
    entropy = -total(p * jnp.log(p + SMOOTHING))
    return jnp.minimum(cap, scale * jnp.exp(-entropy))


@register
class Typical(Accepts):
    """Keeps the draft iff p(x) > min(cap, scale e^-H(p)), else emits the likeliest token.

    It never reads q. Engines that judge sampled drafts by this test emit the likeliest token after
    a failure. Medusa itself judges whole paths, of which it keeps the longest: the verifier
    `typical_path`.

    Attributes:
      cap: the probability above which every token is kept; 0.3 as published.
      scale: of e^-H; 0.09 as published.

    Cost: two passes over V. Source: cai2024medusa, typical acceptance.
    """

    claims = Claims(
        lossless=False,
        drafting=frozenset({"iid"}),
        source="cai2024medusa",
        n_range=(1, 1),
    )
    cap: Scalar | float = 0.3
    scale: Scalar | float = 0.09

    def accepts(self, p: Law) -> Bool[Array, " V"]:
        """p > min(cap, scale e^-H(p)) [V]."""
        return p > threshold(p, self.cap, self.scale)

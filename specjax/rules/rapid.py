"""One draft, verified for a target that is moved towards the draft law."""

import jax.numpy as jnp

from specjax.numerics import acceptance_probability, normalise, rounding_error
from specjax.rules._base import Claims, Law, Scalar, register
from specjax.rules._one_draft import OneDraft
from specjax.targets import Shift


@register
class Rapid(OneDraft):
    """Accepts the draft with probability min(1, t/q), else draws from max(p - q, p - t)+.

    t ~ p e^(-strength (p - q)) on the tokens with q >= max q / 10, and t ~ p elsewhere. The draft
    model reads a retrieved part of a long text, and may be the better one.

    Attributes:
      strength: at least 0; 10 in the published script. At 0 the rule is `single`.

    Cost: four passes over V. Source: chen2025rapid.
    """

    claims = Claims(
        lossless=False,
        drafting=frozenset({"iid"}),
        source="chen2025rapid",
        n_range=(1, 1),
    )
    strength: Scalar | float = 10.0

    def kept(self, p: Law, q: Law) -> Law:
        """min(1, t/q) for every token [V]."""
        return acceptance_probability(self._moved(p, q), q)

    def rest(self, p: Law, q: Law) -> Law:
        """The residual max(p - q, p - t)+ [V]."""
        covered = jnp.minimum(q, self._moved(p, q))
        return normalise(jnp.maximum(p - covered, 0), p, rounding_error(p))

    def _moved(self, p: Law, q: Law) -> Law:
        """t, the target moved towards q [V]."""
        return Shift(self.strength)(p, q, 1, jnp.int32(1))

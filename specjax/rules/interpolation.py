"""One draft, verified for a mixture of target and draft law."""

import jax.numpy as jnp

from specjax.rules._base import Claims, Law, Loss, Scalar, register
from specjax.rules._one_draft import Retargeted
from specjax.targets import Interpolate


@register
class Interpolation(Retargeted):
    """The lossless rule for the mixture e = s q + (1 - s) p.

    Its distance from p is TV(e, p) = s TV(q, p), which is also what it gains in acceptance. The
    mixture is the law of an ensemble of both models.

    Attributes:
      share: s, in [0, 1]; at 0 the rule is `single`, and lossless.

    Cost: one pass over V. Source: leviathan2023fast, for the test; no source states a share.
    """

    claims = Claims(
        lossless=False,
        drafting=frozenset({"iid"}),
        source="leviathan2023fast",
        n_range=(1, 1),
        loss=Loss("tv", "share"),
        on_front=True,
    )
    share: Scalar | float = 0.5

    def target(self, p: Law, q: Law) -> Law:
        """The mixture [V]."""
        return Interpolate(self.share)(p, q, 1, jnp.int32(1))

"""One draft, tested against a power of its probability."""

import jax.numpy as jnp

from specjax.numerics import acceptance_probability, residual
from specjax.rules._base import Claims, Law, Scalar, register
from specjax.rules._one_draft import OneDraft


@register
class LossyDistillspec(OneDraft):
    """Accepts the draft with probability min(1, p / q^(1/l)), else draws from (p - q)+.

    With l q in place of the power this is `lenience`. The draft model was trained by distillation,
    which this rule does not see.

    Attributes:
      lenience: l, in (0, 1]; at 1 the rule is `single`, and lossless.

    Cost: one pass over V. Source: zhou2024distillspec, by a summary of its lenience
    functions.
    """

    claims = Claims(
        lossless=False,
        drafting=frozenset({"iid"}),
        source="zhou2024distillspec",
        n_range=(1, 1),
        on_front=True,
    )
    lenience: Scalar | float = 0.5

    def kept(self, p: Law, q: Law) -> Law:
        """min(1, p / q^(1/l)) for every token [V]."""
        return acceptance_probability(p, q ** (1 / self.lenience))

    def rest(self, p: Law, q: Law) -> Law:
        """The residual (p - q)+ [V]."""
        return jnp.asarray(residual(p, q))

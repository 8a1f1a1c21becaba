"""One draft, tested against a part of its probability."""

import jax.numpy as jnp

from specjax.numerics import acceptance_probability, residual
from specjax.rules._base import Claims, Law, Loss, Scalar, register
from specjax.rules._one_draft import OneDraft


@register
class Lenience(OneDraft):
    """Accepts the draft with probability min(1, p / (l q)), else draws from (p - q)+.

    It accepts as much as any rule whose emitted law stays below p / l. The residual (a p - q)+ with
    a < 1 would cost less KL at that acceptance.

    Attributes:
      lenience: l, in (0, 1]; at 1 the rule is `single`, and lossless.

    Cost: one pass over V. Source: leviathan2023fast, appendix A.5.

    Example:
      >>> import jax.numpy as jnp, specjax
      >>> p, q = jnp.array([0.5, 0.3, 0.2]), jnp.array([0.2, 0.3, 0.5])
      >>> round(float(specjax.rules.Lenience(0.8).expected_acceptance(p, q, 1)), 3)
      0.75
    """

    claims = Claims(
        lossless=False,
        drafting=frozenset({"iid"}),
        source="leviathan2023fast",
        n_range=(1, 1),
        loss=Loss("ratio", "ratio"),
        on_front=True,
    )
    lenience: Scalar | float = 0.5

    @property
    def ratio(self) -> Scalar | float:
        """1 / l, the largest e/p of the emitted law e."""
        return 1 / self.lenience

    def kept(self, p: Law, q: Law) -> Law:
        """min(1, p / (l q)) for every token [V]."""
        return acceptance_probability(p, self.lenience * q)

    def rest(self, p: Law, q: Law) -> Law:
        """The residual (p - q)+ [V]."""
        return jnp.asarray(residual(p, q))

"""One draft, kept where a linear head on the target's hidden state finds it good."""

import dataclasses

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Float

from specjax.numerics import acceptance_probability, dot, residual
from specjax.rules._base import Claims, Law, Mask, Scalar, Sees, Tokens, register
from specjax.rules._one_draft import tested


@register
class Judge(Sees):
    """Keeps the draft iff sigmoid(w.h + c) > threshold, or with probability min(1, p(x) / q(x)).

    h is the target's hidden state after it read the draft. A refused draft is followed by the
    residual (p - q)+. So TV is the acceptance less alpha*, exactly.

    Attributes:
      weight: [d], the head w; None is a head that reads the first number of h alone.
      bias: c.
      threshold: 0.5 as published.
      evidence: [n, d], h of each slot, as `seeing` sets it.

    Cost: one pass over V. Source: bachmann2025judge.

    Raises:
      ValueError: the rule was given no evidence.
    """

    claims = Claims(
        lossless=False,
        drafting=frozenset({"iid"}),
        source="bachmann2025judge",
        n_range=(1, 1),
        on_front=True,
    )
    weight: Float[Array, " d"] | None = None
    bias: Scalar | float = 0.0
    threshold: Scalar | float = 0.5
    evidence: Float[Array, "n d"] | None = None

    def seeing(self, evidence: Float[Array, "n d"]) -> "Judge":
        """The rule that reads this evidence."""
        return dataclasses.replace(self, evidence=evidence)

    def law(self, tokens: Tokens, p: Law, q: Law, mask: Mask) -> Law:
        if self.evidence is None:
            raise ValueError("rule judge: expected the target's hidden states, got no evidence")
        seen = jnp.where(mask[:, None], self.evidence, 0).astype(p.dtype)
        score = seen[:, 0] if self.weight is None else dot(seen, self.weight)
        good = jax.nn.sigmoid(score + self.bias) > self.threshold
        kept = jnp.where(good, 1, acceptance_probability(p[tokens], q[tokens]))
        return jnp.where(mask[0], tested(kept, residual(p, q), tokens), p)

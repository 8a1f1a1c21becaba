"""One draft, to which its nearest tokens lend their probability."""

import dataclasses

import jax.numpy as jnp
from jax import Array
from jaxtyping import Int

from specjax.numerics import acceptance_probability, normalise, rounding_error
from specjax.rules._base import Claims, Law, Mask, Rule, Scalar, Tokens, register
from specjax.rules._one_draft import tested


@register
class Lantern(Rule):
    """Accepts the draft with probability min(1, (p(x) + s(x)) / q(x)).

    s(x) is the mass of the nearest tokens, of as many as hold at most delta together. Where one of
    them lends, the residual (p - q)+ takes q for 0 on the count + 1 nearest tokens. An empty
    residual is the flat law. Each draft is lent delta anew, so that delta bounds no distance.

    Attributes:
      delta: the most that is lent; above 1 it stands for (delta - 1) p(x). 0.1 as published.
      count: how many tokens may lend; 1000 as published.
      neighbours: [V, count + 1], the other tokens by distance from each; None is a ring of ids.

    Cost: one pass over V. Source: jang2025lantern.
    """

    claims = Claims(
        lossless=False,
        drafting=frozenset({"iid"}),
        source="jang2025lantern",
        n_range=(1, 1),
    )
    delta: Scalar | float = 0.1
    count: int = dataclasses.field(default=1000, metadata={"static": True})
    neighbours: Int[Array, "V k"] | None = None

    def law(self, tokens: Tokens, p: Law, q: Law, mask: Mask) -> Law:
        near = self._near(tokens[0], p.shape[0])
        together = jnp.cumsum(p[near[: self.count]])
        draft = p[tokens]
        limit = jnp.where(self.delta > 1, (self.delta - 1) * draft, self.delta)
        lent = jnp.max(jnp.where(together <= limit, together, 0))
        kept = acceptance_probability(draft + lent, q[tokens])
        test = q.at[near].multiply(jnp.where(together[0] <= limit, 0, 1))
        flat = jnp.full_like(p, 1 / p.shape[0])
        rest = normalise(jnp.maximum(p - test, 0), flat, rounding_error(p))
        return jnp.where(mask[0], tested(kept, rest, tokens), p)

    def _near(self, token: Int[Array, ""], size: int) -> Int[Array, " k"]:
        """The count + 1 tokens nearest to one; on the ring 1 after, 1 before, 2 after, .."""
        if self.neighbours is not None:
            return self.neighbours[token, : self.count + 1]
        steps = jnp.arange(2, min(self.count + 1, size - 1) + 2)
        half = steps // 2
        return (token + jnp.where(steps % 2 == 0, half, -half)) % size

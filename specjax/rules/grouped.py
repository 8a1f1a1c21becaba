"""One draft, tested together with the tokens that are like it."""

import dataclasses

import jax.numpy as jnp
from jax import Array
from jaxtyping import Float

from specjax.numerics import acceptance_probability, residual
from specjax.rules._base import Claims, Law, Scalar, register
from specjax.rules._one_draft import OneDraft


@register
class Grouped(OneDraft):
    """Tests p(C) / q(C) of the draft's group C, in place of p/q; else draws from (p - q)+.

    Ranks are those of p, ascending. The group holds the tokens from `reach` ranks below the draft
    to `reach` - 1 above it, less those with another p or another place. A draft whose ranks end too
    soon is tested alone. The residual is that of tokens, not of groups, so that the rule accepts
    less than its bias could buy.

    Attributes:
      reach: 7 as published.
      gap: how far p may lie from that of the draft; 0.15 as published.
      radius: the squared distance of places in the embedding; 0.5 as published.
      embedding: [V, d], the target's input embedding; None is a circle of ids, of radius 1.

    Cost: a sort of V, and 2 reach passes. Source: so2025grouped.
    """

    claims = Claims(
        lossless=False,
        drafting=frozenset({"iid"}),
        source="so2025grouped",
        n_range=(1, 1),
    )
    reach: int = dataclasses.field(default=7, metadata={"static": True})
    gap: Scalar | float = 0.15
    radius: Scalar | float = 0.5
    embedding: Float[Array, "V d"] | None = None

    def kept(self, p: Law, q: Law) -> Law:
        """min(1, p(C) / q(C)) for every token [V]."""
        size = p.shape[0]
        order = jnp.argsort(p)
        rank = jnp.arange(size)[:, None] + jnp.arange(-self.reach, self.reach)
        whole = (rank[:, 0] >= 0) & (rank[:, -1] < size)
        group = order[jnp.clip(rank, 0, size - 1)]
        embedding = _circle(p) if self.embedding is None else self.embedding
        places = jnp.asarray(embedding, p.dtype)
        apart = jnp.sum((places[group] - places[order][:, None]) ** 2, -1)
        gap = jnp.abs(p[group] - p[order][:, None])
        alike = (gap < self.gap) & (apart < self.radius)
        held = jnp.sum(jnp.where(alike, p[group], 0), -1)
        drafted = jnp.sum(jnp.where(alike, q[group], 0), -1)
        alone = acceptance_probability(p, q)
        together = acceptance_probability(held, drafted)
        return alone.at[order].set(jnp.where(whole, together, alone[order]))

    def rest(self, p: Law, q: Law) -> Law:
        """The residual (p - q)+ [V]."""
        return jnp.asarray(residual(p, q))


def _circle(p: Law) -> Float[Array, "V 2"]:
    """The ids at equal distances on the circle of radius 1, [V, 2]."""
    angle = 2 * jnp.pi * jnp.arange(p.shape[0], dtype=p.dtype) / p.shape[0]
    return jnp.stack([jnp.cos(angle), jnp.sin(angle)], 1)

"""Laws that a rule or a verifier may be run with in place of the target's law p.

A lossless rule then emits such a law e exactly. Each is a function (p, q, n) -> e of the two laws
and the number of live drafts, at least 1. `rules.Retarget` and `verifiers.Retarget` run with them.
"""

from dataclasses import field
from typing import Protocol, runtime_checkable

import jax.numpy as jnp

from specjax import bounds
from specjax._registry import register
from specjax._types import Count, Law, Scalar
from specjax.numerics import normalise

PART = 0.1  # of the largest q: the logits of less likely drafts stay


@runtime_checkable
class Target(Protocol):
    """A law in place of p."""

    def __call__(self, p: Law, q: Law, n: int, live: Count) -> Law:
        """The law e [V] for `live` of n drafts."""
        ...


@register
class Band:
    """The best law at a price, for any scheme whose tokens have an order: see `bounds.front`.

    Attributes:
      price: nats of KL for one more unit of acceptance; at 0 the law is p.
      scheme: name of the drafting scheme.
    """

    price: Scalar | float = 1.0
    scheme: str = field(default="iid", metadata={"static": True})

    def __call__(self, p: Law, q: Law, n: int, live: Count) -> Law:
        """The law e."""
        nearest = bounds.nearest(p, q, n, self.scheme, live)
        return bounds.band(p, nearest, self.price).law


@register
class Interpolate:
    """(1 - t) p + t q, the law of an ensemble.

    Attributes:
      share: t, in [0, 1].
    """

    share: Scalar | float = 0.5

    def __call__(self, p: Law, q: Law, n: int, live: Count) -> Law:
        """The law e."""
        return self.share * q + (1 - self.share) * p


@register
class Shift:
    """p with its logits moved towards the draft law: e ~ p e^(-strength (p - q)).

    Logits move on the tokens with q >= max q / 10 alone. RAPID verifies its drafts for this law.

    Attributes:
      strength: at least 0; at 0 the law is p.
    """

    strength: Scalar | float = 10.0

    def __call__(self, p: Law, q: Law, n: int, live: Count) -> Law:
        """The law e."""
        step = jnp.where(q >= PART * jnp.max(q), self.strength * (q - p), 0)
        least = jnp.max(jnp.where(p > 0, step, -jnp.inf))
        return normalise(p * jnp.exp(jnp.minimum(step - least, 0)), p)


@register
class Sharpen:
    """p at another temperature: e is proportional to p^(1/T).

    Attributes:
      temperature: T, above 0; below 1 the law is sharper than p.
    """

    temperature: Scalar | float = 0.7

    def __call__(self, p: Law, q: Law, n: int, live: Count) -> Law:
        """The law e."""
        logs = jnp.log(p / jnp.max(p)) / self.temperature
        return normalise(jnp.exp(logs), p)

"""The law of largest acceptance within a KL budget of p: q, clipped between two multiples of p."""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp

from specjax._types import Count, Law, Scalar
from specjax.numerics import divide, epsilon, sums_onward, total


class _Sorted(NamedTuple):
    """The laws by rising q/p, and their sums from both ends.

    Attributes:
      ratio: q/p, infinite where p is 0.
      p: the target law.
      p_below: the sum of p up to a place, with it.
      q_below: that of q.
      p_above: the sum of p from a place on.
      q_above: that of q.
    """

    ratio: Law
    p: Law
    p_below: Law
    q_below: Law
    p_above: Law
    q_above: Law


class _Band(NamedTuple):
    """The levels of e = clip(q, low p, high p), and its KL(e || p)."""

    low: Scalar
    high: Scalar
    kl: Scalar


def law(p: Law, q: Law, budget: Scalar | float) -> Law:
    """The law e = clip(q, low p, high p) with KL(e || p) = budget, or less if e is q.

    No law within the budget has a larger sum min(e, q). That sum is 1 - r, where r is the mass of q
    above e. KL falls with r at the rate log(high/low), so that r is found by bisection. A Newton
    step of size 0 has the derivatives. Where p has zeros, r is at least q's mass there.

    Args:
      p: target law [V].
      q: draft law [V].
      budget: in nats, at least 0.

    Returns:
      The law [V].

    Cost: a sort of V, and six passes for each bit of the result.
    """
    ordered = jax.lax.stop_gradient(_ordered(p, q))
    above = total(jnp.maximum(q - p, 0))
    least = jnp.minimum(total(jnp.where(p > 0, 0, q)), above)

    def halve(_: Count, ends: tuple[Scalar, Scalar]) -> tuple[Scalar, Scalar]:
        low, high = ends
        middle = (low + high) / 2
        fits = _band(ordered, middle).kl <= budget
        return jnp.where(fits, low, middle), jnp.where(fits, middle, high)

    steps = 2 - math.floor(math.log2(epsilon(p)))
    _, root = jax.lax.fori_loop(0, steps, halve, jax.lax.stop_gradient((least, above)))
    found = _band(_ordered(p, q), root)
    excess = found.kl - budget
    step = divide(excess - jax.lax.stop_gradient(excess), _rate(found))
    whole = _band(ordered, jax.lax.stop_gradient(least)).kl <= budget
    low, high, _ = _band(_ordered(p, q), jnp.where(whole, least, root + step))
    return jnp.clip(q, low * p, high * p)


def _ordered(p: Law, q: Law) -> _Sorted:
    ratio = jnp.where(p > 0, divide(q, p), jnp.inf)
    order = jnp.argsort(ratio)
    p, q = p[order], q[order]
    return _Sorted(
        ratio=ratio[order],
        p=p,
        p_below=jnp.cumsum(p),
        q_below=jnp.cumsum(q),
        p_above=sums_onward(p),
        q_above=sums_onward(q),
    )


def _band(laws: _Sorted, refused: Scalar) -> _Band:
    """The levels with sum (q - high p)+ = sum (low p - q)+ = refused.

    Either sum is a maximum over the tokens below, or above, a place in the order. So a level is an
    extremum over the places.
    """
    below = divide(refused + laws.q_below, laws.p_below)
    above = divide(laws.q_above - refused, laws.p_above)
    low = jnp.minimum(1, jnp.min(jnp.where(laws.p_below > 0, below, jnp.inf)))
    high = jnp.maximum(1, jnp.max(above))
    held = jnp.where(laws.p > 0, jnp.clip(laws.ratio, low, high), 1)
    terms = held * jnp.log(jnp.where(held > 0, held, 1))
    return _Band(low, high, total(laws.p * terms))


def _rate(band: _Band) -> Scalar:
    """log(high/low), which no derivative sees; infinite levels count as equal."""
    rate = jnp.log(band.high) - jnp.log(jnp.maximum(band.low, epsilon(band.low) ** 2))
    return jax.lax.stop_gradient(rate)

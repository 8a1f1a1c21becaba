"""The front of acceptance against bias: bands of the law nearest to p, by its curve of Q against p.

Over sets H in the order of p/q the points (p(H), Q(H)) form a curve. The steps of its least concave
majorant are e_1, the law nearest to p among those of rules that always accept. The best law at any
bias is clip(e_1, a p, b p), with as much mass cut off above as is raised below. The proof stands in
theory/front.py.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Bool, Float, Int

from specjax._types import Count, Law, Scalar
from specjax.numerics import divide, epsilon, normalise, relative_entropy, total, total_variation

DEAREST = 80.0  # a larger price is as good as it: e^-80 is still a number
SHARP = 1e-9  # an ulp of 1 below it is one of float64


class Curve(NamedTuple):
    """Q(H) against p(H), for sets H that grow by one bin of tokens at a time.

    Attributes:
      p: [K + 1], p(H), from 0 to 1.
      inside: [K + 1], Q(H), from 0 to 1.
      place: [V], the bin of each token.
      drafted: [K], the q mass of each bin.
    """

    p: Float[Array, " points"]
    inside: Float[Array, " points"]
    place: Int[Array, " V"]
    drafted: Float[Array, " bins"]


class Front(NamedTuple):
    """The best law at one price, and what it accepts.

    Attributes:
      law: [V], the emitted law e.
      acceptance: A, the most that a rule accepts which emits e.
      tv: TV(e, p) = A - alpha*.
      kl: KL(e || p) in nats.
      low: a, the smallest e/p.
      high: b, the largest e/p; price = log(b/a).
    """

    law: Law
    acceptance: Scalar
    tv: Scalar
    kl: Scalar
    low: Scalar
    high: Scalar


class _Hull(NamedTuple):
    """The majorant up to the corner `at`."""

    at: Int[Array, ""]
    slope: Float[Array, " bins"]
    pooled: Bool[Array, " bins"]


def majorant(curve: Curve, p: Law, q: Law) -> Law:
    """e_1, the steps of the least concave majorant of a curve, token by token.

    A bin between two neighbouring corners is shared out in proportion to q, whose ratio to p hardly
    varies in a bin; bins under one edge in proportion to p.

    Args:
      curve: of bins of p/q.
      p: [V], the target distribution.
      q: [V], the draft distribution.

    Returns:
      The law [V].

    Cost: K for each corner, and two passes over V.
    """
    gain = jnp.diff(curve.inside)
    count = len(gain)
    points = jnp.arange(count + 1)
    bins = points[:-1]

    def turn(hull: _Hull) -> _Hull:
        rise = curve.inside - curve.inside[hull.at]
        run = curve.p - curve.p[hull.at]
        steep = jnp.where(run > 0, divide(rise, run), jnp.where(rise > 0, jnp.inf, -1))
        steep = jnp.where(points > hull.at, steep, -jnp.inf)
        highest = jnp.max(steep)
        end = count - jnp.argmax((steep == highest)[::-1])  # of equal slopes the farthest
        under = (bins >= hull.at) & (bins < end)
        edge = jnp.isfinite(highest) & (end - hull.at > 1)
        return _Hull(
            at=end.astype(jnp.int32),
            slope=jnp.where(under, highest, hull.slope),
            pooled=jnp.where(under, edge, hull.pooled),
        )

    start = _Hull(jnp.int32(0), jnp.zeros_like(gain), jnp.zeros(count, bool))
    hull: _Hull = jax.lax.while_loop(lambda hull: hull.at < count, turn, start)
    share = divide(gain, curve.drafted)
    own = share[curve.place] * q
    return jnp.where(hull.pooled[curve.place], hull.slope[curve.place] * p, own)


def ranks(ratio: Law) -> Int[Array, " V"]:
    """The place of each token in ascending order. Cost: a sort."""
    order = jnp.argsort(ratio)
    places = jnp.arange(len(order), dtype=jnp.int32)
    return jnp.zeros_like(places).at[order].set(places)


def band(p: Law, nearest: Law, price: Scalar | float) -> Front:
    """The best law at which one more unit of acceptance costs `price` nats of KL.

    Args:
      p: [V], the target distribution.
      nearest: [V], e_1.
      price: log(b/a), at least 0; at 0 the law is p to the bit. It may be traced.

    Returns:
      The law, what it accepts and what it costs.

    Cost: about 70 passes over V, 130 in float64.
    """
    price = jnp.clip(jnp.asarray(price, p.dtype), 0, DEAREST)

    def cut(high: Scalar) -> Scalar:
        return total(jnp.maximum(nearest - high * p, 0))

    def surplus(height: Scalar) -> Scalar:
        raised = total(jnp.maximum(jnp.exp(height - price) * p - nearest, 0))
        return raised - cut(jnp.exp(height))

    height = root(surplus, price)
    low, high = jnp.exp(height - price), jnp.exp(height)
    law = normalise(jnp.clip(nearest, low * p, high * p), p)
    law = jnp.where(price > 0, law, p)
    accepted = 1 - cut(high)
    return Front(
        law=law,
        acceptance=accepted,
        tv=total_variation(law, p),
        kl=relative_entropy(law, p),
        low=low,
        high=high,
    )


def root(rising: Callable[[Scalar], Scalar], end: Scalar) -> Scalar:
    """The root of a rising function in [0, end], or the end if there is none.

    Args:
      rising: the function.
      end: at least 0.

    Returns:
      The root, to rounding.

    Cost: 32 calls, 60 in float64.
    """

    def halve(_: Count, ends: tuple[Scalar, Scalar]) -> tuple[Scalar, Scalar]:
        low, high = ends
        middle = (low + high) / 2
        below = rising(middle) < 0
        return jnp.where(below, middle, low), jnp.where(below, high, middle)

    steps = 60 if epsilon(end) < SHARP else 32
    _, found = jax.lax.fori_loop(0, steps, halve, (jnp.zeros_like(end), end))
    return jnp.asarray(found)

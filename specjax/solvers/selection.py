"""Which of n independent drafts to put before the one-draft test, and the law of the draft that is picked."""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Bool, Float, Int

from specjax._types import Count, Law, Scalar
from specjax.numerics import tiny

CELLS = 64  # tokens of one p/q up to a factor e^(1/64) count as tied: rounding must not decide which of them goes first
FARTHEST = 2**20  # cells on either side of p = q: more than any float's logarithm needs
OFFSET = math.sqrt(0.5)  # p = q, and ratios of small integers, lie inside a cell
STEPS = 32  # bisections of the weight, before it is set to the nearest breakpoint
SLOPE = 1e-5  # a slope of sum min(p, r) that rounding does not blur in float32; so much acceptance is given up at most


class Selection(NamedTuple):
    """The draft of largest p/q is picked with probability `weight`, the first draft otherwise.

    Attributes:
      order: [V], the tokens by p/q, largest first.
      sums: [n, V], in that order: (T^m - U^m) / q for m = 1 .. n, T the q mass of the token and of all after it, U = T - q.
      law: [V], of the picked token.
      weight: in [0, 1].
    """

    order: Int[Array, " V"]
    sums: Float[Array, "n V"]
    law: Law
    weight: Scalar


def select(p: Law, q: Law, n: int, live: Count) -> Selection:
    """The selection whose weight maximises sum min(p, law), for `live` of n drafts from q.

    A token is the largest of m drafts with probability T^m - U^m = q (T^(m-1) + T^(m-2) U + .. + U^(m-1)). Cost: a sort of V
    integers and some forty passes over it.
    """
    order = _order(*jax.lax.stop_gradient((p, q)))
    onward = jnp.cumsum(q[order][::-1])[::-1]
    after = jnp.append(onward[1:], 0)
    sums, power = [jnp.ones_like(q)], after
    for _ in range(n - 1):
        sums.append(onward * sums[-1] + power)
        power = power * after
    largest = jnp.zeros_like(q).at[order].set(q[order] * jnp.stack(sums)[jnp.maximum(live, 1) - 1])
    weight = _weight(p, q, largest)
    return Selection(order, jnp.stack(sums), q + weight * (largest - q), weight)


def _order(p: Law, q: Law) -> Int[Array, " V"]:
    """The tokens by p/q, largest first, of tied ones that of lowest index.

    Cell and token are one integer, which XLA sorts in a seventh of the time of a pair of numbers. In float32 it has room for ratios to
    e^128 up to V = 2^18, to e^32 at V = 2^20; those beyond are tied.
    """
    size, width = len(p), 8 * p.dtype.itemsize
    bits = (size - 1).bit_length()
    last, kind = min(2 ** (width - 1 - bits), FARTHEST) - 1, np.dtype(f"uint{width}")
    ratio = jnp.where(p > 0, jnp.where(q > 0, p / jnp.maximum(q, tiny(q)), jnp.inf), 0)
    cell = jnp.clip(jnp.floor(CELLS * jnp.log(ratio) + OFFSET), -last, last)
    packed = ((last - cell).astype(kind) << kind.type(bits)) | jnp.arange(size, dtype=kind)
    return (jnp.sort(packed) & kind.type(2**bits - 1)).astype(jnp.int32)


def _weight(p: Law, q: Law, largest: Law) -> Scalar:
    """The smallest maximiser of sum min(p, q + w (largest - q)), which is concave and piecewise linear in w."""
    change = largest - q

    def rises(weight: Scalar) -> Bool[Array, ""]:
        return jnp.sum(jnp.where(q + weight * change < p, change, 0)) > SLOPE

    def halve(_: Count, bracket: tuple[Scalar, Scalar]) -> tuple[Scalar, Scalar]:
        low, high = bracket
        middle = (low + high) / 2
        up = rises(middle)
        return jnp.where(up, middle, low), jnp.where(up, high, middle)

    zero, one = jnp.zeros((), p.dtype), jnp.ones((), p.dtype)
    _, high = jax.lax.fori_loop(0, STEPS, halve, (zero, one))
    # read off the token at which the slope turns, the weight is exact and has a gradient
    gap, step = jax.lax.stop_gradient((p - q, change))
    breakpoints = jnp.where(step != 0, gap / jnp.where(step != 0, step, 1), jnp.inf)
    turn = jnp.argmin(jnp.abs(breakpoints - high))
    inside = (high >= 2.0 ** (1 - STEPS)) & ~rises(one)
    weight = jnp.clip((p - q)[turn] / jnp.where(inside, change[turn], 1), 0, 1)
    return jnp.where(inside, weight, jnp.where(rises(one), 1, 0))

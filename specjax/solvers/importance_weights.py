"""Which of n independent drafts to put before the one-draft test, and the law of the draft that is
picked.
"""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Bool, Float, Int

from specjax import exact_sums
from specjax._types import Count, Law, Scalar
from specjax.numerics import tiny, total

STEPS = 64  # cells for a factor e of p/q
FARTHEST = 22  # factors e on either side of p = q; ratios beyond are tied
# p = q, and ratios of small integers, lie inside a cell: rounding must not decide where they go
OFFSET = math.sqrt(0.5)
CELLS = 2 * STEPS * FARTHEST + 1
HALVINGS = 32  # of the weight's bracket, before it is set to the nearest breakpoint
# a slope of sum min(p, r) that rounding does not blur in float32; so much acceptance is given up at
# most
SLOPE = 1e-5


class Selection(NamedTuple):
    """The first draft in the highest cell of p/q is picked with probability `weight`, the first
    draft otherwise.

    Attributes:
      cell: [V], of each token, that of largest p/q first.
      onward: [CELLS], T, the q mass of the cell and of all after it.
      after: [CELLS], U, that of all after it.
      law: [V], of the picked token.
      weight: in [0, 1].
    """

    cell: Int[Array, " V"]
    onward: Float[Array, " cells"]
    after: Float[Array, " cells"]
    law: Law
    weight: Scalar


def select(
    p: Law,
    q: Law,
    n: int,
    live: Count,
) -> Selection:
    """The selection whose weight maximises sum min(p, law), for `live` of n drafts from q.

    The highest cell of m drafts is this one with probability T^m - U^m, and the first draft there
    is a draw from q within the cell: a token is it with probability q (T^m - U^m) / (T - U) = q
    (T^(m-1) + T^(m-2) U + .. + U^(m-1)). Cost: a scatter of V, no sort, and some forty passes.
    """
    cell = cells(p, q)
    onward = jnp.cumsum(exact_sums.sums(cell, CELLS, q)[0][::-1])[::-1]
    after = jnp.append(onward[1:], 0)
    chances = jnp.stack([polynomial[0] for polynomial in pick_chances(onward, after, n)])
    largest = q * chances[jnp.maximum(live, 1) - 1, cell]
    weight = _weight(p, q, largest)
    return Selection(cell, onward, after, q + weight * (largest - q), weight)


def pick_chances(
    onward: Float[Array, " cells"], after: Float[Array, " cells"], n: int
) -> list[list[Float[Array, " cells"]]]:
    """C_m(x) = ((T + x)^m - U^m) / (T + x - U), by powers of x, for m = 1 .. n: times q, the chance
    that a token is picked of m drafts.

    At x = -q_y, in a cell of which y is one, that y is not drafted either.
    """
    found = [[jnp.ones_like(onward)]]
    power = after
    for _ in range(n - 1):
        last = found[-1]
        nothing = jnp.zeros_like(onward)
        following = [
            onward * here + below
            for here, below in zip([*last, nothing], [nothing, *last], strict=True)
        ]
        found.append([following[0] + power, *following[1:]])
        power = power * after
    return found


def cells(p: Law, q: Law) -> Int[Array, " V"]:
    """The cell of each token by p/q, that of the largest first."""
    p, q = jax.lax.stop_gradient((p, q))
    ratio = jnp.where(p > 0, jnp.where(q > 0, p / jnp.maximum(q, tiny(q)), jnp.inf), 0)
    steps = jnp.clip(
        jnp.floor(STEPS * jnp.log(ratio) + OFFSET), -STEPS * FARTHEST, STEPS * FARTHEST
    )
    return (STEPS * FARTHEST - steps).astype(jnp.int32)


def _weight(p: Law, q: Law, largest: Law) -> Scalar:
    """The smallest maximiser of sum min(p, q + w (largest - q)), which is concave and piecewise
    linear in w.
    """
    change = largest - q

    def rises(weight: Scalar) -> Bool[Array, ""]:
        return jnp.sum(jnp.where(q + weight * change < p, change, 0)) > SLOPE

    def halve(_: Count, bracket: tuple[Scalar, Scalar]) -> tuple[Scalar, Scalar]:
        low, high = bracket
        middle = (low + high) / 2
        up = rises(middle)
        return jnp.where(up, middle, low), jnp.where(up, high, middle)

    zero = jnp.zeros((), p.dtype)
    one = jnp.ones((), p.dtype)
    _, high = jax.lax.fori_loop(0, HALVINGS, halve, (zero, one))
    # read off the token at which the slope turns, the weight is exact and has a gradient
    gap, step = jax.lax.stop_gradient((p - q, change))
    breakpoints = jnp.where(step != 0, gap / jnp.where(step != 0, step, 1), jnp.inf)
    turn = jnp.argmin(jnp.abs(breakpoints - high))
    inside = (high >= 2.0 ** (1 - HALVINGS)) & ~rises(one)
    weight = jnp.clip((p - q)[turn] / jnp.where(inside, change[turn], 1), 0, 1)
    return jnp.where(inside, weight, jnp.where(rises(one), 1, 0))


def refused_and_unseen(
    selection: Selection,
    p: Law,
    q: Law,
    n: int,
) -> Law:
    """P(the pick is refused and y is not among the n drafts), for each token y."""
    r, weight = selection.law, selection.weight
    # the gradient divides by r^2, and less than that is never drawn
    held = r > math.sqrt(tiny(r))
    refused = jnp.where(held, jnp.maximum(r - p, 0) / jnp.where(held, r, 1), 0) * q
    by_cell = exact_sums.sums(selection.cell, CELLS, refused)[0]
    by_pick = jnp.stack(_unseen(selection, by_cell, n), 1)[selection.cell]
    # y was not drafted, and the first draft was refused
    unseen = (1 - weight) * total(refused) * (1 - q) ** (n - 1)
    unseen += weight * sum(by_pick[:, k] * (-q) ** k for k in range(n))
    return unseen


def _unseen(
    selection: Selection, refused: Float[Array, " cells"], n: int
) -> list[Float[Array, " cells"]]:
    """P(the pick is refused and y is not drafted), by powers of -q_y and the cell of y; y itself is
    never refused.

    y is not drafted if the pick is of a lower cell; else T and U, or in its own cell T, are without
    q_y.
    """
    chances = pick_chances(selection.onward, selection.after, n)
    own = [refused * part for part in chances[-1]]
    higher = [jnp.cumsum(refused * of_m[0]) - refused * of_m[0] for of_m in chances]
    lower = jnp.sum(own[0]) - jnp.cumsum(own[0])
    # (T - q)^n - (U - q)^n
    unseen = [own[k] + math.comb(n, k) * higher[n - 1 - k] for k in range(n)]
    return [unseen[0] + lower, *unseen[1:]]

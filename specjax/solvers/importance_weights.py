"""Which of n independent drafts to put before the one-draft test, and its distribution."""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Bool, Float, Int

from specjax import exact_sums
from specjax._types import Count, Law, Scalar
from specjax.numerics import sums_onward, tiny, total

STEPS = 64  # cells for a factor e of p/q
FARTHEST = 22  # factors e on either side of p = q; ratios beyond are tied
# p = q, and ratios of small integers, lie inside a cell: rounding must not decide where they go
OFFSET = math.sqrt(0.5)
CELLS = 2 * STEPS * FARTHEST + 1
HALVINGS = 32  # of the weight's bracket, before it is set to the nearest breakpoint
# a slope of sum min(p, r) that rounding does not blur in float32; so much acceptance is given up at
# most
SLOPE = 1e-5

PerCell = Float[Array, " cells"]
Powers = list[PerCell]


class Selection(NamedTuple):
    """How one of the drafts is picked.

    With probability `weight` it is the first draft in the highest cell of p/q, otherwise the first
    draft.

    Attributes:
      cell: [V], the cell of each token; the cell of largest p/q has index 0.
      onward: [CELLS], T, the q mass of the cell and of all after it.
      after: [CELLS], U, the q mass of all cells after it.
      law: [V], the distribution of the picked token.
      weight: in [0, 1].
    """

    cell: Int[Array, " V"]
    onward: PerCell
    after: PerCell
    law: Law
    weight: Scalar


def select(p: Law, q: Law, n: int, live: Count) -> Selection:
    """The selection whose weight maximises sum min(p, law).

    The highest cell of m drafts is a given one with probability T^m - U^m. The first draft in it is
    a draw from q within the cell. So a token is picked with probability q (T^m - U^m) / (T - U) = q
    (T^(m-1) + T^(m-2) U + .. + U^(m-1)).

    Args:
      p: [V], the target distribution.
      q: [V], the draft distribution.
      n: >= 1, the number of slots; static.
      live: <= n, the number of drafts.

    Returns:
      The selection.

    Cost: a scatter of V, no sort, and some forty passes over V.
    """
    cell = cells(p, q)
    mass = exact_sums.sums(cell, CELLS, q)[0]
    onward = sums_onward(mass)
    after = jnp.append(onward[1:], 0)
    chances = [polynomial[0] for polynomial in pick_chances(onward, after, n)]
    drafts = jnp.maximum(live, 1)
    largest = q * jnp.stack(chances)[drafts - 1, cell]
    weight = _weight(p, q, largest)
    return Selection(
        cell=cell,
        onward=onward,
        after=after,
        law=q + weight * (largest - q),
        weight=weight,
    )


def pick_chances(onward: PerCell, after: PerCell, n: int) -> list[Powers]:
    """The polynomials C_m(x) = ((T + x)^m - U^m) / (T + x - U), for m = 1 .. n.

    q C_m(0) is the probability that a token is picked of m drafts. At x = -q_y, in the cell of y,
    it is the probability that moreover y is not drafted. The recursion is C_(m+1) = (T + x) C_m +
    U^m.

    Args:
      onward: [cells], T.
      after: [cells], U.
      n: >= 1, static.

    Returns:
      For each m the coefficients of x^0, x^1, .., each [cells].
    """
    found = [[jnp.ones_like(onward)]]
    power = after
    for _ in range(n - 1):
        last = found[-1]
        nothing = jnp.zeros_like(onward)
        pairs = zip([*last, nothing], [nothing, *last], strict=True)
        following = [onward * here + below for here, below in pairs]
        found.append([following[0] + power, *following[1:]])
        power = power * after
    return found


def cells(p: Law, q: Law) -> Int[Array, " V"]:
    """The cell of each token by p/q; the cell of largest p/q has index 0.

    Args:
      p: [V], the target distribution.
      q: [V], the draft distribution.

    Returns:
      [V], in [0, CELLS).

    Cost: one pass over V.
    """
    p, q = jax.lax.stop_gradient((p, q))
    drafted = jnp.where(q > 0, p / jnp.maximum(q, tiny(q)), jnp.inf)
    ratio = jnp.where(p > 0, drafted, 0)
    farthest = STEPS * FARTHEST
    steps = jnp.floor(STEPS * jnp.log(ratio) + OFFSET)
    return (farthest - jnp.clip(steps, -farthest, farthest)).astype(jnp.int32)


def _weight(p: Law, q: Law, largest: Law) -> Scalar:
    """The smallest maximiser w of sum min(p, q + w (largest - q)).

    The sum is concave and piecewise linear in w.
    """
    change = largest - q

    def rises(weight: Scalar) -> Bool[Array, ""]:
        slope = jnp.sum(jnp.where(q + weight * change < p, change, 0))
        return slope > SLOPE

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
    moves = step != 0
    breakpoints = jnp.where(moves, gap / jnp.where(moves, step, 1), jnp.inf)
    turn = jnp.argmin(jnp.abs(breakpoints - high))
    inside = (high >= 2.0 ** (1 - HALVINGS)) & ~rises(one)
    divisor = jnp.where(inside, change[turn], 1)
    weight = jnp.clip((p - q)[turn] / divisor, 0, 1)
    return jnp.where(inside, weight, jnp.where(rises(one), 1, 0))


def refused_and_unseen(selection: Selection, p: Law, q: Law, n: int) -> Law:
    """P(the pick is refused and y is not among the n drafts), for each token y.

    Args:
      selection: of n live drafts.
      p: [V], the target distribution.
      q: [V], the draft distribution.
      n: >= 1, the number of drafts; static.

    Returns:
      [V], probabilities, differentiable in p and q.

    Cost: a scatter and a gather of V, and n passes over V.
    """
    r = selection.law
    weight = selection.weight
    # the gradient divides by r^2, and less than that is never drawn
    held = r > math.sqrt(tiny(r))
    chance = jnp.maximum(r - p, 0) / jnp.where(held, r, 1)
    refused = jnp.where(held, chance, 0) * q
    by_cell = exact_sums.sums(selection.cell, CELLS, refused)[0]
    by_pick = jnp.stack(_unseen(selection, by_cell, n), 1)[selection.cell]
    # y was not drafted, and the first draft was refused
    of_first = (1 - weight) * total(refused) * (1 - q) ** (n - 1)
    of_pick = sum(by_pick[:, k] * (-q) ** k for k in range(n))
    return of_first + weight * of_pick


def _unseen(selection: Selection, refused: PerCell, n: int) -> Powers:
    """P(the pick is refused and y is not drafted), by powers of -q_y and the cell of y.

    y itself is never refused. If the pick is of a lower cell than y, y is not drafted. If the pick
    is of a higher cell, T and U are without q_y. If it is of the cell of y, T is without q_y.
    """
    chances = pick_chances(selection.onward, selection.after, n)
    own = [refused * part for part in chances[-1]]
    higher = [jnp.cumsum(refused * powers[0]) - refused * powers[0] for powers in chances]
    lower = jnp.sum(own[0]) - jnp.cumsum(own[0])
    # (T - q)^n - (U - q)^n
    unseen = [own[k] + math.comb(n, k) * higher[n - 1 - k] for k in range(n)]
    return [unseen[0] + lower, *unseen[1:]]

"""min over prefixes H of p(H) - Q(H) without a sort: a radix search over the bit patterns of p/q,
with a lower bound.

Bit patterns of non-negative floats are ordered like the floats, so every set {p/q < edge} is {key <
edge}, exactly. One level sums p and q in K x S cells of keys. Inside a cell the ratio lies in [r_a,
r_b] and p is convex in q, hence p >= the larger of the lines of slope r_a from the left end and r_b
from the right end, and Q is at most its chord (q-convexity: hu2025towards). Their difference is
lowest at the ends or where the two lines meet: at most (r_b - r_a) dq / 4 below the better end. The
K cells of lowest bound are split S-fold at the next level, until the bound is within the tolerance
or cells hold a single ratio.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Bool, Float, Int, UInt

from specjax import exact_sums
from specjax._types import Law, Scalar
from specjax.numerics import divide, largest

# rows for the tokens in no open cell, in turn: a sum that waits for the one before takes twice as
# long
SPARE = 8
# ratios below 2^-32 share a cell with p = 0, and those beyond 2^32 the last one: the bound is then
# looser, not wrong
OCTAVES = 32


class Cells(NamedTuple):
    """How many cells are opened at a level, and into how many each is split (powers of 2)."""

    opened: int
    split: int


class Below(NamedTuple):
    """Sums over the tokens below each edge: of p, of the tail inside and outside, of the
    moments.
    """

    p: Float[Array, "K M"]
    inside: Float[Array, "K M"]
    outside: Float[Array, "K M"]
    moments: Float[Array, "K M moments"]
    edge: UInt[Array, "K M"]


class Edges(NamedTuple):
    """p(H), q(H), q outside H and 1 - Q(H) at the sets H below the edges; small masses are accurate
    relative to themselves.
    """

    p: Float[Array, "K M"]
    inside: Float[Array, "K M"]
    outside: Float[Array, "K M"]
    miss_probability: Float[Array, "K M"]


class Found(NamedTuple):
    """1 + p(H) - Q(H) at the best edge, a lower bound over all H (both but for rounding), and the
    set of the first.
    """

    value: Scalar
    lower: Scalar
    inside: Bool[Array, " V"]


class _Level(NamedTuple):
    """The open cells of a level (first key, keys in each, sums below each: of words and of moments)
    and the best edge so far.

    The words' totals are those of all tokens, known from the first level on.
    """

    starts: UInt[Array, " K"]
    width: UInt[Array, ""]
    below: tuple[Int[Array, "K 4"], Float[Array, "K moments"]]
    totals: Int[Array, " 4"]
    shift: UInt[Array, ""]
    value: Scalar
    edge: UInt[Array, ""]
    closed: Scalar
    lower: Scalar


def keys(p: Law, q: Law) -> UInt[Array, " V"]:
    """Integers that are ordered as p/q is: 0 where p = 0, the largest where only q = 0."""
    kind = np.dtype(f"uint{8 * p.dtype.itemsize}")
    low, high = _range(p.dtype)
    bits = jax.lax.bitcast_convert_type(jnp.where(p > 0, p / q, 0), kind)
    return jnp.clip(bits, low, high) - low


def _range(dtype: jnp.dtype) -> tuple[np.unsignedinteger, np.unsignedinteger]:
    """The bits of 2^-32, and those of the number below 2^32."""
    low, high = np.array([2.0**-OCTAVES, 2.0**OCTAVES], dtype).view(
        f"uint{8 * np.dtype(dtype).itemsize}"
    )
    return low, high - low.dtype.type(1)


def _ratio(edge: UInt[Array, "..."], dtype: jnp.dtype) -> Float[Array, "..."]:
    """The smallest p/q at or beyond an edge; infinite at the end."""
    low, high = _range(dtype)
    value = jax.lax.bitcast_convert_type(edge + low, np.dtype(dtype))
    return jnp.where(edge == 0, 0, jnp.where(edge > high - low, jnp.inf, value))


def no_moments(q: Law) -> Float[Array, "V 0"]:
    """For a `measure` that asks for no further columns."""
    return jnp.zeros((q.shape[0], 0), q.dtype)


def search(
    p: Law,
    key: UInt[Array, " V"],
    tail: Law,
    moments: Float[Array, "V moments"],
    measure: Callable[[Below], Edges],
    cells: Cells,
    tolerance: float,
) -> Found:
    """The best edge for the target p and the draft law that `measure` knows, to a bracket of
    `tolerance` where keys resolve it.

    Args:
      key: `keys(p, q)`.
      tail: the part of q that the cells sum; `measure` adds the rest by key. It sums to about 1.
      moments: further columns that are summed below each edge.

    Cost: two levels as a rule, one per log2(split) bits of a key at most; each is one scatter of V
    rows, in which all columns lie side by side (as many as one of a single column), and K (S + 1)
    edges measured.
    """
    dtype = p.dtype
    kind = key.dtype.type
    fine = cells.split.bit_length() - 1
    coarse = (cells.opened * cells.split).bit_length() - 1
    columns = exact_sums.side_by_side(p, tail), moments
    # computed once, not in each scatter
    key, columns = jax.lax.optimization_barrier((key, columns))
    low, high = _range(dtype)
    shift = int(high - low).bit_length() - coarse
    one = jnp.ones((), dtype)
    # the width of the cells that are open at first: side by side, they are everything
    whole = kind(1 << (shift + fine))

    def mass(words: Array) -> Array:
        return exact_sums.value(words[..., 0], words[..., 1], p.shape[0], dtype)

    def step(level: _Level) -> _Level:
        index = jax.lax.optimization_barrier(_cell(key, level, cells.split))
        first = level.width == whole
        words, moments = (
            _running(before, column, index, cells.split, first)
            for before, column in zip(level.below, columns, strict=True)
        )
        totals = jnp.where(first, words[-1, -1], level.totals)
        mass_p = mass(totals[:2])
        edge = level.starts[:, None] + jnp.minimum(
            jnp.arange(cells.split + 1, dtype=kind) << level.shift, level.width
        )
        at = measure(
            Below(mass(words), mass(words[..., 2:]), mass((totals - words)[..., 2:]), moments, edge)
        )
        values = (at.p / mass_p + at.miss_probability).reshape(-1)
        floor = _floor(at, _ratio(edge, dtype), mass_p).reshape(-1)
        # XLA's top_k of so few cells is a sort
        best = jnp.argmin(values)
        opened = largest(-floor, cells.opened)
        value = jnp.minimum(level.value, values[best])
        at_best = (opened // cells.split, opened % cells.split)
        return _Level(
            starts=edge[at_best],
            width=kind(1) << level.shift,
            below=(words[at_best], moments[at_best]),
            totals=totals,
            shift=jnp.maximum(level.shift, kind(fine)) - kind(fine),
            value=value,
            edge=jnp.where(values[best] < level.value, edge.reshape(-1)[best], level.edge),
            closed=jnp.minimum(level.closed, jnp.min(floor.at[opened].set(1))),
            lower=jnp.minimum(jnp.minimum(level.closed, floor[opened[0]]), value),
        )

    def unfinished(level: _Level) -> Bool[Array, ""]:
        return (level.width > 1) & (level.value - level.lower > tolerance)

    everything = _Level(
        starts=jnp.arange(cells.opened, dtype=kind) * whole,
        width=jnp.asarray(whole),
        below=(
            jnp.zeros((cells.opened, 4), columns[0].dtype),
            jnp.zeros((cells.opened, moments.shape[1]), dtype),
        ),
        totals=jnp.zeros(4, columns[0].dtype),
        shift=jnp.asarray(kind(shift)),
        value=one,
        edge=jnp.zeros((), kind),
        closed=one,
        lower=jnp.zeros((), dtype),
    )
    found = jax.lax.while_loop(unfinished, step, everything)
    return Found(found.value, found.lower, key < found.edge)


def _cell(key: UInt[Array, " V"], level: _Level, split: int) -> Int[Array, " V"]:
    """The cell of each token; a spare one beyond the last where it is in no open one."""
    opened = level.starts.shape[0]
    index = opened * split + jnp.arange(key.shape[0], dtype=jnp.int32) % SPARE
    for k in range(opened):
        beyond = key - level.starts[k]  # wraps to a large number below the start
        index = jnp.where(
            beyond < level.width, k * split + (beyond >> level.shift).astype(jnp.int32), index
        )
    return index


def _running(
    before: Array,
    columns: Array,
    index: Int[Array, " V"],
    split: int,
    first: Bool[Array, ""],
) -> Array:
    """The sums of columns below each edge of each open cell, `before` the ones that precede it: [K,
    S + 1, columns].

    At first nobody knows these: the cells are all that there is, in order.
    """
    opened = len(before)
    width = columns.shape[1]
    # tokens in no open cell have rows too: dropping them costs a comparison each
    table = (
        jnp.zeros((opened * split + SPARE, width), columns.dtype)
        .at[index]
        .add(columns, mode="promise_in_bounds")
    )
    sums = jnp.cumsum(table[: opened * split].reshape(opened, split, width), 1)
    earlier = jnp.pad(jnp.cumsum(sums[:-1, -1], 0), ((1, 0), (0, 0)))
    return jnp.where(first, earlier, before)[:, None] + jnp.pad(sums, ((0, 0), (1, 0), (0, 0)))


def _floor(at: Edges, ratio: Float[Array, "K edges"], mass_p: Scalar) -> Float[Array, "K cells"]:
    """A lower bound of 1 + p(H) - Q(H) over the sets H between the edges of each cell: where the
    two lines of slope r_a and r_b meet.
    """
    eps = float(jnp.finfo(ratio.dtype).eps)
    left, right = ratio[:, :-1] * (1 - eps), ratio[:, 1:] * (1 + eps)  # p/q is rounded
    # the smaller of the two masses has the more accurate differences
    q = jnp.where(at.inside[:, 1:] < at.outside[:, :-1], jnp.diff(at.inside), -jnp.diff(at.outside))
    p = jnp.diff(at.p)
    miss_probability = jnp.diff(at.miss_probability)
    meet = jnp.clip(q - divide(p - left * q, right - left), 0, q)
    bound = (
        (at.p[:, :-1] + jnp.minimum(left * meet, p)) / mass_p
        + at.miss_probability[:, :-1]
        + miss_probability * divide(meet, q)
    )
    return jnp.where(q > 0, bound, 1)

"""min over prefixes H of p(H) - Q(H) without a sort, with a lower bound.

This is a radix search over the keys of p/q (`numerics.ratios`): every set {p/q < edge} is exactly a
set {key < edge}. One level sums p and q in K x S cells of keys. Inside a cell the ratio
lies in [r_a, r_b] and p is convex in q. Hence p is at least the larger of two lines: one of slope
r_a from the left end, one of slope r_b from the right end. Q is at most its chord (q-convexity:
hu2025towards). The difference of line and chord is lowest at the ends or where the two lines meet.
It lies at most (r_b - r_a) dq / 4 below the better end. The next level splits the K cells of lowest
bound S-fold. The search ends when the bound is within the tolerance or cells hold a single ratio.
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
from specjax.numerics import divide, epsilon, fixed, largest
from specjax.numerics.ratios import Keys, ratio_at, span

# tokens in no open cell are added to these rows in turn: a sum that waits for the one before takes
# twice as long
SPARE = 8

Edge = UInt[Array, "..."]
AtEdges = Float[Array, "K M"]
Moments = Float[Array, "V moments"]
Flag = Bool[Array, ""]
Words = Int[Array, " 4"]


class Cells(NamedTuple):
    """How many cells a level opens, and into how many parts it splits each (powers of 2)."""

    opened: int
    split: int


class Below(NamedTuple):
    """Sums over the tokens below each edge.

    Attributes:
      p: [K, M], of p.
      inside: [K, M], of the tail.
      outside: [K, M], of the tail over the tokens at or beyond the edge.
      moments: [K, M, moments], of the moments.
      edge: [K, M], the edges.
    """

    p: AtEdges
    inside: AtEdges
    outside: AtEdges
    moments: Float[Array, "K M moments"]
    edge: UInt[Array, "K M"]


class Edges(NamedTuple):
    """Masses of the sets H below the edges; small masses are accurate relative to themselves.

    Attributes:
      p: [K, M], p(H).
      inside: [K, M], q(H).
      outside: [K, M], the q mass outside H.
      miss_probability: [K, M], 1 - Q(H).
    """

    p: AtEdges
    inside: AtEdges
    outside: AtEdges
    miss_probability: AtEdges


class Found(NamedTuple):
    """The best set of a search.

    Attributes:
      value: 1 + p(H) - Q(H) at the best edge, but for rounding.
      lower: a lower bound over all H, but for rounding.
      inside: [V], the set at the best edge.
    """

    value: Scalar
    lower: Scalar
    inside: Bool[Array, " V"]


Measure = Callable[[Below], Edges]


class _Tokens(NamedTuple):
    """What is summed over the tokens: the words of p and of the tail side by side, and moments."""

    key: Keys
    words: Int[Array, "V 4"]
    moments: Moments


class _Level(NamedTuple):
    """The open cells of a level, and the best edge so far.

    Attributes:
      starts: [K], the first key of each open cell.
      width: how many keys each open cell has.
      words: [K, 4], sums of the words below each open cell.
      moments: [K, moments], sums of the moments below each open cell.
      totals: [4], sums of the words of all tokens, known from the first level on.
      shift: log2 of the keys in each part of a split cell.
      value: of the best edge.
      edge: the best edge.
      closed: a lower bound over all cells that were closed.
      lower: a lower bound over all cells.
    """

    starts: UInt[Array, " K"]
    width: Edge
    words: Int[Array, "K 4"]
    moments: Float[Array, "K moments"]
    totals: Words
    shift: Edge
    value: Scalar
    edge: Edge
    closed: Scalar
    lower: Scalar


class _Sums(NamedTuple):
    """Sums below each edge of the open cells, and the words of all tokens."""

    words: Int[Array, "K M 4"]
    moments: Float[Array, "K M moments"]
    totals: Words


def no_moments(q: Law) -> Moments:
    """An empty table, for a `measure` that needs no further columns."""
    return jnp.zeros((q.shape[0], 0), q.dtype)


def search(
    p: Law,
    key: Keys,
    tail: Law,
    moments: Moments,
    measure: Measure,
    cells: Cells,
    tolerance: float,
) -> Found:
    """The best edge for the target distribution p and the draft distribution that `measure` knows.

    Args:
      p: [V], the target distribution.
      key: [V], `ratios.keys(p, q)`.
      tail: [V], the part of q that the cells sum; `measure` adds the rest by key. It sums to
        about 1.
      moments: [V, moments], further columns that are summed below each edge.
      measure: turns the sums below edges into the masses at these edges.
      cells: how many cells a level opens and splits.
      tolerance: of the bracket. The search meets it if the keys resolve it.

    Returns:
      The best edge's value and set, and a lower bound.

    Cost: two levels as a rule, at most one for every log2(split) bits of a key. Each level is one
    scatter of V rows and K (S + 1) edges measured. All columns of a row lie side by side, so that
    the scatter costs no more than one of a single column.
    """
    # computed once, not in each scatter
    tokens = fixed(_Tokens(key, exact_sums.side_by_side(p, tail), moments))
    whole = _first_width(cells, p.dtype)

    def step(level: _Level) -> _Level:
        sums = _sum_cells(tokens, level, cells.split, level.width == whole)
        mass_p = _mass(sums.totals[:2], p)
        edge = _edges(level, cells.split)
        at = measure(_below(sums, edge, p))
        values = at.p / mass_p + at.miss_probability
        floor = _bound_cells(at, ratio_at(edge, p.dtype), mass_p)
        return _choose_cells(level, sums, edge, values, floor, cells)

    def unfinished(level: _Level) -> Flag:
        return (level.width > 1) & (level.value - level.lower > tolerance)

    everything = _everything(tokens, cells, whole, p.dtype)
    found = jax.lax.while_loop(unfinished, step, everything)
    return Found(found.value, found.lower, key < found.edge)


def at_edges(
    p: Law,
    key: Keys,
    tail: Law,
    moments: Moments,
    measure: Measure,
    count: int,
) -> tuple[Edges, Int[Array, " V"]]:
    """The masses at the edges of so many even ranges of keys, and the range of each token.

    Args:
      p: [V], the target distribution.
      key: [V], `ratios.keys(p, q)`.
      tail: as in `search`.
      moments: as in `search`.
      measure: as in `search`.
      count: how many ranges; a power of 2.

    Returns:
      The masses at count + 1 edges, each [1, count + 1], and the ranges [V].

    Cost: one scatter of V rows, and count + 1 edges measured.
    """
    cells = Cells(1, count)
    tokens = fixed(_Tokens(key, exact_sums.side_by_side(p, tail), moments))
    whole = _first_width(cells, p.dtype)
    level = _everything(tokens, cells, whole, p.dtype)
    sums = _sum_cells(tokens, level, count, jnp.bool_(True))
    edge = _edges(level, count)
    return measure(_below(sums, edge, p)), _cell(key, level, count)


def _first_width(cells: Cells, dtype: jnp.dtype) -> np.unsignedinteger:
    """How many keys each cell of the first level has: side by side, the cells are everything."""
    low, high = span(dtype)
    bits = int(high - low).bit_length() - _log2(cells.opened)
    return low.dtype.type(1 << bits)


def _everything(
    tokens: _Tokens, cells: Cells, whole: np.unsignedinteger, dtype: jnp.dtype
) -> _Level:
    """The first level: nothing is known, and all cells are open."""
    kind = whole.dtype.type
    words = tokens.words.dtype
    one = jnp.ones((), dtype)
    return _Level(
        starts=jnp.arange(cells.opened, dtype=kind) * whole,
        width=jnp.asarray(whole),
        words=jnp.zeros((cells.opened, 4), words),
        moments=jnp.zeros((cells.opened, tokens.moments.shape[1]), dtype),
        totals=jnp.zeros(4, words),
        shift=jnp.asarray(kind(_log2(int(whole) // cells.split))),
        value=one,
        edge=jnp.zeros((), kind),
        closed=one,
        lower=jnp.zeros((), dtype),
    )


def _log2(power: int) -> int:
    """The logarithm of a power of 2."""
    return power.bit_length() - 1


def _mass(words: Int[Array, "... words"], p: Law) -> Float[Array, "..."]:
    """The mass that the first two of these words stand for, in sums over the tokens of p."""
    return exact_sums.value(words[..., 0], words[..., 1], p.shape[0], p.dtype)


def _sum_cells(tokens: _Tokens, level: _Level, split: int, first: Flag) -> _Sums:
    """Sums of words and moments below each edge of each open cell."""
    index = fixed(_cell(tokens.key, level, split))
    words = _running(level.words, tokens.words, index, split, first)
    moments = _running(level.moments, tokens.moments, index, split, first)
    totals = jnp.where(first, words[-1, -1], level.totals)
    return _Sums(words, moments, totals)


def _cell(key: Keys, level: _Level, split: int) -> Int[Array, " V"]:
    """The cell of each token; if a token is in no open cell, a spare one beyond the last."""
    opened = level.starts.shape[0]
    index = opened * split + jnp.arange(key.shape[0], dtype=jnp.int32) % SPARE
    for k in range(opened):
        beyond = key - level.starts[k]  # wraps to a large number below the start
        part = (beyond >> level.shift).astype(jnp.int32)
        index = jnp.where(beyond < level.width, k * split + part, index)
    return index


def _running(
    before: Array,
    columns: Array,
    index: Int[Array, " V"],
    split: int,
    first: Flag,
) -> Array:
    """The sums of columns below each edge of each open cell: [K, S + 1, columns].

    `before` holds the sums below the open cells. They are unknown at the first level. There the
    cells are all that exists, in order, and these sums are running sums.
    """
    opened = len(before)
    width = columns.shape[1]
    # tokens in no open cell have rows too: dropping them costs a comparison each
    table = jnp.zeros((opened * split + SPARE, width), columns.dtype)
    table = table.at[index].add(columns, mode="promise_in_bounds")
    parts = table[: opened * split].reshape(opened, split, width)
    sums = jnp.cumsum(parts, 1)
    earlier = jnp.cumsum(sums[:-1, -1], 0)
    earlier = jnp.pad(earlier, ((1, 0), (0, 0)))
    start = jnp.where(first, earlier, before)
    return start[:, None] + jnp.pad(sums, ((0, 0), (1, 0), (0, 0)))


def _edges(level: _Level, split: int) -> UInt[Array, "K M"]:
    """The edges of the parts of each open cell, both ends included."""
    parts = jnp.arange(split + 1, dtype=level.starts.dtype)
    offset = jnp.minimum(parts << level.shift, level.width)
    return level.starts[:, None] + offset


def _below(sums: _Sums, edge: UInt[Array, "K M"], p: Law) -> Below:
    """The sums as masses."""
    outside = sums.totals - sums.words
    return Below(
        p=_mass(sums.words, p),
        inside=_mass(sums.words[..., 2:], p),
        outside=_mass(outside[..., 2:], p),
        moments=sums.moments,
        edge=edge,
    )


def _bound_cells(
    at: Edges, ratio: Float[Array, "K edges"], mass_p: Scalar
) -> Float[Array, "K cells"]:
    """A lower bound of 1 + p(H) - Q(H) over the sets H between the edges of each cell.

    The bound is taken where the two lines of slope r_a and r_b meet.
    """
    eps = epsilon(ratio)  # p/q is rounded
    left = ratio[:, :-1] * (1 - eps)
    right = ratio[:, 1:] * (1 + eps)
    # the smaller of the two masses has the more accurate differences
    few_inside = at.inside[:, 1:] < at.outside[:, :-1]
    q = jnp.where(few_inside, jnp.diff(at.inside), -jnp.diff(at.outside))
    p = jnp.diff(at.p)
    meet = jnp.clip(q - divide(p - left * q, right - left), 0, q)
    line = at.p[:, :-1] + jnp.minimum(left * meet, p)
    chord = jnp.diff(at.miss_probability) * divide(meet, q)
    bound = line / mass_p + at.miss_probability[:, :-1] + chord
    return jnp.where(q > 0, bound, 1)


def _choose_cells(
    level: _Level,
    sums: _Sums,
    edge: UInt[Array, "K M"],
    values: AtEdges,
    floor: Float[Array, "K cells"],
    cells: Cells,
) -> _Level:
    """The next level: it opens the cells of lowest bound, and knows the best edge so far.

    Args:
      level: the level whose cells were summed.
      sums: the sums below each edge.
      edge: [K, S + 1], the edges.
      values: [K, S + 1], 1 + p(H) - Q(H) at each edge.
      floor: [K, S], the lower bound of each cell.
      cells: how many cells a level opens and splits.
    """
    values = values.reshape(-1)
    floor = floor.reshape(-1)
    best = jnp.argmin(values)
    # XLA's top_k of so few cells is a sort
    opened = largest(-floor, cells.opened)
    at_opened = (opened // cells.split, opened % cells.split)
    value = jnp.minimum(level.value, values[best])
    better = values[best] < level.value
    closed = jnp.min(floor.at[opened].set(1))
    lower = jnp.minimum(level.closed, floor[opened[0]])
    kind = level.shift.dtype.type
    fine = kind(_log2(cells.split))
    return _Level(
        starts=edge[at_opened],
        width=kind(1) << level.shift,
        words=sums.words[at_opened],
        moments=sums.moments[at_opened],
        totals=sums.totals,
        shift=jnp.maximum(level.shift, fine) - fine,
        value=value,
        edge=jnp.where(better, edge.reshape(-1)[best], level.edge),
        closed=jnp.minimum(level.closed, closed),
        lower=jnp.minimum(lower, value),
    )

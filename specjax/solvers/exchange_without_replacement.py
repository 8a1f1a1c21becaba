"""Levels for drafts without replacement that come near the optimum, by a fixed point.

As for independent drafts each token draws a level and the highest one wins, but what a level is worth depends on all tokens:
token i is given the integral over its levels m of P(i is drafted and all other drafts are below m). The part of a token in a cell
is worth about its weight times a worth of the cell; with this model of rank one, fitted to the kernel at hand, `exchange` names the next
kernel, and the true masses of the last one correct what it aims at. Tokens start in the order of p over what they are given where the
best set ends. Whatever the kernel is, its masses are known, so the rule is lossless; what is short of alpha* is measured.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Bool, Float, Int

from specjax._types import Count, Law, Scalar, Tokens
from specjax.numerics import divide, likeliest, tiny, total
from specjax.solvers import iid, low_race, without_replacement
from specjax.solvers.exchange import swaps
from specjax.solvers.levels import Levels, capped, gauss
from specjax.solvers.low_race import Low, Race
from specjax.solvers.nodes import Nodes, between, even, grid, masses

HEADS = 64  # likeliest tokens, each its own node; up to this V all of them
EVEN = 64  # nodes that part the mass of the others evenly
NEAR = 6  # nodes of theirs on either side of the edge, each four times as far as the one before: from six times on they cost optimum
CLOSEST = 1e-3  # the first of them
FINE = 1024  # cells in which masses are sought
LOOKS = 2  # with cells read at their middle until the last masses, and as many closer ones
FITS = 6  # alternations of the fit of rank one, which starts from the last
MIX = 0.7  # of the next kernel is taken after the first; all of it overshoots where one token holds most of q
CALM = 0.7  # times less of it once the excess grows
LEAST = 0.1  # is taken, however much the excess grows: rounding must not stop the search
ROUGH = 1e-6  # to which the best set is sought
SHORT = 8e-6  # of the optimum is let go
FAINTEST = 1e-9  # of q mass in a tail that counts
SCARCE = 1e-4  # of what is given where all is low: less is too little to tell it from rounding


class _Places(NamedTuple):
    """Nodes in storage order, the grid first and then the heads.

    Attributes:
      cap: [B], what each node may be given.
      rank: [B], the place of each node in the order of ratios: its own cell.
      moments: [3, G], sums of q, q^2 and q^3 of the tail at each grid node.
      cross: [G], sum of q^2 share (1 - share) between a grid node and the next.
    """

    nodes: Nodes
    cap: Float[Array, " B"]
    rank: Int[Array, " B"]
    moments: Float[Array, "3 G"]
    cross: Float[Array, " G"]

    def own(self) -> Float[Array, "B C"]:
        """The kernel of which every node keeps its own cell."""
        return jnp.zeros((len(self.rank),) * 2, self.moments.dtype).at[jnp.arange(len(self.rank)), self.rank].set(1)


class _Effective(NamedTuple):
    """What tokens are given.

    Attributes:
      mass: [V], where the best set ends, relative to a unit of the tail; so that it ends at one ratio of p to this mass.
      edge: what a unit of the tail is given there.
      most: what a unit of the tail is given at the highest level.
    """

    mass: Law
    edge: Scalar
    most: Scalar


class _Worth(NamedTuple):
    """What a part of a token in a cell is given, were its cell open: q first + q^2 second + q^3 third for the tail.

    Attributes:
      heads: [H, C].
      first: [C]; second, third: [G, C] at the grid nodes.
      crossed: [G, C], what the second order has too much at a token half way between two nodes.
    """

    heads: Float[Array, "H C"]
    first: Float[Array, " C"]
    second: Float[Array, "G C"]
    third: Float[Array, "G C"]
    crossed: Float[Array, "G C"]


def levels(p: Law, q: Law, n: int, live: Count, rounds: int, tolerance: float) -> Levels:
    """The rule after at most so many kernels a look, or once no more than `tolerance` of acceptance is misplaced.

    A first look places the tail's tokens by what they are given where the best set ends. Where it leaves more than SHORT of the optimum,
    the next ones place them by what they are given at the levels that the one before has found; from the third on cells are integrated
    exactly on the way too. Up to V = HEADS no token is placed, and there is one look, an exact one.
    Cost: B x H x n x nodes in t for each kernel, and some fifty passes over V.
    """
    top, small = likeliest(q, min(HEADS, q.shape[0])), q.shape[0] <= HEADS
    rest = total(q.at[top].set(0))
    rate = q / jnp.maximum(rest, FAINTEST)  # a race has no unit, but powers of a small rate have no digits
    tail = rate.at[top].set(0)
    race = low_race.race(rate[top], total(tail), n, live)
    inside, enough = (jnp.ones_like(q, bool), jnp.zeros((), p.dtype)) if small else _best(p, q, n)
    effective = _effective(race, tail, top, inside, n, live)
    at_grid = jnp.zeros(0, p.dtype) if small else _grid(p, tail, effective)
    size = len(at_grid) + len(top)

    def look(found: _Found) -> _Found:
        places = _place(p, tail, found.mass, top, effective.most, at_grid)
        state = _run(places, race, n, live, rounds, tolerance, (found.looks >= LOOKS) | small)
        given = _given(places, state.worth, state.kernel, tail, top)  # all cells open: what is too much is capped
        levels = capped(places.nodes, state.kernel, jnp.ones_like(p, shape=len(places.rank)), p, given)
        better = total(levels.given) > total(found.levels.given)
        levels = jax.tree.map(lambda new, old: jnp.where(better, new, old), levels, found.levels)
        return _Found(_weighed(places, state, tail, effective.mass), levels, found.looks + 1)

    def unfinished(found: _Found) -> Bool[Array, ""]:
        return (found.looks == 0) | ((total(found.levels.given) < enough) & (found.looks < 2 * LOOKS))

    none, nodes = jnp.zeros_like(p), jnp.zeros(size, p.dtype)
    nobody = Levels(Nodes(nodes, nodes, jnp.zeros(p.shape, jnp.int32), none), jnp.zeros((size, size), p.dtype), nodes, none, none)
    return jax.lax.while_loop(unfinished, look, _Found(effective.mass, nobody, jnp.int32(0))).levels


def _best(p: Law, q: Law, n: int) -> tuple[Bool[Array, " V"], Scalar]:
    """The best set, and what is near enough to the optimum."""
    best = (iid if n == 1 else without_replacement).search(p, q, n, ROUGH)
    return best.inside, best.value - SHORT


class _Found(NamedTuple):
    """How the next look weighs the tail's tokens, the best rule so far, and how many looks there were."""

    mass: Law
    levels: Levels
    looks: Count


class _State(NamedTuple):
    """The kernel at hand, and what it makes of the cells.

    Attributes:
      worth: of the cells, at the kernel before.
      edge: the cell where the best set ends.
      refused: 1 - alpha*, as far as the nodes tell.
      excess: mass that went beyond p.
      mix: the part of the next kernel that is taken.
      over: whether the worth is exact, and that of this kernel.
    """

    kernel: Float[Array, "B C"]
    worth: _Worth
    weight: Float[Array, " B"]
    edge: Count
    refused: Scalar
    excess: Scalar
    mix: Scalar
    steps: Count
    over: Bool[Array, ""]


def _start(places: _Places) -> _State:
    """Every node in its own cell."""
    one, weight = jnp.ones((), places.cap.dtype), jnp.maximum(places.nodes.mass, tiny(places.cap))
    return _State(places.own(), _nothing(places), weight, jnp.int32(0), one, one, one, jnp.int32(0), jnp.asarray(False))


def _run(places: _Places, race: Race, n: int, live: Count, rounds: int, tolerance: float, exact: Bool[Array, ""]) -> _State:
    """Kernel after kernel; the first, of which every node keeps its own cell, tells where the best set ends.

    The worth of the last one is exact; that of the others only if so asked for.
    """
    cap, order = places.cap, jnp.argsort(places.rank)

    def step(state: _State) -> _State:
        first, last = state.steps == 0, (state.steps >= rounds) | (state.excess <= tolerance)
        worth = _worth(places, race, state.kernel, n, live, exact | last)
        slack = jnp.cumsum(jnp.sum(state.kernel * _of_nodes(places, worth), 0) - cap[order])
        edge = jnp.where(first, jnp.argmax(slack).astype(jnp.int32), state.edge)
        refused = jnp.clip(slack[edge], 0, state.refused)
        values, _ = _opened(places, state.kernel, worth, refused)
        given = jnp.sum(state.kernel * values, 1)
        excess = jnp.sum(jnp.maximum(given - cap, 0))
        mix = jnp.where(excess < state.excess, state.mix, jnp.maximum(CALM * state.mix, LEAST))
        weight, supply = _rank_one(values, state.weight)
        aim = cap - given + weight * (state.kernel @ supply)  # what the model has to give for p to be given
        missing = (aim - weight * supply[places.rank])[order]
        leaving = divide(swaps(missing, supply), weight[order][:, None])
        target = _staying(leaving / jnp.maximum(jnp.sum(leaving, 1, keepdims=True), 1))[places.rank]
        taken = jnp.where(last | (excess <= tolerance), 0, mix)
        kernel, over = state.kernel + taken * (target - state.kernel), last | (exact & (excess <= tolerance))
        return _State(kernel, worth, weight, edge, refused, excess, jnp.minimum(mix, MIX), state.steps + 1, over)

    return jax.lax.while_loop(lambda state: ~state.over, step, _start(places))


def _grid(p: Law, tail: Law, effective: _Effective) -> Float[Array, " G"]:
    """Ratios that part the mass of the tail evenly, and more of them where the best set ends."""
    of_tail = jnp.where(tail > 0, effective.mass, 0)
    fine = even(effective.most, FINE)
    left, share = between(fine, jnp.minimum(divide(p, of_tail), effective.most))
    sums = jnp.cumsum(masses(of_tail, left, share, FINE))
    parts = jnp.interp(jnp.linspace(0, 1, EVEN, dtype=p.dtype) * sums[-1], sums, fine)
    return grid(effective.most, effective.edge, parts, NEAR, CLOSEST)


def _opened(places: _Places, kernel: Float[Array, "B C"], worth: _Worth, refused: Scalar) -> tuple[Array, Array]:
    """What nodes are given in each cell where the lowest cells are closed, and how far each is open."""
    values = _of_nodes(places, worth)
    reached = jnp.cumsum(jnp.sum(kernel * values, 0))
    before = jnp.append(0, reached[:-1]).astype(reached.dtype)
    open_cell = jnp.clip(divide(reached - refused, reached - before), 0, 1)
    return values * open_cell, open_cell


def _weighed(places: _Places, state: _State, tail: Law, mass: Law) -> Law:
    """The tail's masses as they count at each token's own levels: what is given is not quite proportional to q."""
    _, open_cell = _opened(places, state.kernel, state.worth, state.refused)
    paid = state.kernel * open_cell
    first = places.nodes.spread(paid @ state.worth.first, jnp.arange(len(tail)))
    return jnp.where((tail > 0) & (first > 0), divide(_to_tail(places, state.worth, paid, tail), first), mass)


def _effective(race: Race, tail: Law, top: Tokens, inside: Bool[Array, " V"], n: int, live: Count) -> _Effective:
    """What is given where only the best set is low; where that is hardly anything, what is given where all is low."""
    chance = jnp.stack([jnp.ones_like(tail), inside.astype(tail.dtype)])
    sums = [total(tail**k * chance**j) for k in (1, 2, 3) for j in range(1, k + 1)]
    slope = low_race.slopes(race, Low(chance[:, top].T, jnp.stack(sums)), n, live)
    told = slope.tail[0, 1] > SCARCE * slope.tail[0, 0]
    (s1, s2, s22, s3, s32, s33), heads = (jnp.where(told, part[:, 1], part[:, 0]) for part in (slope.tail, slope.heads))
    low, unit = jnp.where(told, chance[1], 1), jnp.maximum(s1, tiny(tail))
    of_tail = tail * (1 + tail * ((s2 + 2 * low * s22) + tail * (s3 + 2 * low * s32 + 3 * low**2 * s33)) / unit)
    return _Effective(of_tail.at[top].set(heads / unit), jnp.where(told, s1, 0), slope.tail[0, 0])


def _place(p: Law, tail: Law, mass: Law, top: Tokens, most: Scalar, at_grid: Float[Array, " G"]) -> _Places:
    """The nodes, by the ratio of p to a token's effective mass."""
    ratio = jnp.where(mass > 0, p / jnp.maximum(mass, tiny(mass)), jnp.inf)
    ratio = jnp.where(tail > 0, jnp.minimum(ratio, most), ratio).astype(p.dtype)
    size = at_grid.shape[0]
    left, share = between(at_grid, ratio) if size else (jnp.zeros(p.shape, jnp.int32), jnp.zeros_like(p))
    left = left.at[top].set(size + jnp.arange(len(top), dtype=jnp.int32))
    share = share.at[top].set(0)
    ratios = jnp.append(at_grid, ratio[top])
    rank = jnp.zeros(len(ratios), jnp.int32).at[jnp.argsort(ratios)].set(jnp.arange(len(ratios), dtype=jnp.int32))
    if not size:
        return _Places(Nodes(ratios, mass[top], left, share), p[top], rank, jnp.zeros((3, 0), p.dtype), jnp.zeros(0, p.dtype))

    def sums(weight: Law) -> Array:
        return masses(weight, jnp.minimum(left, size - 2), share, size)

    of_tail = mass.at[top].set(0)
    cross = jnp.zeros(size, p.dtype).at[left].add(tail**2 * share * (1 - share), mode="drop")
    at_nodes = sums(of_tail)
    return _Places(
        Nodes(ratios, jnp.append(at_nodes, mass[top]), left, share),
        jnp.append(at_grid * at_nodes, p[top]),
        rank,
        jnp.stack([sums(tail), sums(tail**2), sums(tail**3)]),
        cross,
    )


def _worth(places: _Places, race: Race, kernel: Float[Array, "B C"], n: int, live: Count, exact: Bool[Array, ""]) -> _Worth:
    """The worth of every cell at a kernel: at its middle, or the mean over its levels."""
    size, ends = places.cross.shape[0], (gauss(1, kernel.dtype), gauss(n, kernel.dtype))
    within, weights = (jnp.concatenate(parts) for parts in zip(*ends, strict=True))
    m1, m2, m3 = places.moments
    before = kernel @ jnp.triu(jnp.ones_like(kernel, shape=(kernel.shape[1],) * 2), 1)

    def add(place: Count, sums: _Worth) -> _Worth:
        low = before + within[place] * kernel
        grid_low = low[:size]
        step = jnp.diff(grid_low, axis=0, append=grid_low[-1:])
        powers = [grid_low**k for k in (1, 2, 3)]
        tail = [m1 @ powers[0], m2 @ powers[0], m2 @ powers[1] - places.cross @ step**2, *(m3 @ power for power in powers)]
        slope = low_race.slopes(race, Low(low[size:], jnp.stack(tail)), n, live)
        s1, s2, s22, s3, s32, s33 = slope.tail
        second, third = s2 + 2 * grid_low * s22, s3 + 2 * grid_low * s32 + 3 * powers[1] * s33
        here = _Worth(slope.heads, s1, second, third, 2 * step * s22)
        return jax.tree.map(lambda total, part: total + weights[place] * part, sums, here)

    return jax.lax.fori_loop(jnp.where(exact, 1, 0), jnp.where(exact, len(weights), 1), add, _nothing(places))


def _nothing(places: _Places) -> _Worth:
    """Cells that are worth nothing."""
    cells, size, dtype = len(places.rank), places.cross.shape[0], places.cap.dtype
    table = jnp.zeros((size, cells), dtype)
    return _Worth(jnp.zeros((cells - size, cells), dtype), jnp.zeros(cells, dtype), table, table, table)


def _of_nodes(places: _Places, worth: _Worth) -> Float[Array, "B C"]:
    """What each node is given in each cell."""
    m1, m2, m3 = places.moments[:, :, None]
    between = places.cross[:, None] * worth.crossed
    of_grid = m1 * worth.first + m2 * worth.second + m3 * worth.third + between
    return jnp.concatenate([of_grid.at[1:].add(-between[:-1]), worth.heads])


def _rank_one(values: Float[Array, "B C"], weight: Float[Array, " B"]) -> tuple[Float[Array, " B"], Float[Array, " C"]]:
    """values ~ weight supply: rows count alike, however small their mass."""
    seen = jnp.finfo(weight.dtype).eps ** 2

    def fit(_: Count, fitted: tuple[Array, Array]) -> tuple[Array, Array]:
        supply = jnp.mean(jnp.where(fitted[0] > seen, 1 / jnp.maximum(fitted[0], seen), 0)[:, None] * values, 0)
        weight = divide(values @ supply, supply @ supply)
        return weight / jnp.sum(weight), supply

    weight, supply = jax.lax.fori_loop(0, FITS, fit, (weight, jnp.zeros_like(values[0])))
    return weight, jax.lax.cummax(supply)


def _given(places: _Places, worth: _Worth, paid: Float[Array, "B C"], tail: Law, top: Tokens) -> Law:
    """The mass that each token is given."""
    heads = jnp.sum(paid[places.cross.shape[0] :] * worth.heads, 1)
    return _to_tail(places, worth, paid, tail).at[top].set(heads)


def _to_tail(places: _Places, worth: _Worth, paid: Float[Array, "B C"], tail: Law) -> Law:
    """The mass that each token of the tail is given, to third order in q."""
    size, nodes = places.cross.shape[0], places.nodes
    if not size:
        return jnp.zeros_like(tail)
    of_grid = paid[:size]
    tables = jnp.stack([of_grid @ worth.first, jnp.sum(of_grid * worth.second, 1), jnp.sum(of_grid * worth.third, 1)], 1)
    crossed = jnp.sum((jnp.roll(of_grid, -1, 0) - of_grid) * worth.crossed, 1)
    first, second, third = nodes.spread(tables, jnp.arange(len(tail))).T
    second = second - nodes.share * (1 - nodes.share) * crossed[jnp.minimum(nodes.left, size - 1)]
    return tail * (first + tail * (second + tail * third))


def _staying(leaving: Float[Array, "B B"]) -> Float[Array, "B B"]:
    """The kernel of which these are the parts that leave their own cell."""
    return leaving + jnp.diag(jnp.maximum(1 - jnp.sum(leaving, 1), 0))

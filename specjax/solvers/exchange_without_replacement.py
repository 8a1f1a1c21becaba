"""Levels for drafts without replacement that come near the optimum, by a fixed point.

As for independent drafts each token draws a level and the highest one wins, but what a level is worth depends on all tokens:
token i is given the integral over its levels m of P(i is drafted and all other drafts are below m). The part of a token in a cell
is worth about its weight times a worth of the cell; with this model of rank one, fitted to the kernel at hand, nodes fill the cells in
order and swap parts as in `exchange`: that is the next kernel, and the true masses of the last one correct what it aims at. As much of it
is taken as would have left the least wrong before, were all linear (Barzilai and Borwein). Nodes are in the order of p over what they are
given where the best set ends; where that order leads nowhere, as it may if one token is most of q, in that of what they aim at over their
weight. Whatever the kernel is, its masses are known, so the rule is lossless; what is short of alpha* is measured.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Bool, Float, Int

from specjax._types import Count, Law, Scalar, Tokens
from specjax.numerics import divide, dot, likeliest, tiny, total
from specjax.solvers import cells, iid, low_race, race_masses, without_replacement
from specjax.solvers.levels import Levels, capped, gauss
from specjax.solvers.low_race import Low, Race
from specjax.solvers.nodes import Nodes, between, even, grid, masses

HEADS = 64  # likeliest tokens, each its own node; up to this V all of them
EVEN = 64  # nodes that part the mass of the others evenly
NEAR = 6  # nodes of theirs on either side of the edge, each four times as far as the one before: from six times on they cost optimum
CLOSEST = 1e-3  # the first of them
FINE = 1024  # cells in which masses are sought
LOOKS = 3  # the first reads cells at their middle, the second puts nodes in order anew
NUDGE = 1e-2  # of p, by which a node may aim beside it
FITS = 3  # alternations of the fit of rank one, which starts from the last
NEARLY, EXACT = 1, 2  # ways to read a cell, beside its middle
ALIKE = 0.1  # logarithm within which nodes keep their order: that of equals would be left to rounding
LEAST = 0.1  # of the next kernel is taken, however much the excess grows
FALLS = 0.9  # times the excess or less
PATIENCE = 3  # kernels that may pass until it does
ROUGH = 1e-6  # to which the best set is sought
SHORT = 8e-6  # of the optimum is let go
FAINTEST = 1e-9  # of q mass in a tail that counts
SCARCE = 1e-4  # of what is given where all is low: less is too little to tell it from rounding


class _Places(NamedTuple):
    """Nodes in storage order, the grid first and then the heads.

    Attributes:
      cap: [B], what each node may be given.
      order: [B], the nodes by their ratios.
      rank: [B], the place of each node in this order.
      widths: [C], of the cells, which end where a node of this order does, or at one of cells.CUTS even places.
      last: [B], the last cell of the node of each rank.
      moments: [3, G], sums of q, q^2 and q^3 of the tail at each grid node.
      cross: [G], sum of q^2 share (1 - share) between a grid node and the next.
    """

    nodes: Nodes
    cap: Float[Array, " B"]
    order: Int[Array, " B"]
    rank: Int[Array, " B"]
    widths: Float[Array, " C"]
    last: Int[Array, " B"]
    moments: Float[Array, "3 G"]
    cross: Float[Array, " G"]


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
    the next ones go on from its kernel, and place them by what they are given at the levels that it has found. Up to V = HEADS no token
    is placed, and cells are read exactly.
    Cost: C x H x n x nodes in t for each kernel, and some fifty passes over V.
    """
    top, small = likeliest(q, min(HEADS, q.shape[0])), q.shape[0] <= HEADS
    rest = total(q.at[top].set(0))
    rate = q / jnp.maximum(rest, FAINTEST)  # a race has no unit, but powers of a small rate have no digits
    tail = rate.at[top].set(0)
    race = low_race.race(rate[top], total(tail), n, live)
    inside, enough = (jnp.ones_like(q, bool), jnp.zeros((), p.dtype)) if small else _best(p, q, n)
    effective = _effective(race, tail, top, inside, n, live)
    at_grid = jnp.zeros(0, p.dtype) if small else _grid(p, tail, effective)

    def way(looks: Count) -> Count:
        return jnp.where(small | ((looks > 0) & (n <= 4)), EXACT, jnp.minimum(looks, NEARLY))

    def look(found: _Found) -> _Found:
        places = _place(p, tail, found.mass, top, effective.most, at_grid)
        places = places._replace(cap=places.cap.at[: len(at_grid)].multiply(found.scale))
        begun = jax.tree.map(lambda first, later: jnp.where(found.looks, later, first), _start(places), _again(found.state))
        state = _run(places, begun, race, n, live, rounds, tolerance, way(found.looks), found.looks == 1)
        new = _Best(places.nodes, state.kernel, total(jnp.minimum(_given(places, state.worth, state.kernel, tail, top), p)))
        best = jax.tree.map(lambda new, old, better=new.much > found.best.much: jnp.where(better, new, old), new, found.best)
        short = jnp.where(small, state.excess > 10 * tolerance, best.much < enough)
        return _Found(
            _weighed(places, state, tail, effective.mass), found.scale * _missed(places, state), state, best, found.looks + 1, short
        )

    blank = _blank(len(at_grid), len(top), p.dtype)
    nowhere = Nodes(blank.weight, blank.weight, jnp.zeros(p.shape, jnp.int32), jnp.zeros_like(p))
    nobody = _Best(nowhere, blank.kernel, jnp.full((), -1, p.dtype))
    begin = _Found(effective.mass, jnp.ones_like(at_grid), blank, nobody, jnp.int32(0), jnp.asarray(True))
    best = jax.lax.while_loop(lambda found: found.short & (found.looks < LOOKS), look, begin).best
    given, error = race_masses.given(best.nodes, best.kernel, q, n, live)  # all cells open: what is too much is capped
    return capped(best.nodes, best.kernel, jnp.ones(best.kernel.shape[1], p.dtype), p, given, error)


def _best(p: Law, q: Law, n: int) -> tuple[Bool[Array, " V"], Scalar]:
    """The best set, and what is near enough to the optimum."""
    best = (iid if n == 1 else without_replacement).search(p, q, n, ROUGH)
    return best.inside, best.value - SHORT


class _State(NamedTuple):
    """The search of a look.

    Attributes:
      kernel: the next one to be looked at.
      best: the one with the least excess so far.
      worth: of the cells, at the kernel that was looked at last.
      weight: of the nodes, in the model of rank one.
      edge: the rank of the last node of the best set; negative before it is known.
      low: the cell where it ends.
      refused: 1 - alpha*, as far as the nodes tell.
      wrong: mass that each node is given beyond p, or in the best set short of it.
      excess: the least mass that went beyond p.
      mix: the part of the next kernel that is taken.
      steps: kernels looked at.
      idle: of them, those since the excess last fell.
      over: whether the worth is exact, and that of `kernel`.
    """

    kernel: Float[Array, "B C"]
    best: Float[Array, "B C"]
    worth: _Worth
    weight: Float[Array, " B"]
    edge: Count
    low: Count
    refused: Scalar
    wrong: Float[Array, " B"]
    excess: Scalar
    mix: Scalar
    steps: Count
    idle: Count
    over: Bool[Array, ""]


class _Best(NamedTuple):
    """The best kernel so far.

    Attributes:
      much: what it accepts, to third order in q: enough to choose by; what the rule states is evaluated once, at the end.
    """

    nodes: Nodes
    kernel: Float[Array, "B C"]
    much: Scalar


class _Found(NamedTuple):
    """What looks have led to.

    Attributes:
      mass: [V], how the next one weighs the tail's tokens.
      scale: [G], times p is what its grid nodes are to be given.
      state: where the last one ended.
      best: of all looks.
      looks: so many.
      short: whether the last one ended short of the optimum.
    """

    mass: Law
    scale: Float[Array, " G"]
    state: _State
    best: _Best
    looks: Count
    short: Bool[Array, ""]


def _blank(grid: int, heads: int, dtype: jnp.dtype) -> _State:
    """Before any search."""
    nodes, none, one = jnp.zeros(grid + heads, dtype), jnp.int32(0), jnp.ones((), dtype)
    kernel = jnp.zeros((len(nodes), len(nodes) + cells.CUTS - 1), dtype)
    worth = _nothing(grid, heads, dtype)
    return _State(kernel, kernel, worth, nodes, none - 1, none, one, nodes, one, one, none, none, jnp.asarray(False))


def _start(places: _Places) -> _State:
    """Every node in the cells that end with it."""
    size, weight = len(places.cross), jnp.maximum(places.nodes.mass, tiny(places.cap))
    own = cells.filled(weight[places.order], places.widths)[places.rank]
    return _blank(size, len(weight) - size, weight.dtype)._replace(kernel=own, best=own, weight=weight)


def _again(state: _State) -> _State:
    """From the kernel where the last look ended."""
    size = len(state.worth.second)
    blank = _blank(size, len(state.weight) - size, state.weight.dtype)
    return blank._replace(kernel=state.kernel, best=state.kernel, weight=state.weight, edge=state.edge, low=state.low)


def _run(
    places: _Places,
    begun: _State,
    race: Race,
    n: int,
    live: Count,
    rounds: int,
    tolerance: float,
    way: Count,
    anew: Bool[Array, ""],
) -> _State:
    """Kernel after kernel; the first, of which every node keeps its own cells, tells where the best set ends.

    The worth of the last one is exact.

    Args:
      way: how the cells of the others are read.
      anew: whether nodes are put in order by what they aim at; else they stay in that of the first kernel.
    """
    cap = places.cap

    def step(state: _State) -> _State:
        last = (state.steps >= rounds) | (state.excess <= tolerance) | (state.idle >= PATIENCE)
        kernel = jnp.where(last, state.best, state.kernel)
        worth = _worth(places, race, kernel, n, live, jnp.where(last, EXACT, way))
        reached = jnp.cumsum(jnp.sum(kernel * _of_nodes(places, worth), 0))
        edge, low = _edge(places, reached, state)
        outside = places.rank > edge
        refused = jnp.clip(reached[low] - jnp.sum(jnp.where(outside, 0, cap)), 0, state.refused)
        values, _ = _opened(places, kernel, worth, refused)
        given = jnp.sum(kernel * values, 1)
        wrong = jnp.where(outside, jnp.maximum(given - cap, 0), given - cap)
        excess = jnp.sum(jnp.maximum(wrong, 0))
        over = last | ((way == EXACT) & (excess <= tolerance))
        weight, supply = _rank_one(values, state.weight)
        aim = cap - given + weight * dot(kernel, supply)  # what the model has to give for p to be given
        ratio = jnp.round(jnp.log(jnp.maximum(divide(aim, weight), tiny(aim))) / ALIKE)
        order = jnp.lexsort((places.rank, ratio * anew, outside))
        target = cells.target(aim[order], weight[order], dot(weight, kernel), supply)
        target = jnp.zeros_like(target).at[order].set(target)
        mix = _mix(state, wrong)
        return _State(
            kernel=jnp.where(over, kernel, kernel + mix * (target - kernel)),
            best=jnp.where(excess < state.excess, kernel, state.best),
            worth=worth,
            weight=weight,
            edge=edge,
            low=low,
            refused=refused,
            wrong=wrong,
            excess=jnp.minimum(excess, state.excess),
            mix=mix,
            steps=state.steps + 1,
            idle=jnp.where(excess < FALLS * state.excess, 0, state.idle + 1),
            over=over,
        )

    return jax.lax.while_loop(lambda state: ~state.over, step, begun)


def _edge(places: _Places, reached: Float[Array, " C"], state: _State) -> tuple[Count, Count]:
    """The last node of the best set and the cell where it ends: known, or told by a kernel of which every node keeps its own cells."""
    slack = reached[places.last] - jnp.cumsum(places.cap[places.order])
    edge = jnp.where(state.edge < 0, jnp.argmax(slack).astype(jnp.int32), state.edge)
    return edge, jnp.where(state.edge < 0, places.last[edge].astype(jnp.int32), state.low)


def _mix(state: _State, wrong: Float[Array, " B"]) -> Scalar:
    """The part of the next kernel at which the last change, were it linear, would have left the least wrong; all of it at first."""
    change = state.wrong - wrong
    best = jnp.clip(state.mix * divide(dot(change, state.wrong), dot(change, change)), LEAST, 1)
    return jnp.where(state.steps == 0, 1, best)


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
    first = places.nodes.spread(dot(paid, state.worth.first), jnp.arange(len(tail)))
    return jnp.where((tail > 0) & (first > 0), divide(_to_tail(places, state.worth, paid, tail), first), mass)


def _missed(places: _Places, state: _State) -> Float[Array, " G"]:
    """What a node's ratio is, over what a small token there is given: tokens between two nodes are not quite given the mean of the two."""
    size = len(places.cross)
    _, open_cell = _opened(places, state.kernel, state.worth, state.refused)
    first = dot(state.kernel[:size] * open_cell, state.worth.first)
    cap, wrong = places.cap[:size], state.wrong[:size]
    ratio = divide(places.nodes.ratio[:size], first) * divide(cap + wrong, cap)
    return jnp.where(places.rank[:size] <= state.edge, jnp.clip(ratio, 1 - NUDGE, 1 + NUDGE), 1)


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
    order = jnp.argsort(ratios)
    rank = jnp.argsort(order)
    if not size:
        widths, last = cells.cut(jnp.maximum(mass[top], tiny(mass))[order])
        return _Places(
            Nodes(ratios, mass[top], left, share), p[top], order, rank, widths, last, jnp.zeros((3, 0), p.dtype), jnp.zeros(0, p.dtype)
        )

    def sums(weight: Law) -> Array:
        return masses(weight, jnp.minimum(left, size - 2), share, size)

    of_tail = mass.at[top].set(0)
    cross = jnp.zeros(size, p.dtype).at[left].add(tail**2 * share * (1 - share), mode="drop")
    at_nodes = sums(of_tail)
    of_nodes = jnp.append(at_nodes, mass[top])
    widths, last = cells.cut(jnp.maximum(of_nodes, tiny(mass))[order])
    return _Places(
        Nodes(ratios, of_nodes, left, share),
        jnp.append(at_grid * at_nodes, p[top]),
        order,
        rank,
        widths,
        last,
        jnp.stack([sums(tail), sums(tail**2), sums(tail**3)]),
        cross,
    )


def _worth(places: _Places, race: Race, kernel: Float[Array, "B C"], n: int, live: Count, way: Count) -> _Worth:
    """The worth of every cell at a kernel, its mean over the levels there: from its middle, nearly, or exactly."""
    size, heads, ways = len(places.cross), len(places.rank) - len(places.cross), [gauss(k, kernel.dtype) for k in (1, min(n, 4), n)]
    within, weights = (jnp.concatenate(parts) for parts in zip(*ways, strict=True))
    ends = jnp.cumsum(jnp.asarray([0, *(len(places) for places, _ in ways)]))
    m1, m2, m3 = places.moments
    before = dot(kernel, jnp.triu(jnp.ones_like(kernel, shape=(kernel.shape[1],) * 2), 1))

    def add(place: Count, sums: _Worth) -> _Worth:
        low = before + within[place] * kernel
        grid_low = low[:size]
        step = jnp.diff(grid_low, axis=0, append=grid_low[-1:])
        powers = [grid_low**k for k in (1, 2, 3)]
        tail = [
            dot(m1, powers[0]),
            dot(m2, powers[0]),
            dot(m2, powers[1]) - dot(places.cross, step**2),
            *(dot(m3, power) for power in powers),
        ]
        slope = low_race.slopes(race, Low(low[size:], jnp.stack(tail)), n, live)
        s1, s2, s22, s3, s32, s33 = slope.tail
        second, third = s2 + 2 * grid_low * s22, s3 + 2 * grid_low * s32 + 3 * powers[1] * s33
        here = _Worth(slope.heads, s1, second, third, 2 * step * s22)
        return jax.tree.map(lambda total, part: total + weights[place] * part, sums, here)

    return jax.lax.fori_loop(ends[way], ends[way + 1], add, _nothing(size, heads, kernel.dtype))


def _nothing(grid: int, heads: int, dtype: jnp.dtype) -> _Worth:
    """Cells that are worth nothing."""
    count = grid + heads + cells.CUTS - 1
    table = jnp.zeros((grid, count), dtype)
    return _Worth(jnp.zeros((heads, count), dtype), jnp.zeros(count, dtype), table, table, table)


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
        weight = divide(dot(values, supply), dot(supply, supply))
        return weight / jnp.sum(weight), supply

    weight, supply = jax.lax.fori_loop(0, FITS, fit, (weight, jnp.zeros_like(values[0])))
    return weight, jax.lax.cummax(supply)


def _given(places: _Places, worth: _Worth, paid: Float[Array, "B C"], tail: Law, top: Tokens) -> Law:
    """The mass that each token is given, to third order in q."""
    heads = jnp.sum(paid[places.cross.shape[0] :] * worth.heads, 1)
    return _to_tail(places, worth, paid, tail).at[top].set(heads)


def _to_tail(places: _Places, worth: _Worth, paid: Float[Array, "B C"], tail: Law) -> Law:
    """The mass that each token of the tail is given, to third order in q."""
    size, nodes = places.cross.shape[0], places.nodes
    if not size:
        return jnp.zeros_like(tail)
    of_grid = paid[:size]
    tables = jnp.stack([dot(of_grid, worth.first), jnp.sum(of_grid * worth.second, 1), jnp.sum(of_grid * worth.third, 1)], 1)
    crossed = jnp.sum((jnp.roll(of_grid, -1, 0) - of_grid) * worth.crossed, 1)
    first, second, third = nodes.spread(tables, jnp.arange(len(tail))).T
    second = second - nodes.share * (1 - nodes.share) * crossed[jnp.minimum(nodes.left, size - 1)]
    return tail * (first + tail * (second + tail * third))

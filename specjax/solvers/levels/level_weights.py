"""Levels for drafts without replacement that come near the optimum, by weights that a Newton method
finds.

Token i has a weight e^(y_i) and is picked among the drafts with a probability proportional to it:
its level is the time at which an exponential clock of that rate rings, and the first to ring wins.
With m_i the mass that it is given, the weights minimise the convex

    E[log sum of the drafts' e^(y_j)] - sum_i p_i y_i,    slope m_i - p_i,

which has no minimum where alpha* < 1: there the best set H is given more than p and its complement
less, and their weights part for ever. So each token may miss p by what pulls its weight back, m_i =
p_i - 2 slack sinh(y_i) (p_i + m_i). As the slack falls, tokens out of H win ever more surely
against those in H, sets that nearly tie with H part likewise, and the optimum is reached without a
search for H. Newton's method follows the solution while the slack falls. The matrix d m_i / d y_j
is nearly the Laplacian of a graph on the tokens; the edge i, j weighs the chance that two picks
from the same drafts are i and j. In each cell of levels that chance is nearly a product. So the
matrix is a diagonal one less U U^T, where U has a column for each cell, and a step solves as many
equations as cells.

Beyond V = 512 the tail's tokens lie between nodes of p over their effective mass. If nodes are
given their ratios then so are, to first order in q, the tokens between them. A look solves the
nodes' weights; it then gives each token the effective mass that would have made it right. The
second look's nodes part the first one's weights evenly as well as the mass, so that they crowd
where sets end.

Whatever the weights are, the masses of their kernel are known, so the rule is lossless; what is
short of alpha* is measured.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Bool, Float

from specjax._types import Count, Law, Scalar
from specjax.numerics import divide, dot, total
from specjax.solvers.levels import low_race, race_masses
from specjax.solvers.levels.grid import Nodes, between, even, masses
from specjax.solvers.levels.level_rule import Levels, capped
from specjax.solvers.levels.low_race import Low
from specjax.solvers.levels.race_masses import Field, Moments

OWN = race_masses.ALL  # up to this V every token is a node
# likeliest tokens, which enter the race one by one; beyond V = OWN only they are nodes of their own
HEADS = 64
GRID = 192  # nodes of the others there
FINE = 1024  # steps of p/q by which the first ones part the mass
ORDER = 3  # of the series in the rates of the others
CELL = 1.0  # width of a cell of levels, in the logarithm of time
SHORT = 3e-6  # of the optimum is let go
# the first has nodes even in mass, the second has them anew, the third moves tokens alone
LOOKS = 3
FIRST = 0.1  # slack
FALLS = 6.0  # times smaller it gets
STEADY = 0.1  # mass that is wrong when it does
FARTHEST = 2.0  # step of a logarithm of a weight
WORSE = 1.1  # times more mass is wrong: the step was too long
STEPS = 120  # of Newton's method in a look; most need 20 to 40
BALANCES = 3  # of the edges, so that a token's add up
RIDGE = 1e-5  # of the diagonal: float32 needs it where n = 8 and q is flat
LITTLE = 1e-5  # of a rate, and of a part of the nodes: none of them is 0
FAINT = 1e-30  # a chance that is none


class _State(NamedTuple):
    """Newton's method.

    Attributes:
      y: [B], logarithms of the weights.
      slack: how far they may miss p.
      start, step: [B], where y comes from, and what was added to it.
      wrong: mass that was wrong there; infinite where the slack was another.
      steps: so many.
      over: whether the least slack is reached and hardly any mass is wrong, or the steps are spent.
    """

    y: Float[Array, " B"]
    slack: Scalar
    start: Float[Array, " B"]
    step: Float[Array, " B"]
    wrong: Scalar
    steps: Count
    over: Bool[Array, ""]


class _Look(NamedTuple):
    """What looks have led to.

    Attributes:
      effective: [V], what the tail's tokens weigh.
      at_grid: [G], the ratios of the nodes.
      y: [B], logarithms of the weights.
      nodes, kernel: of the best look.
      much: what they accept, as far as the series tells: enough to choose by. What the rule states
        is evaluated once, at the end.
      turns: looks so far.
      short: whether `much` is short of what the tokens of negative y allow.
    """

    effective: Law
    at_grid: Float[Array, " G"]
    y: Float[Array, " B"]
    nodes: Nodes
    kernel: Float[Array, "B C"]
    much: Scalar
    turns: Count
    short: Bool[Array, ""]


def levels(p: Law, q: Law, n: int, live: Count) -> Levels:
    """The rule after at most STEPS kernels for each of three looks, one up to V = OWN.

    Cost: C x H x n x nodes in t, C = 39 cells (80 in float64), and a solve of C equations for each
    kernel; 20 passes over V a look.
    """
    field = race_masses.field(q, n, live, HEADS, ORDER)
    if len(q) <= OWN:
        nodes = Nodes(divide(p, q), q, jnp.arange(len(q), dtype=jnp.int32), jnp.zeros_like(q))
        moments = race_masses.moments(field, nodes, len(q))
        kernel = _kernel(
            _weights(field, nodes, moments, p, jnp.zeros_like(p), jnp.asarray(FIRST, p.dtype), 0)
        )
    else:
        nodes, kernel = _looks(p, field)
    # all cells open: what is too much is capped
    given, error = race_masses.given(nodes, kernel, q, n, live)
    return capped(nodes, kernel, jnp.ones(kernel.shape[1], p.dtype), p, given, error)


def _looks(p: Law, field: Field) -> tuple[Nodes, Float[Array, "B C"]]:
    """The best nodes and kernel of all looks."""
    most = _most(field)
    y = jnp.zeros(GRID + HEADS, p.dtype)
    natural = _natural(field, _kernel(y))
    tokens = jnp.arange(len(p))

    def look(last: _Look) -> _Look:
        turn = last.turns
        nodes, cap = _place(p, field, last.effective, last.at_grid, most)
        moments = race_masses.moments(field, nodes, len(cap))
        here = _weights(
            field,
            nodes,
            moments,
            cap,
            last.y,
            jnp.where(turn == 0, FIRST, _least(p.dtype)).astype(p.dtype),
            GRID,
        )
        kernel = _kernel(here)
        given = race_masses.masses(field, nodes, moments, kernel)
        much = total(jnp.minimum(given, p))
        better = much > last.much
        best = jax.tree.map(
            lambda new, old: jnp.where(better, new, old),
            (nodes, kernel, much),
            (last.nodes, last.kernel, last.much),
        )
        missed = _pull(here, _least(p.dtype))
        # at which a token there is to be given
        rate = nodes.spread(nodes.ratio * (1 - missed) / jnp.maximum(1 + missed, LITTLE), tokens)
        effective = jnp.where((field.tail > 0) & (rate > 0), divide(given, rate), last.effective)
        effective = jnp.clip(effective, field.tail / 2, 2 * field.tail)
        at_grid, y = jax.tree.map(
            lambda new, old: jnp.where(turn == 0, new, old),
            _anew(last.at_grid, nodes, here),
            (last.at_grid, here),
        )
        short = _limit(p, field, nodes.spread(here, tokens) < 0) - best[2] > SHORT
        return _Look(effective, at_grid, y, best[0], best[1], best[2], turn + 1, short)

    nowhere = Nodes(y, y, jnp.zeros(p.shape, jnp.int32), jnp.zeros_like(p))
    nothing = jnp.full((), -1, p.dtype)
    begin = _Look(
        natural,
        _even(p, field, natural, most),
        y,
        nowhere,
        _kernel(y),
        nothing,
        jnp.int32(0),
        jnp.asarray(True),
    )
    best = jax.lax.while_loop(lambda last: last.short & (last.turns < LOOKS), look, begin)
    return best.nodes, best.kernel


def _most(field: Field) -> Scalar:
    """What a unit of the tail is given at the highest level, to first order."""
    sums = jnp.stack([total(field.tail**power) for power, _ in low_race.terms(field.order)])
    everyone = Low(jnp.ones_like(field.race.heads)[:, None], sums[:, None])
    return low_race.slopes(field.race, everyone, field.n, field.live).tail[0, 0]


def _limit(p: Law, field: Field, inside: Bool[Array, " V"]) -> Scalar:
    """1 + p(H) - Q(H) for one set H: no rule accepts more."""
    chance = inside.astype(p.dtype)
    sums = jnp.stack(
        [total(chance * field.tail**power) for power, _ in low_race.terms(field.order)]
    )
    low = Low(chance[field.top][:, None], sums[:, None])
    slope = low_race.slopes(field.race, low, field.n, field.live)
    # in the chances: Euler's theorem sums P
    degrees = jnp.asarray([k for _, k in low_race.terms(field.order)], p.dtype)[:, None]
    reached = jnp.sum(low.heads * slope.heads) + jnp.sum(degrees * low.tail * slope.tail)
    return 1 + total(p * chance) - reached / field.live


def _natural(field: Field, kernel: Float[Array, "B C"]) -> Law:
    """The tail's masses as they count where all levels have one law: what is given is not quite
    proportional to q.
    """
    zero = jnp.zeros_like(kernel[:, 0])
    nodes = Nodes(zero, zero, jnp.zeros(field.tail.shape, jnp.int32), jnp.zeros_like(field.tail))
    given = (
        race_masses.masses(field, nodes, race_masses.moments(field, nodes, len(zero)), kernel)
        .at[field.top]
        .set(0)
    )
    return given * divide(total(field.tail), total(given))


def _even(p: Law, field: Field, mass: Law, most: Scalar) -> Float[Array, " G"]:
    """Ratios that part the tail's mass, that of p and that which tokens weigh, evenly."""
    fine = even(most, FINE)
    cap = jnp.where(mass > 0, jnp.minimum(p, most * mass), 0)
    left, share = between(fine, divide(cap, mass))
    sums = jnp.cumsum(
        masses(divide(mass, total(mass)) + divide(cap, total(cap)), left, share, FINE)
    )
    parts = jnp.interp(jnp.linspace(0, 1, GRID - 2, dtype=p.dtype) * sums[-1], sums, fine)
    return jnp.concatenate([jnp.zeros_like(parts[:1]), parts, most[None]])


def _place(
    p: Law, field: Field, effective: Law, at_grid: Float[Array, " G"], most: Scalar
) -> tuple[Nodes, Float[Array, " B"]]:
    """The nodes, the grid's and then the heads, and what each may be given."""
    left, share = between(at_grid, jnp.minimum(divide(p, effective), most))
    whole = total(effective)
    mass = whole * masses(divide(effective, whole), left, share, GRID)
    left = left.at[field.top].set(GRID + jnp.arange(HEADS, dtype=jnp.int32))
    rates = field.race.heads
    nodes = Nodes(
        jnp.append(at_grid, divide(p[field.top], rates)),
        jnp.append(mass, rates),
        left,
        share.at[field.top].set(0),
    )
    return nodes, jnp.append(at_grid * mass, p[field.top])


def _anew(
    at_grid: Float[Array, " G"], nodes: Nodes, y: Float[Array, " B"]
) -> tuple[Float[Array, " G"], Float[Array, " B"]]:
    """A grid that parts the weights' logarithms evenly as well as the mass, half of it each, and
    the weights there.
    """
    mass = nodes.mass[:GRID]
    of_grid = jax.lax.cummax(jnp.where(mass > 0, y[:GRID], -_farthest(y.dtype)))
    rise = jnp.diff(of_grid)
    measure = divide(rise, jnp.sum(rise)) + divide(mass[:-1], jnp.sum(mass[:-1])) + LITTLE
    for _ in range(2):  # neighbours of where they crowd get some too
        ends = jnp.pad(measure, 1, mode="edge")
        measure = (ends[:-2] + 2 * measure + ends[2:]) / 4
    sums = jnp.pad(jnp.cumsum(measure), (1, 0))
    anew = jnp.interp(jnp.linspace(0, 1, GRID, dtype=y.dtype) * sums[-1], sums, at_grid)
    return anew, y.at[:GRID].set(jnp.interp(anew, at_grid, of_grid))


def _weights(
    field: Field,
    nodes: Nodes,
    moments: Moments,
    cap: Float[Array, " B"],
    y: Float[Array, " B"],
    slack: Scalar,
    shared: int,
) -> Float[Array, " B"]:
    """The logarithms of the weights by which the nodes are given what they may be, but for the
    least slack.

    Args:
      y, slack: where the search starts.
      shared: the first nodes, of several tokens each.
    """
    least = _least(y.dtype)
    precise = 1e-6 if y.dtype.itemsize <= 4 else 1e-13

    def newton(state: _State) -> _State:
        y, slack, kernel = state.y, state.slack, _kernel(state.y)
        worth = race_masses.worth(field, nodes, moments, kernel)
        given = jnp.sum(kernel * worth, 1)
        wrong = jnp.sum(jnp.abs(cap - given - _pull(y, slack) * (cap + given)))
        back = wrong > WORSE * state.wrong
        less = jnp.where(~back & (wrong < STEADY), jnp.maximum(slack / FALLS, least), slack)
        missing = cap - given - _pull(y, less) * (cap + given)
        exchange = _exchange(kernel, worth, field.live, jnp.arange(len(y)) >= shared)
        own = dot(exchange, jnp.sum(exchange, 0)) + _stiffness(y, slack, less) * (cap + given)
        step = _solve(own * (1 + RIDGE), exchange, missing)
        step = jnp.clip(jnp.where(jnp.isfinite(step), step, 0), -FARTHEST, FARTHEST)
        start, step = jnp.where(back, state.start, y), jnp.where(back, state.step / 4, step)
        over = ((slack <= least) & (wrong < precise)) | (state.steps + 1 >= STEPS)
        following = jnp.clip(start + step, -_farthest(y.dtype), _farthest(y.dtype))
        known = jnp.where(back, state.wrong, jnp.where(less == slack, wrong, jnp.inf))
        return _State(
            jnp.where(over, y, following), less, start, step, known, state.steps + 1, over
        )

    begun = _State(
        y,
        slack,
        y,
        jnp.zeros_like(y),
        jnp.full_like(slack, jnp.inf),
        jnp.int32(0),
        jnp.asarray(False),
    )
    return jax.lax.while_loop(lambda state: ~state.over, newton, begun).y


def _exchange(
    kernel: Float[Array, "B C"], worth: Float[Array, "B C"], live: Count, alone: Bool[Array, " B"]
) -> Float[Array, "B C"]:
    """A matrix U; (U U^T)_ij is nearly how fast mass goes from node j to node i as the weight of i
    grows.

    Where all are low with the probability P, its second derivative in two nodes is taken as a
    product over P; P is homogeneous of degree n in what nodes are low with, so that a node's n - 1
    shares add up to n - 1 times its first derivative: this sets the factors.

    Args:
      alone: nodes of one token, which takes no mass from itself.
    """
    reach = (jnp.cumsum(kernel, 1) - kernel / 2) * worth
    whole = jnp.sum(reach, 0)
    reach = jnp.where(whole > FAINT, reach / jnp.maximum(whole, FAINT), 0)
    others = (live - 1).astype(kernel.dtype)
    factor = jnp.broadcast_to(jnp.sqrt(others), kernel.shape)
    for _ in range(BALANCES):
        share = reach * factor
        rest = jnp.sum(share, 0) - jnp.where(alone[:, None], share, 0)
        factor = jnp.sqrt(factor * others / jnp.maximum(rest, 1e-3))
    return (
        kernel
        * worth
        * factor
        * jnp.where(whole > FAINT, jax.lax.rsqrt(CELL * jnp.maximum(whole, FAINT)), 0)
    )


def _solve(
    own: Float[Array, " B"], exchange: Float[Array, "B C"], missing: Float[Array, " B"]
) -> Float[Array, " B"]:
    """The solution of (diag(own) - exchange exchange^T) x = missing, by Woodbury's identity."""
    scale = jax.lax.rsqrt(jnp.maximum(own, FAINT))
    rows, right = scale[:, None] * exchange, scale * missing
    inner = jnp.eye(rows.shape[1], dtype=rows.dtype) - dot(rows.T, rows)
    return scale * (right + dot(rows, jnp.linalg.solve(inner, dot(rows.T, right))))


def _pull(y: Float[Array, " B"], slack: Scalar | float) -> Float[Array, " B"]:
    """How far a node may miss, as a part of p and of what it is given."""
    return 2 * slack * jnp.sinh(y)


def _stiffness(y: Float[Array, " B"], slack: Scalar, less: Scalar) -> Float[Array, " B"]:
    """The slope of the pull; where the slack falls, its mean slope up to where the pull would be as
    strong as before.
    """
    apart = jnp.arcsinh(jnp.sinh(y) * slack / less) - y
    far = jnp.abs(apart) > 1e-3
    mean = jnp.sinh(y) * (slack / less - 1) / jnp.where(far, apart, 1)
    return 2 * less * jnp.where(far, mean, jnp.cosh(y))


def _kernel(y: Float[Array, " B"]) -> Float[Array, "B C"]:
    """The chance that a clock of rate e^y rings in each cell of time, the latest first."""
    ends = np.exp(np.arange(_farthest(y.dtype) + 2, -_farthest(y.dtype) - 4, -CELL))
    later = jnp.exp(-jnp.exp(y)[:, None] * jnp.asarray(ends, y.dtype))
    return jnp.diff(jnp.pad(later, ((0, 0), (1, 0))), axis=1, append=1)


def _least(dtype: jnp.dtype) -> float:
    """The least slack, an ulp: with four, hundreds of likely tokens of a flat q are short of p by
    some 1e-5 together.
    """
    return float(jnp.finfo(dtype).eps)


def _farthest(dtype: jnp.dtype) -> float:
    """A weight's logarithm at most, where the pull is all of the mass."""
    return float(np.arcsinh(1 / (2 * _least(dtype))))

"""alpha* of drafts without replacement: 1 + min over prefixes H of p(H) - Q(H), by the race."""

import math
from functools import partial

import jax
import jax.numpy as jnp
from jax import Array

from specjax import exact_sums
from specjax._types import Law, Scalar
from specjax.bounds import _prefix_search, _race, iid
from specjax.bounds._base import SMALL, SORTED, Bracket, envelope, rounded, ulps
from specjax.bounds._front import Curve, majorant, ranks
from specjax.bounds._prefix_search import Below, Cells, Edges, Found, Measure, Moments
from specjax.bounds._race import PowerSums, State
from specjax.numerics import ratios, sums_onward, tiny, top_tokens, total

CELLS = Cells(8, 32)
RACE = 4  # ulp of 1: rounding of the race integral
RANGES = 4096  # of p/q on the curve of Q against p: those of a search, half of which are empty
SHARP = 12  # ulp of 1: the tolerance of the search

Laws = tuple[Law, Law]


@partial(jax.custom_jvp, nondiff_argnums=(2,))
def bracket(p: Law, q: Law, n: int) -> Bracket:
    """The optimum of n drafts without replacement, enclosed.

    It is 1 + min over prefixes H of p(H) - Q(H). Q(H) = P(all drafts lie in H) comes from the race
    integral. Beyond V = 4096 the bracket includes
    what the race's series leaves out.

    Args:
      p: [V], the target distribution.
      q: [V], the draft distribution.
      n: >= 1, the number of drafts.

    Returns:
      The value at the best set, and the search's lower bound, wider by a few ulp.

    Cost: that of `best_set`. Source: hu2025towards.

    Example:
      >>> p, q = jnp.array([0.6, 0.2, 0.2]), jnp.array([0.25, 0.5, 0.25])
      >>> print(f"{bracket(p, q, 2).value:.3f}")
      0.983
    """
    if n == 1:
        return iid.bracket(p, q, 1)
    found = best_set(p, q, n)
    value, lower, upper = rounded(found.value, found.lower, RACE)
    left_out = _race.remainder(q, n) if q.shape[0] > SORTED else 0
    return Bracket(value, lower - left_out, upper + left_out)


@bracket.defjvp
def _slope(n: int, laws: Laws, tangents: Laws) -> tuple[Bracket, Bracket]:
    """The bracket and its derivative, at the best set."""
    p, q = laws
    if n == 1:
        return jax.jvp(partial(iid.bracket, n=1), laws, tangents)
    inside = best_set(p, q, n).inside
    of_q = -jax.grad(_race.missed_by)(q, inside, n)
    return bracket(p, q, n), envelope(inside, of_q, tangents)


def best_set(p: Law, q: Law, n: int) -> Found:
    """The best set for drafts without replacement.

    Args:
      p: [V], the target distribution.
      q: [V], the draft distribution.
      n: >= 2, the number of drafts.

    Returns:
      The set, its value and a lower bound of all values.

    Cost: up to V = 4096 that of a sort and V x n x nodes, since every prefix is evaluated. Beyond,
    two or three levels of a radix search, each of six scatters of V and 264 x n x nodes; memory
    O(V + n).
    """
    if p.shape[0] <= SORTED:
        return _sorted(p, q, n)
    return _binned(p, q, n)


def _binned(p: Law, q: Law, n: int) -> Found:
    """The best set without a sort.

    The HEAD largest q join the race one by one, and the state of each prefix of them is kept. The
    other tokens enter by their sums of q, q^2 and q^3.
    """
    tail, moments, measure = _race_of(p, q, n)
    return _prefix_search.search(
        p=p,
        key=ratios.keys(p, q),
        tail=tail,
        moments=moments,
        measure=measure,
        cells=CELLS,
        tolerance=ulps(SHARP, p),
    )


def nearest(p: Law, q: Law, n: int) -> Law:
    """The law nearest to p among those of rules that always accept a draft without replacement.

    For V <= 512 every token is a bin of its own, and the law is exact but for the race integral.
    For larger V there are 4096 bins of p/q.

    Args:
      p: [V], the target distribution.
      q: [V], the draft distribution.
      n: >= 1, the number of drafts.

    Returns:
      The law [V]; q for one draft.

    Cost: up to V = 512 a sort and V x n x nodes; beyond, a few scatters of V, and 4096 x n x nodes.
    """
    if n == 1:
        return q
    if p.shape[0] <= SMALL:
        place = ranks(ratios.ratios(p, q))
        target, drafted = jnp.zeros((2, len(p)), p.dtype).at[:, place].set(jnp.stack([p, q]))
        missed = jnp.append(1, _miss_probabilities(drafted, n))
        curve = Curve(jnp.append(0, jnp.cumsum(target)), 1 - missed, place, drafted)
    else:
        tail, moments, measure = _race_of(p, q, n)
        key = ratios.keys(p, q)
        at, place = _prefix_search.at_edges(p, key, tail, moments, measure, RANGES)
        (drafted,) = exact_sums.sums(place, RANGES, q)
        curve = Curve(at.p[0], 1 - at.miss_probability[0], place, drafted)
    return majorant(curve, p, q)


def _race_of(p: Law, q: Law, n: int) -> tuple[Law, Moments, Measure]:
    """The tail of q, its moments, and the measure of a search by the race."""
    key = ratios.keys(p, q)
    clock = _race.clock(q, n)
    top = top_tokens(q, _race.HEAD)
    head_key, rates = jax.lax.sort((key[top], q[top]), num_keys=1)
    prefix = jnp.pad(jnp.cumsum(rates), (1, 0))
    # sums of what remains: no digits are lost on peaked laws
    suffix = jnp.pad(sums_onward(rates), (0, 1))

    def join(state: State, rate: Scalar) -> tuple[State, State]:
        state = _race.arrive(state, rate, clock)
        return state, state

    nobody = _race.start(n, clock)
    _, states = jax.lax.scan(join, nobody, rates)
    states = jnp.concatenate([nobody[None], states])
    tail = q.at[top].set(0)
    scale = jnp.maximum(total(tail), tiny(q))

    def measure(below: Below) -> Edges:
        rank = jnp.searchsorted(head_key, below.edge)
        inside = below.inside * scale
        outside = below.outside * scale + suffix[rank]
        sums = PowerSums(inside, below.moments[..., 0], below.moments[..., 1])
        few = _race.series(sums, n, clock)
        reached = _race.together(states[rank], few)
        return Edges(
            p=below.p,
            inside=inside + prefix[rank],
            outside=outside,
            miss_probability=_race.late(reached, outside, clock),
        )

    return tail / scale, jnp.stack([tail**2, tail**3], -1), measure


def _sorted(p: Law, q: Law, n: int) -> Found:
    """The best set among all prefixes of the sorted tokens."""
    size = q.shape[0]
    ratio = ratios.ratios(p, q)
    columns = (ratio, p / total(p), q)
    order, p, q = jax.lax.sort(columns, num_keys=1, is_stable=False)
    outside_p = sums_onward(p)[1:]
    inside_p = 1 - jnp.pad(outside_p, (0, 1))
    values = inside_p + _miss_probabilities(q, n)
    values = jnp.append(values, 1)  # the empty set
    best = jnp.argmin(values)
    value = jnp.minimum(values[best], 1)
    within = ratio <= order[jnp.minimum(best, size - 1)]
    return Found(value, value, within & (best < size))


def _miss_probabilities(q: Law, n: int) -> Law:
    """P(a draft lies outside a prefix), for the prefix that ends with each token.

    The states of the race are built in O(sqrt V) blocks of O(sqrt V) tokens.
    """
    size = q.shape[0]
    clock = _race.clock(q, n)
    outside = sums_onward(q)[1:]

    def join(state: State, rate: Array) -> tuple[State, None]:
        return _race.arrive(state, rate, clock), None

    def follow(state: State, block: State) -> tuple[State, State]:
        return _race.merge(state, block), state

    def prefix(state: State, token: tuple[Array, Array]) -> tuple[State, Array]:
        rate, beyond = token
        state = _race.arrive(state, rate, clock)
        return state, _race.late(state[..., -1, :], beyond, clock)

    width = 1 << math.ceil(math.log2(max(size, 2)) / 2)
    rows = jnp.pad(q, (0, -size % width)).reshape(-1, width)
    nobody = _race.start(n, clock)
    each = jnp.broadcast_to(nobody, (len(rows), *nobody.shape))
    blocks, _ = jax.lax.scan(join, each, rows.T)
    _, before = jax.lax.scan(follow, nobody, blocks)
    spare = rows.size - size + 1
    beyond = jnp.pad(outside, (0, spare)).reshape(rows.shape)
    _, missed = jax.lax.scan(prefix, before, (rows.T, beyond.T))
    return missed.T.reshape(-1)[:size]

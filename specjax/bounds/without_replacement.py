"""alpha* of drafts without replacement: 1 + min over prefixes H of p(H) - Q(H), Q(H) by the
race.
"""

import math
from functools import partial

import jax
import jax.numpy as jnp
from jax import Array

from specjax._types import Law
from specjax.bounds import _prefix_search, _race, iid
from specjax.bounds._base import SORTED, Bracket, envelope, rounded, ulps
from specjax.bounds._prefix_search import Below, Cells, Edges, Found
from specjax.numerics import tiny, top_tokens, total

CELLS = Cells(8, 32)
RACE = 4  # ulp of 1: rounding of the race integral


@partial(jax.custom_jvp, nondiff_argnums=(2,))
def bracket(p: Law, q: Law, n: int) -> Bracket:
    """1 + min over prefixes H of p(H) - P(all drafts in H), by the race integral."""
    if n == 1:
        return iid.bracket(p, q, 1)
    value, lower, upper = rounded(*best_set(p, q, n)[:2], RACE)
    left_out = _race.remainder(q, n) if q.shape[0] > SORTED else 0
    return Bracket(value, lower - left_out, upper + left_out)


@bracket.defjvp
def _slope(n: int, laws: tuple[Law, Law], tangents: tuple[Law, Law]) -> tuple[Bracket, Bracket]:
    p, q = laws
    if n == 1:
        return jax.jvp(partial(iid.bracket, n=1), laws, tangents)
    inside = best_set(p, q, n).inside
    return bracket(p, q, n), envelope(inside, -jax.grad(_race.missed_by)(q, inside, n), tangents)


def best_set(p: Law, q: Law, n: int) -> Found:
    """The best set for n >= 2 drafts without replacement.

    Up to V = 4096 every prefix is evaluated, at the cost of a sort and V x n x nodes. Beyond, the
    HEAD largest q join the race one by one, each prefix of them kept, and the rest enter by their
    sums of q, q^2 and q^3: two or three levels of a radix search, each of six scatters of V and 264
    x n x nodes; memory O(V + n).
    """
    if p.shape[0] <= SORTED:
        return _sorted(p, q, n)
    key = _prefix_search.keys(p, q)
    clock = _race.clock(q, n)
    top = top_tokens(q, _race.HEAD)
    head_key, rates = jax.lax.sort((key[top], q[top]), num_keys=1)
    prefix = jnp.pad(jnp.cumsum(rates), (1, 0))
    # sums of what remains: no digits are lost on peaked laws
    suffix = jnp.pad(jnp.cumsum(rates[::-1])[::-1], (0, 1))

    def join(state: _race.State, rate: Array) -> tuple[_race.State, _race.State]:
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
        outside = below.outside * scale
        few = _race.series(inside, below.moments[..., 0], below.moments[..., 1], n, clock)
        reached = _race.together(states[rank], few)
        whole = outside + suffix[rank]
        return Edges(below.p, inside + prefix[rank], whole, _race.late(reached, whole, clock))

    moments = jnp.stack([tail**2, tail**3], -1)
    return _prefix_search.search(p, key, tail / scale, moments, measure, CELLS, ulps(12, p))


def _sorted(p: Law, q: Law, n: int) -> Found:
    """Every prefix, the states of the race built in O(sqrt V) blocks of O(sqrt V) tokens."""
    vocabulary = q.shape[0]
    ratio = jnp.where(p > 0, p / q, 0)
    order, p, q = jax.lax.sort((ratio, p / total(p), q), num_keys=1, is_stable=False)
    outside_p = jnp.cumsum(p[::-1])[::-1]
    outside_q = jnp.cumsum(q[::-1])[::-1]
    clock = _race.clock(q, n)

    def join(state: _race.State, rate: Array) -> tuple[_race.State, None]:
        return _race.arrive(state, rate, clock), None

    def follow(state: _race.State, block: _race.State) -> tuple[_race.State, _race.State]:
        return _race.merge(state, block), state

    def prefix(state: _race.State, x: tuple[Array, Array]) -> tuple[_race.State, Array]:
        rate, outside = x
        state = _race.arrive(state, rate, clock)
        return state, _race.late(state[..., -1, :], outside, clock)

    size = 1 << math.ceil(math.log2(max(vocabulary, 2)) / 2)
    rows = jnp.pad(q, (0, -vocabulary % size)).reshape(-1, size)
    nobody = _race.start(n, clock)
    each = jnp.broadcast_to(nobody, (len(rows), *nobody.shape))
    blocks, _ = jax.lax.scan(join, each, rows.T)
    _, before = jax.lax.scan(follow, nobody, blocks)
    beyond = jnp.pad(outside_q[1:], (0, rows.size - vocabulary + 1)).reshape(rows.shape)
    _, miss_probability = jax.lax.scan(prefix, before, (rows.T, beyond.T))
    inside_p = 1 - jnp.pad(outside_p[1:], (0, 1))
    values = jnp.append(inside_p + miss_probability.T.reshape(-1)[:vocabulary], 1)
    best = jnp.argmin(values)
    found = jnp.minimum(values[best], 1)
    inside = (ratio <= order[jnp.minimum(best, vocabulary - 1)]) & (best < vocabulary)
    return Found(found, found, inside)

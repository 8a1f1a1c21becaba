"""alpha* of drafts without replacement: 1 + min over prefixes H of p(H) - Q(H), Q(H) by the race."""

import math

import jax
import jax.numpy as jnp
from jax import Array

from specjax._types import Law
from specjax.numerics import likeliest, tiny, total
from specjax.solvers import bins, race
from specjax.solvers.bins import Below, Cells, Edges, Found
from specjax.solvers.iid import SORTED

CELLS = Cells(8, 32)


def search(p: Law, q: Law, n: int, tolerance: float) -> Found:
    """The best set for n >= 2 drafts without replacement.

    Up to V = 4096 every prefix is evaluated, at the cost of a sort and V x n x nodes. Beyond, the HEAD largest q join the race one by
    one, each prefix of them kept, and the rest enter by their sums of q, q^2 and q^3: two or three levels of a radix search, each of
    six scatters of V and 264 x n x nodes; memory O(V + n).
    """
    if p.shape[0] <= SORTED:
        return _sorted(p, q, n)
    key = bins.keys(p, q)
    top = likeliest(q, race.HEAD)
    head_key, rates = jax.lax.sort((key[top], q[top]), num_keys=1)
    prefix = jnp.pad(jnp.cumsum(rates), (1, 0))
    suffix = jnp.pad(jnp.cumsum(rates[::-1])[::-1], (0, 1))  # sums of what remains: no digits are lost on peaked laws
    clock = race.clock(q, n)
    start = race.start(n, clock)
    _, states = jax.lax.scan(lambda state, rate: (race.arrive(state, rate, clock),) * 2, start, rates)
    states = jnp.concatenate([start[None], states])
    tail = q.at[top].set(0)
    scale = jnp.maximum(total(tail), tiny(q))

    def measure(below: Below) -> Edges:
        rank = jnp.searchsorted(head_key, below.edge)
        inside, outside = below.inside * scale, below.outside * scale
        reached = race.together(states[rank], race.series(inside, below.moments[..., 0], below.moments[..., 1], n, clock))
        whole = outside + suffix[rank]
        return Edges(below.p, inside + prefix[rank], whole, race.late(reached, whole, clock))

    return bins.search(p, key, tail / scale, jnp.stack([tail**2, tail**3], -1), measure, CELLS, tolerance)


def _sorted(p: Law, q: Law, n: int) -> Found:
    """Every prefix, the states of the race built in O(sqrt V) blocks of O(sqrt V) tokens."""
    ratio = jnp.where(p > 0, p / q, 0)
    order, p, q = jax.lax.sort((ratio, p / total(p), q), num_keys=1, is_stable=False)
    size = 1 << math.ceil(math.log2(max(p.shape[0], 2)) / 2)
    outside_p, outside = (jnp.cumsum(x[::-1])[::-1] for x in (p, q))
    rows = jnp.pad(q, (0, -q.shape[0] % size)).reshape(-1, size)
    clock = race.clock(q, n)
    start = jnp.broadcast_to(race.start(n, clock), (len(rows), n + 1, clock.times.size))
    blocks, _ = jax.lax.scan(lambda state, x: (race.arrive(state, x, clock), None), start, rows.T)
    _, before = jax.lax.scan(lambda state, block: (race.merge(state, block), state), start[0], blocks)

    def prefix(state: race.State, x: tuple[Array, Array]) -> tuple[race.State, Array]:
        state = race.arrive(state, x[0], clock)
        return state, race.late(state[..., -1, :], x[1], clock)

    beyond = jnp.pad(outside[1:], (0, rows.size - q.shape[0] + 1)).reshape(rows.shape)
    _, missed = jax.lax.scan(prefix, before, (rows.T, beyond.T))
    values = jnp.append(1 - jnp.pad(outside_p[1:], (0, 1)) + missed.T.reshape(-1)[: q.shape[0]], 1)
    best = jnp.argmin(values)
    found = jnp.minimum(values[best], 1)
    return Found(found, found, (ratio <= order[jnp.minimum(best, q.shape[0] - 1)]) & (best < q.shape[0]))

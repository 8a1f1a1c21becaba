"""The optimum alpha* of one node on device: what no lossless rule can exceed."""

import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax import Array

from specjax._types import Law, Scalar
from specjax.numerics import divide, tiny, total
from specjax.solvers import race

Bound = Callable[[Law, Law, int], Scalar]

_BOUNDS: dict[str, Bound] = {}
REFINED = 8  # blocks that are searched prefix by prefix beyond V = 4096


def bound(function: Bound) -> Bound:
    """Register `function(p, q, n)` as the optimum of the drafting scheme that it is named after."""
    _BOUNDS[function.__name__] = function
    return function


def schemes() -> tuple[str, ...]:
    """The drafting schemes whose optimum is known at any V."""
    return tuple(_BOUNDS)


def optimal_acceptance(p: Law, q: Law, n: int, scheme: str) -> Scalar:
    """alpha* of a drafting scheme: the largest P(Y is one of n drafts) over all lossless rules.

    Args:
      p, q: [V], laws of target and draft; V, n and scheme are static.

    Raises:
      ValueError: n < 1, or the scheme has no bound.

    Cost: a sort of V; without replacement one more pass of V x n x 185 operations. Source: hu2025towards, theorem 3.
    """
    if scheme not in _BOUNDS:
        raise ValueError(f"no optimum known for scheme {scheme!r}: expected one of {', '.join(_BOUNDS)}")
    if n < 1:
        raise ValueError(f"n: expected >= 1, got {n}")
    return jnp.clip(_BOUNDS[scheme](p, q, n), 0, 1)


def _by_ratio(p: Law, q: Law) -> tuple[Law, Law]:
    """p and q sorted by p/q ascending: p = 0 first, q = 0 last."""
    ratio = jnp.where(p > 0, jnp.where(q > 0, p / jnp.where(q > 0, q, 1), jnp.inf), 0)
    _, p, q = jax.lax.sort((ratio, p, q), num_keys=1, is_stable=False)
    return p, q


@bound
def iid(p: Law, q: Law, n: int) -> Scalar:
    """1 + min over prefixes H of p(H) - q(H)^n."""
    p, q = _by_ratio(p, q)
    # 1 - p(H) and 1 - q(H) are suffix sums: no digits are lost where H holds nearly everything
    outside_p, outside_q = (jnp.cumsum(x[::-1])[::-1] for x in (p, q))
    return jnp.minimum(1, jnp.min(2 - outside_p - (1 - jnp.minimum(outside_q, 1)) ** n))


@bound
def greedy(p: Law, q: Law, n: int) -> Scalar:
    """p(Top) + sum over the rest of min(p, q / (1 - q(Top))), Top the m - 1 most likely tokens, m = min(n, support of q)."""
    size = min(n - 1, q.shape[0])
    live = jnp.minimum(n, jnp.sum(q > 0))
    top = jnp.where(jnp.arange(size) < live - 1, jax.lax.top_k(q, size)[1], q.shape[0])
    rest = q.at[top].set(0, mode="drop")
    others = p.at[top].set(0, mode="drop")
    return jnp.sum(p.at[top].get(mode="fill", fill_value=0)) + total(jnp.minimum(others, divide(rest, total(rest))))


@bound
def hub(p: Law, q: Law, n: int) -> Scalar:
    """The optimum of greedy drafts: the two schemes draft the same sets at n = 2."""
    if n != 2:
        raise ValueError(f"hub: drafts pairs, expected n = 2, got n = {n}")
    return greedy(p, q, n)


@bound
def top_n(p: Law, q: Law, n: int) -> Scalar:
    """p of the n most likely tokens of q."""
    values, tokens = jax.lax.top_k(q, min(n, q.shape[0]))
    return jnp.sum(jnp.where(values > 0, p[tokens], 0))


@bound
def without_replacement(p: Law, q: Law, n: int) -> Scalar:
    """1 + min over prefixes H of p(H) - P(all drafts in H), by the race integral.

    The sorted tokens form B = O(sqrt V) blocks. Every block edge is evaluated; then, inside the blocks whose chord bound is
    lowest (all of them up to V = 4096), every prefix.
    """
    if n == 1:
        return iid(p, q, 1)
    p, q = _by_ratio(p, q)
    size = 1 << math.ceil(math.log2(max(p.shape[0], 2)) / 2)
    p, q = (jnp.pad(x, (0, -x.shape[0] % size)).reshape(-1, size) for x in (p, q))
    inner_p = jnp.cumsum(p, 1)
    after = jnp.cumsum(q[:, ::-1], 1)[:, ::-1]  # q mass from each token to the end of its block
    beyond = jnp.cumsum(jnp.sum(q, 1)[::-1])[::-1]  # q mass from each block on
    beyond = jnp.append(beyond[1:], 0)
    outside = jnp.concatenate([after[:, 1:], jnp.zeros_like(after[:, :1])], 1) + beyond[:, None]

    start = race.start(n, q.dtype)
    blocks, _ = jax.lax.scan(lambda state, x: (race.arrive(state, x), None), jnp.broadcast_to(start, (q.shape[0], *start.shape)), q.T)
    _, before = jax.lax.scan(lambda state, block: (race.merge(state, block), state), start, blocks)
    edge = race.inside(before, beyond + jnp.sum(q, 1)).at[0].set(0)  # P(all drafts in the blocks before this one)
    p_before = jnp.cumsum(jnp.sum(p, 1)) - jnp.sum(p, 1)

    count = q.shape[0] if q.size <= 4096 else REFINED
    slope = p[:, 0] / jnp.maximum(q[:, 0], tiny(q))  # inside a block p grows at least this fast with q
    chord = p_before + slope * jnp.sum(q, 1) - jnp.append(edge[1:], 1)
    open_blocks = jax.lax.top_k(-jnp.minimum(p_before - edge, chord), count)[1]

    def prefix(state: race.State, x: tuple[Array, Array]) -> tuple[race.State, Array]:
        state = race.arrive(state, x[0])
        return state, race.inside(state, x[1])

    _, mass = jax.lax.scan(prefix, before[open_blocks], (q[open_blocks].T, outside[open_blocks].T))
    return 1 + jnp.minimum(jnp.min(p_before - edge), jnp.min(p_before[open_blocks] + inner_p[open_blocks].T - mass))

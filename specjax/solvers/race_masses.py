"""The mass that a kernel of levels gives to every token, where the drafts are drawn without replacement.

A token's distribution function F lies `share` of the way from that of one node to that of the next. The likeliest tokens enter the race
one by one; the others by the sums of q^l F^k, so that what each is given is a polynomial in its q and its share.
"""

import math

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Float

from specjax._types import Count, Law, Scalar
from specjax.numerics import divide, dot, likeliest, total
from specjax.solvers import fixed_point, low_race
from specjax.solvers.levels import gauss
from specjax.solvers.low_race import Low
from specjax.solvers.nodes import Nodes

ALL = 512  # up to this V every token enters by itself
HEADS = 16  # beyond, so many for each draft: a race of n drafts is then over at q t = 1/16 for the fastest of the others
NEVER = 1e-30  # a slower token


def given(nodes: Nodes, kernel: Float[Array, "B C"], q: Law, n: int, live: Count) -> tuple[Law, Scalar]:
    """What each token is given if every cell is open, and a bound of the errors of all of them together.

    The bound is what the series leaves out, nothing up to V = 512, and by how much all masses together miss 1: one draft always wins,
    so that this is rounding.
    Cost: C x H x n^2 / 2 x nodes in t; beyond V = 512 also 11 columns of V for two drafts, 27 at most.
    """
    top = likeliest(q, len(q) if len(q) <= ALL else min(HEADS * n, len(q)))
    order = min(n + 2, 6) if len(top) < len(q) else 2  # the least where no others are left
    rest = q.at[top].set(0)
    unit = jnp.maximum(jnp.max(rest), NEVER)  # a race has no unit, but powers of a small rate have no digits
    tail = rest / unit
    race = low_race.race(q[top] / unit, total(tail), n, live)
    moments = _moments(nodes, tail, order, n, len(kernel))
    paid, before = nodes.spread(kernel, top), dot(kernel, jnp.triu(jnp.ones_like(kernel, shape=(kernel.shape[1],) * 2), 1))

    def add(sums: tuple[Array, Array], place: tuple[Scalar, Scalar]) -> tuple[tuple[Array, Array], None]:
        low, weight = before + place[0] * kernel, place[1]
        slope = low_race.slopes(race, Low(nodes.spread(low, top), _of_tail(moments, low, order, n)), n, live)

        def worth(low: Array) -> Array:
            return jax.vjp(lambda moments: _of_tail(moments, low, order, n), moments)[1](slope.tail)[0]

        of_tail = jax.jvp(worth, (low,), (kernel,))[1]  # of a token that is low with probability F, at the density F'
        return (sums[0] + weight * jnp.sum(paid * slope.heads, 1), sums[1] + weight * of_tail), None

    (heads, of_tail), _ = jax.lax.scan(add, (jnp.zeros(len(top), q.dtype), jnp.zeros_like(moments)), gauss(n, q.dtype))
    at_tokens = of_tail.T[nodes.left]
    masses = jnp.zeros_like(q)
    for column, (power, k) in enumerate(_columns(order, n)):
        masses = masses + tail**power * nodes.share**k * at_tokens[:, column]
    masses = masses.at[top].set(heads)
    whole = total(masses)
    return masses / whole, low_race.remainder(race, tail, order, n, live) + jnp.abs(whole - 1)


def _columns(order: int, n: int) -> list[tuple[int, int]]:
    """The powers of the rate and of the share that a series of this order needs: more than n tokens are never low."""
    return [(power, k) for power in range(1, order + 1) for k in range(min(power, n) + 1)]


def _moments(nodes: Nodes, tail: Law, order: int, n: int, count: int) -> Float[Array, "columns B"]:
    """Sums over the tokens after each node of the powers of rate and share; of the first power without rounding."""
    whole = total(tail)
    part = divide(tail, whole)
    first = whole * jnp.stack(fixed_point.sums(nodes.left, count, part, part * nodes.share))
    rows = jnp.stack([tail**power * nodes.share**k for power, k in _columns(order, n)[2:]], 1)
    return jnp.concatenate([first, jnp.zeros((count, rows.shape[1]), tail.dtype).at[nodes.left].add(rows).T])


def _of_tail(moments: Float[Array, "columns B"], low: Float[Array, "B M"], order: int, n: int) -> Float[Array, "T M"]:
    """The sums of q^l F^k over the tail, 0 for k > n, `low` the distribution functions of the nodes."""
    column = {powers: place for place, powers in enumerate(_columns(order, n))}
    step, sums = jnp.diff(low, axis=0, append=low[-1:]), {}
    for k in range(1, min(order, n) + 1):
        binomial = jnp.stack([math.comb(k, i) * low ** (k - i) * step**i for i in range(k + 1)])
        rows = moments[np.array([[column[power, i] for i in range(k + 1)] for power in range(k, order + 1)])]
        sums[k] = jnp.einsum("lib,ibm->lm", rows, binomial, precision=jax.lax.Precision.HIGHEST)
    return jnp.stack([sums[k][power - k] if k <= n else jnp.zeros_like(low[0]) for power, k in low_race.terms(order)])

"""The mass that a kernel of levels gives to every token, where the drafts are drawn without
replacement.

A token's distribution function F lies `share` of the way from that of one node to that of the next.
The likeliest tokens enter the race one by one; the others by the sums of q^l F^k, so that what each
is given is a polynomial in its q and its share.
"""

import math
from collections.abc import Callable
from typing import NamedTuple, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Float

from specjax import exact_sums
from specjax._types import Count, Law, Scalar, Tokens
from specjax.numerics import divide, dot, top_tokens, total
from specjax.solvers.levels import low_race
from specjax.solvers.levels.grid import Kernel, Nodes
from specjax.solvers.levels.level_rule import gauss
from specjax.solvers.levels.low_race import Low, Race

ALL = 512  # up to this V every token enters by itself
# beyond, so many for each draft: a race of n drafts is then over at q t = 1/16 for the fastest of
# the others
HEADS = 16
NEVER = 1e-30  # a slower token

Sums = TypeVar("Sums", Array, tuple[Array, Array])
Moments = Float[Array, "columns B"]


class Field(NamedTuple):
    """Who races.

    Attributes:
      top: [H], the tokens that enter one by one.
      tail: [V], the rates of the others, 0 for `top`; the fastest has rate 1.
      race: the heads' rates and the nodes in time.
      order: of the series in the others' rates.
      n: drafts at most.
      live: drafts.
    """

    top: Tokens
    tail: Law
    race: Race
    order: int
    n: int
    live: Count


def field(
    q: Law,
    n: int,
    live: Count,
    heads: int,
    order: int,
) -> Field:
    """The race of a law, its `heads` likeliest tokens one by one and the others by a series of this
    order.
    """
    top = top_tokens(q, min(heads, len(q)))
    rest = q.at[top].set(0)
    # a race has no unit, but powers of a small rate have no digits
    unit = jnp.maximum(jnp.max(rest), NEVER)
    tail = rest / unit
    return Field(top, tail, low_race.race(q[top] / unit, total(tail), n, live), order, n, live)


def given(
    nodes: Nodes,
    kernel: Kernel,
    q: Law,
    n: int,
    live: Count,
) -> tuple[Law, Scalar]:
    """What each token is given if every cell is open, and a bound of the errors of all of them
    together.

    The bound is what the series leaves out, nothing up to V = 512, and by how much all masses
    together miss 1: one draft always wins, so that this is rounding. Cost: C x H x n^2 / 2 x nodes
    in t; beyond V = 512 also 11 columns of V for two drafts, 27 at most.
    """
    alone = len(q) <= ALL
    runners = field(q, n, live, len(q) if alone else HEADS * n, 2 if alone else min(n + 2, 6))
    given = masses(runners, nodes, moments(runners, nodes, len(kernel)), kernel)
    whole = total(given)
    left_out = low_race.remainder(runners.race, runners.tail, runners.order, n, live)
    return given / whole, left_out + jnp.abs(whole - 1)


def masses(
    field: Field,
    nodes: Nodes,
    moments: Moments,
    kernel: Kernel,
) -> Law:
    """What each token is given if every cell is open, as far as the series tells."""
    paid = nodes.spread(kernel, field.top)

    def here(low: Array) -> tuple[Array, Array]:
        slope = _slopes(field, nodes, moments, low)

        def worth(low: Array) -> Array:
            return jax.vjp(lambda moments: _of_tail(moments, low, field), moments)[1](slope.tail)[0]

        # of a token that is low with probability F, at the density F'
        of_tail = jax.jvp(worth, (low,), (kernel,))[1]
        return jnp.sum(paid * slope.heads, 1), of_tail

    heads, of_tail = _over_cells(kernel, field.n, here)
    at_tokens = of_tail.T[nodes.left]
    given = jnp.zeros_like(field.tail)
    for column, (power, k) in enumerate(_columns(field.order, field.n)):
        given = given + field.tail**power * nodes.share**k * at_tokens[:, column]
    return given.at[field.top].set(heads)


def worth(
    field: Field,
    nodes: Nodes,
    moments: Moments,
    kernel: Kernel,
) -> Kernel:
    """What each node is given in each cell, were all of the node there."""

    def here(low: Array) -> Array:
        slope = _slopes(field, nodes, moments, low)
        return jax.vjp(
            lambda low: Low(nodes.spread(low, field.top), _of_tail(moments, low, field)), low
        )[1](slope)[0]

    return _over_cells(kernel, field.n, here)


def moments(field: Field, nodes: Nodes, count: int) -> Moments:
    """Sums over the tokens after each of `count` nodes of the powers of rate and share; of the
    first power without rounding.
    """
    whole = total(field.tail)
    part = divide(field.tail, whole)
    first = whole * jnp.stack(exact_sums.sums(nodes.left, count, part, part * nodes.share))
    rows = jnp.stack(
        [field.tail**power * nodes.share**k for power, k in _columns(field.order, field.n)[2:]], 1
    )
    return jnp.concatenate(
        [first, jnp.zeros((count, rows.shape[1]), rows.dtype).at[nodes.left].add(rows).T]
    )


def _over_cells(kernel: Kernel, n: int, here: Callable[[Array], Sums]) -> Sums:
    """The mean over each cell of what holds where the nodes' distribution functions are `low`."""
    before = dot(kernel, jnp.triu(jnp.ones_like(kernel, shape=(kernel.shape[1],) * 2), 1))
    places, weights = gauss(n, kernel.dtype)

    def add(place: Count, sums: Sums) -> Sums:
        part = here(before + places[place] * kernel)
        return jax.tree.map(lambda total, part: total + weights[place] * part, sums, part)

    nothing = jax.tree.map(
        lambda part: jnp.zeros(part.shape, part.dtype), jax.eval_shape(here, kernel)
    )
    return jax.lax.fori_loop(0, len(places), add, nothing)


def _slopes(
    field: Field,
    nodes: Nodes,
    moments: Moments,
    low: Float[Array, "B M"],
) -> Low:
    """The derivatives of P(all drafts are low) where the nodes' distribution functions are
    `low`.
    """
    return low_race.slopes(
        field.race,
        Low(nodes.spread(low, field.top), _of_tail(moments, low, field)),
        field.n,
        field.live,
    )


def _columns(order: int, n: int) -> list[tuple[int, int]]:
    """The powers of the rate and of the share that a series of this order needs: more than n tokens
    are never low.
    """
    return [(power, k) for power in range(1, order + 1) for k in range(min(power, n) + 1)]


def _of_tail(moments: Moments, low: Float[Array, "B M"], field: Field) -> Float[Array, "T M"]:
    """The sums of q^l F^k over the tail, 0 for k > n, `low` the distribution functions of the
    nodes.
    """
    order, n = field.order, field.n
    column = {powers: place for place, powers in enumerate(_columns(order, n))}
    step = jnp.diff(low, axis=0, append=low[-1:])
    sums = {}
    for k in range(1, min(order, n) + 1):
        binomial = jnp.stack([math.comb(k, i) * low ** (k - i) * step**i for i in range(k + 1)])
        rows = moments[
            np.array([[column[power, i] for i in range(k + 1)] for power in range(k, order + 1)])
        ]
        sums[k] = jnp.einsum("lib,ibm->lm", rows, binomial, precision=jax.lax.Precision.HIGHEST)
    return jnp.stack(
        [
            sums[k][power - k] if k <= n else jnp.zeros_like(low[0])
            for power, k in low_race.terms(order)
        ]
    )

"""The mass that a kernel of levels allocates to every token, without replacement.

A token's distribution function F lies between those of two nodes, `share` of the way to the second.
The likeliest tokens enter the race one by one. The others enter by the sums of q^l F^k, so that the
allocation of each is a polynomial in its q and its share.
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
from specjax.solvers.levels.low_race import Low, PowerSums, Race

ALL = 512  # up to this V every token enters by itself
# beyond, so many for each draft enter by themselves: a race of n drafts is then over at q t = 1/16
# for the fastest of the others
HEADS = 16
NEVER = 1e-30  # a slower token

Sums = TypeVar("Sums", Array, tuple[Array, Array])
Moments = Float[Array, "columns B"]
AtPoints = Float[Array, "B M"]


class Field(NamedTuple):
    """Who races.

    Attributes:
      top: [H], the tokens that enter one by one.
      tail: [V], the rates of the others, 0 for `top`; the fastest has rate 1.
      race: the heads' rates and the nodes in time.
      order: of the series in the others' rates.
      n: the largest number of drafts.
      live: the number of drafts.
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
    """The race of a draft distribution.

    Args:
      q: [V], the draft distribution.
      n: the largest number of drafts; static.
      live: in [1, n], the number of drafts.
      heads: how many of the likeliest tokens enter one by one; static.
      order: of the series by which the others enter; static.
    """
    top = top_tokens(q, min(heads, len(q)))
    rest = q.at[top].set(0)
    # a race has no unit, but powers of a small rate have no digits
    unit = jnp.maximum(jnp.max(rest), NEVER)
    tail = rest / unit
    race = low_race.race(q[top] / unit, total(tail), n, live)
    return Field(
        top=top,
        tail=tail,
        race=race,
        order=order,
        n=n,
        live=live,
    )


def allocated(
    nodes: Nodes,
    kernel: Kernel,
    q: Law,
    n: int,
    live: Count,
) -> tuple[Law, Scalar]:
    """The allocation of each token if every cell is open, and a bound of its error.

    The bound covers the errors of all tokens together. It is the sum of two parts: what the series
    leaves out, nothing up to V = 512; and the difference of all masses from 1. One draft always
    wins, so that the difference is rounding.

    Args:
      nodes: where the tokens are.
      kernel: [B, C], the distribution of each node's level cell.
      q: [V], the draft distribution.
      n: the largest number of drafts; static.
      live: in [1, n], the number of drafts.

    Returns:
      [V], masses that sum to 1; and the bound.

    Cost: C x H x n^2 / 2 x nodes in t; beyond V = 512 also 11 columns of V for two drafts, 27 at
    most.
    """
    if len(q) <= ALL:
        runners = field(q, n, live, len(q), 2)
    else:
        runners = field(q, n, live, HEADS * n, min(n + 2, 6))
    found = masses(runners, nodes, moments(runners, nodes, len(kernel)), kernel)
    whole = total(found)
    left_out = low_race.remainder(runners.race, runners.tail, runners.order, n, live)
    return found / whole, left_out + jnp.abs(whole - 1)


def masses(field: Field, nodes: Nodes, moments: Moments, kernel: Kernel) -> Law:
    """The allocation of each token if every cell is open, as far as the series tells.

    Args:
      field: the race of q.
      nodes: where the tokens are.
      moments: of the field on these nodes.
      kernel: [B, C], the distribution of each node's level cell.

    Returns:
      [V], masses.

    Cost: C x H x n x nodes in t, and a pass over V for each pair of powers.
    """
    of_top = nodes.spread(kernel, field.top)

    def here(low: AtPoints) -> tuple[Array, Array]:
        slope = _slopes(field, nodes, moments, low)

        def worth(low: AtPoints) -> Array:
            _, pull_back = jax.vjp(lambda moments: _tail_sums(moments, low, field), moments)
            of_moments: Moments = pull_back(slope.tail)[0]
            return of_moments

        # of a token that is low with probability F, at the density F'
        _, of_tail = jax.jvp(worth, (low,), (kernel,))
        return jnp.sum(of_top * slope.heads, 1), of_tail

    heads, of_tail = _over_cells(kernel, field.n, here)
    at_tokens = of_tail.T[nodes.left]
    found = jnp.zeros_like(field.tail)
    for column, (power, k) in enumerate(_columns(field.order, field.n)):
        found = found + field.tail**power * nodes.share**k * at_tokens[:, column]
    return found.at[field.top].set(heads)


def worth(field: Field, nodes: Nodes, moments: Moments, kernel: Kernel) -> Kernel:
    """The allocation of each node in each cell, if all of the node were there.

    Args:
      field: the race of q.
      nodes: where the tokens are.
      moments: of the field on these nodes.
      kernel: [B, C], the distribution of each node's level cell.

    Returns:
      [B, C], masses.

    Cost: C x H x n x nodes in t.
    """

    def here(low: AtPoints) -> Array:
        slope = _slopes(field, nodes, moments, low)
        _, pull_back = jax.vjp(lambda low: _low(field, nodes, moments, low), low)
        of_nodes: AtPoints = pull_back(slope)[0]
        return of_nodes

    return _over_cells(kernel, field.n, here)


def moments(field: Field, nodes: Nodes, count: int) -> Moments:
    """Sums over the tokens after each node of the powers of rate and share.

    The sums of the first power are exact.

    Args:
      field: the race of q.
      nodes: where the tokens are.
      count: how many nodes there are.

    Returns:
      [columns, B], a row for each pair of powers.

    Cost: two scatters of V rows.
    """
    whole = total(field.tail)
    part = divide(field.tail, whole)
    exact = exact_sums.sums(nodes.left, count, part, part * nodes.share)
    first = whole * jnp.stack(exact)
    higher = _columns(field.order, field.n)[2:]
    terms = [field.tail**power * nodes.share**k for power, k in higher]
    rows = jnp.stack(terms, 1)
    table = jnp.zeros((count, rows.shape[1]), rows.dtype)
    table = table.at[nodes.left].add(rows)
    return jnp.concatenate([first, table.T])


def _over_cells(kernel: Kernel, n: int, here: Callable[[Array], Sums]) -> Sums:
    """The mean over each cell of values that depend on the nodes' distribution functions."""
    earlier = jnp.triu(jnp.ones_like(kernel, shape=(kernel.shape[1],) * 2), 1)
    before = dot(kernel, earlier)
    places, weights = gauss(n, kernel.dtype)

    def add(place: Count, sums: Sums) -> Sums:
        part = here(before + places[place] * kernel)
        added: Sums = jax.tree.map(lambda total, part: total + weights[place] * part, sums, part)
        return added

    shapes = jax.eval_shape(here, kernel)
    nothing: Sums = jax.tree.map(lambda part: jnp.zeros(part.shape, part.dtype), shapes)
    mean: Sums = jax.lax.fori_loop(0, len(places), add, nothing)
    return mean


def _slopes(field: Field, nodes: Nodes, moments: Moments, low: AtPoints) -> Low:
    """The derivatives of P(all drafts are low), `low` the nodes' distribution functions."""
    return low_race.slopes(field.race, _low(field, nodes, moments, low), field.n, field.live)


def _low(field: Field, nodes: Nodes, moments: Moments, low: AtPoints) -> Low:
    """How likely tokens are to be low, `low` the nodes' distribution functions."""
    return Low(nodes.spread(low, field.top), _tail_sums(moments, low, field))


def _columns(order: int, n: int) -> list[tuple[int, int]]:
    """The powers of rate and share that a series of this order needs.

    More than n tokens are never low, so that a power of the share is at most n.
    """
    return [(power, k) for power in range(1, order + 1) for k in range(min(power, n) + 1)]


def _tail_sums(moments: Moments, low: AtPoints, field: Field) -> PowerSums:
    """The sums of q^l F^k over the tail, 0 for k > n, `low` the nodes' distribution functions.

    F = a + share b between two nodes, so that F^k is a sum of binomial terms in the share.
    """
    order, n = field.order, field.n
    column = {powers: place for place, powers in enumerate(_columns(order, n))}
    step = jnp.diff(low, axis=0, append=low[-1:])
    sums = {}
    for k in range(1, min(order, n) + 1):
        binomial = [math.comb(k, i) * low ** (k - i) * step**i for i in range(k + 1)]
        without = [column[power, 0] for power in range(k, order + 1)]
        places = np.add.outer(without, np.arange(k + 1))
        sums[k] = jnp.einsum(
            "lib,ibm->lm",
            moments[places],
            jnp.stack(binomial),
            precision=jax.lax.Precision.HIGHEST,
        )
    nothing = jnp.zeros_like(low[0])
    powers = low_race.terms(order)
    return jnp.stack([sums[k][power - k] if k <= n else nothing for power, k in powers])

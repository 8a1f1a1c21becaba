"""P(all drafts without replacement are low) where every token is low or not by its own coin, and
its derivatives.

Token j arrives at rate q_j and is low with probability F_j, independently. By time t no high token
has arrived and k low ones have with the probability [z^k] prod_j ((1 - y_j) + z F_j y_j), y_j = 1 -
e^{-q_j t}; the n-th draft is j, all being low, at the rate q_j (1 - y_j) F_j [z^(n-1)] prod_{i !=
j}. Their integral over t, by the trapezoid rule in log t, is linear in every F_j, and its
derivative in F_j is the probability that j is drafted and all other drafts are low. Likely tokens
(heads) enter one by one, the others (the tail) by the sums of q^l F^k, k <= l: as w_j = e^{q_j t} -
1, a series in q t whose order is the largest l. `remainder` bounds what it leaves out.
"""

import functools
import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Float

from specjax._types import Count, Law, Scalar
from specjax.numerics import dot, total

LATE = 60.0  # e^-60 is nothing
AGES = 1000.0  # of a token that has come: e^-1000 is 0, and more overflows beside a slow token
# times n tokens enter one by one: by the time at which it matters, the next one has hardly come
LEADS = 2
SOON = 8.0  # e^-8: a later token is held there, since by then n of the leads have come
CHUNK = 8  # nodes that are summed at once
FAINT = 1e-10  # slower tokens of the crowd never come; t^3 overflows where they would


class Race(NamedTuple):
    """Who races.

    Attributes:
      heads: [H], rates of the tokens that enter one by one.
      tail: total rate of the others.
      first: log t of the first node.
      step: of the nodes in log t.
      chunks: how many times CHUNK nodes it takes.
    """

    heads: Float[Array, " H"]
    tail: Scalar
    first: Scalar
    step: Scalar
    chunks: Count


class Low(NamedTuple):
    """How likely tokens are to be low, at M points.

    Attributes:
      heads: [H, M], F of each head.
      tail: [T, M], sums over the others of q^l F^k, for each (l, k) of `terms`.
    """

    heads: Float[Array, "H M"]
    tail: Float[Array, "T M"]


def terms(order: int) -> list[tuple[int, int]]:
    """The powers (l, k) of q and F whose sums a series of this order takes."""
    return [(power, k) for power in range(1, order + 1) for k in range(1, power + 1)]


def race(
    heads: Float[Array, " H"],
    tail: Scalar,
    n: int,
    live: Count,
) -> Race:
    """Nodes that see both the first and the `live`-th arrival: t^live is rounding at the first, and
    all have come by the last.
    """
    digits = -float(np.log(jnp.finfo(heads.dtype).eps))
    ranked = -jnp.sort(-heads)
    # what is left for the last draft
    waiting = tail + jnp.sum(jnp.where(jnp.arange(heads.shape[0]) >= live - 1, ranked, 0))
    first = (jax.lax.lgamma(jnp.asarray(live, heads.dtype)) - digits) / live - jnp.log(
        tail + jnp.sum(heads)
    )
    last = jnp.log((digits + 2 * live) / jnp.maximum(waiting, 1e-30))
    step = jnp.asarray([_step(k, digits) for k in range(1, n + 1)], heads.dtype)[live - 1]
    return Race(
        heads, tail, first, step, jnp.ceil((last - first) / (step * CHUNK)).astype(jnp.int32)
    )


def _step(n: int, digits: float) -> float:
    """The widest step at which the trapezoid rule sums t^n e^-t dlog t to rounding: its error is
    |Gamma(n + 2 pi i / step)| / Gamma(n).
    """
    widest = np.linspace(1, 0.1, 91)
    omega = 2 * np.pi / widest
    size = (
        np.log(2 * np.pi * omega) / 2
        - np.pi * omega / 2
        + sum(np.log1p((omega / k) ** 2) / 2 for k in range(1, n))
    )
    return float(widest[np.argmax(size + np.log(2) < -digits)])


def slopes(
    race: Race,
    low: Low,
    n: int,
    live: Count,
) -> Low:
    """The derivatives at each point of P(the first `live` <= n arrivals are all low)."""

    def add(chunk: Count, sums: Low) -> Low:
        part = jax.grad(
            lambda low: race.step * jnp.sum(_density(race, _times(race, chunk), low, n, live))
        )(low)
        return jax.tree.map(jnp.add, sums, part)

    return jax.lax.fori_loop(0, race.chunks, add, jax.tree.map(jnp.zeros_like, low))


def remainder(
    race: Race,
    tail: Law,
    order: int,
    n: int,
    live: Count,
) -> Scalar:
    """A bound of what the series leaves out of the derivatives, summed over all tokens, each at any
    level.

    Let G(z) be the series of arrivals where all are low, and let E(z) and L(z) bound, coefficient
    by coefficient, what is left out of log G and of the sum of q_j / (1 + z w_j). The integral is
    then wrong by [z^(n-1)] (E G' + L G) at most, summed over t, and as it is homogeneous of degree
    n in the F_j its derivatives together by n times that (Euler). Since (w / y)^k, y = q t, grows
    at most k times as fast as it is large, term by term, what lies beyond a power of y in w^k is at
    most its next term times e^{k y}, the y of the fastest token taken. Twice this covers e^E - 1 -
    E.

    Args:
      tail: [V], rates, 0 for those that enter one by one; these are no slower.
    """
    k = np.arange(n)
    fastest = jnp.max(tail)
    beyond = total(tail ** (order + 1))
    everyone = Low(
        jnp.ones_like(race.heads)[:, None],
        jnp.stack([total(tail**power) for power, _ in terms(order)])[:, None],
    )

    def next_term(power: int, t: Float[Array, " K"]) -> Float[Array, "n K"]:
        table = jnp.asarray([_taylor(j, max(j, power)) for j in range(n)], t.dtype)
        y = fastest * t[:, None]
        return (table * y ** np.maximum(k - power, 0) * jnp.exp(k * y)).T

    def add(chunk: Count, left_out: Scalar) -> Scalar:
        t = _times(race, chunk)
        before = jnp.maximum(live - 1 - k, 0)
        so_far, ending = (series[before, :, 0] for series in _arrivals(race, t, everyone, n))
        of_log = next_term(order + 1, t) / np.maximum(k, 1)[:, None]
        both = (of_log * ending + next_term(order, t) * so_far) * beyond * t ** (order + 1)
        return left_out + race.step * jnp.sum(jnp.where((k < live)[:, None], both, 0))

    return 2 * n * jax.lax.fori_loop(0, race.chunks, add, jnp.zeros_like(beyond))


def _times(race: Race, chunk: Count) -> Float[Array, " K"]:
    """CHUNK nodes."""
    return jnp.exp(race.first + race.step * (chunk * CHUNK + jnp.arange(CHUNK))).astype(
        race.heads.dtype
    )


class _Arrivals(NamedTuple):
    """n series in z, at K times and M points.

    Attributes:
      so_far: coefficient k is P(k arrivals by t, all low).
      ending: the rate at which one more arrives that is low, per unit of log t.
    """

    so_far: Float[Array, "n K M"]
    ending: Float[Array, "n K M"]


def _density(
    race: Race,
    times: Float[Array, " K"],
    low: Low,
    n: int,
    live: Count,
) -> Float[Array, "K M"]:
    """The chance that the first `live` - 1 arrivals come by t and are low and that the next comes
    then and is low, per unit of log t.
    """
    return jnp.take(_arrivals(race, times, low, n).ending, live - 1, axis=0)


def _arrivals(
    race: Race,
    times: Float[Array, " K"],
    low: Low,
    n: int,
) -> _Arrivals:
    """Who has arrived by these times: the crowd, and then the leads one by one."""
    leads = min(LEADS * n, race.heads.shape[0])
    t = times[:, None]

    def join(one: _Arrivals, lead: tuple[Array, Array]) -> tuple[_Arrivals, None]:
        rate, chance = lead
        age = jnp.minimum(rate * t, AGES)
        waits = jnp.exp(-age)
        comes = -jnp.expm1(-age) * chance
        last = age * jnp.exp(-age) * chance
        so_far, ending = (series * waits + comes * _later(series, 0) for series in one)
        return _Arrivals(so_far, ending + last * one.so_far), None

    crowd = race._replace(heads=race.heads[leads:])
    return jax.lax.scan(
        join,
        _crowd(crowd, t, Low(low.heads[leads:], low.tail), n),
        (race.heads[:leads], low.heads[:leads]),
    )[0]


def _later(
    series: Float[Array, "n K M"], first: Float[Array, "K M"] | int
) -> Float[Array, "n K M"]:
    """The series times z, and `first` before it."""
    return jnp.concatenate([jnp.broadcast_to(first, series[:1].shape), series[:-1]])


def _crowd(
    race: Race,
    t: Float[Array, "K 1"],
    low: Low,
    n: int,
) -> _Arrivals:
    """Many tokens at once: log prod (1 + z F_j w_j) by the power sums of F_j w_j."""
    t = jnp.minimum(
        t,
        jnp.minimum(
            LATE / jnp.maximum(race.tail, FAINT), SOON / jnp.max(race.heads, initial=FAINT)
        ),
    )
    once = jnp.expm1(race.heads * t)
    sign = jnp.asarray([(-1.0) ** k for k in range(n)], t.dtype)[:, None, None]
    odds, chances = (jnp.stack([series**k for k in range(n)]) for series in (once, low.heads))
    of_tail, last_of_tail = _series(low.tail, t, n)
    of_heads = low.heads * chances
    # k + 1 times the coefficient of z^(k + 1)
    slope = sign * (dot(once * odds, of_heads) + of_tail)
    last = sign * (dot(race.heads * t * odds, of_heads) + last_of_tail)

    def grow(newest: Array, count: Array) -> tuple[Array, tuple[Array, Array]]:
        return _later(newest, jnp.sum(slope * newest, 0) / count), (
            newest[0],
            jnp.sum(last * newest, 0),
        )

    nobody = jnp.exp(-(race.tail + jnp.sum(race.heads)) * t) + jnp.zeros_like(low.tail[0])
    _, arrivals = jax.lax.scan(
        grow, _later(jnp.zeros_like(slope), nobody), jnp.arange(1, n + 1, dtype=t.dtype)
    )
    return _Arrivals(*arrivals)


def _series(
    tail: Float[Array, "T M"], t: Float[Array, "K 1"], n: int
) -> tuple[Float[Array, "n K M"], Float[Array, "n K M"]]:
    """Sums over the tail of (F w)^(k + 1), and of q t F (F w)^k, for k < n."""
    known = terms((math.isqrt(8 * len(tail) + 1) - 1) // 2)
    whole, last = np.zeros((2, n, len(tail)))
    for place, (power, k) in enumerate(known):
        if k <= n:
            whole[k - 1, place], last[k - 1, place] = _taylor(k, power), _taylor(k - 1, power - 1)
    times = jnp.concatenate([t**power for power, _ in known], 1)
    of_arrivals, of_last = (jnp.asarray(table, t.dtype)[:, None] * times for table in (whole, last))
    return dot(of_arrivals, tail), dot(of_last, tail)


@functools.cache
def _taylor(k: int, power: int) -> float:
    """The coefficient of y^power in (e^y - 1)^k."""
    return sum((-1) ** (k - i) * math.comb(k, i) * i**power for i in range(k + 1)) / math.factorial(
        power
    )

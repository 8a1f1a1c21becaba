"""P(all drafts without replacement are low), and its derivatives.

Every token is low or not by its own coin.
Token j arrives at rate q_j and is low with probability F_j, independently. Let y_j = 1 - e^{-q_j t}
be the probability that it has arrived by time t. Then:

1. By time t no high token has arrived and k low ones have, with the probability
   [z^k] prod_j ((1 - y_j) + z F_j y_j).
2. The n-th draft is j, all being low, at the rate
   q_j (1 - y_j) F_j [z^(n-1)] prod_{i != j} ((1 - y_i) + z F_i y_i).
3. The integral over t of the sum over j is P(all drafts are low), by the trapezoid rule in log t.
   It is linear in every F_j. Its derivative in F_j is the probability that j is drafted and all
   other drafts are low.

Likely tokens (heads) enter one by one. The others (the tail) enter by the sums of q^l F^k, k <= l.
For w_j = e^{q_j t} - 1 is a series in q t, and its order is the largest l. `remainder` bounds what
the series leaves out.
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
from specjax.numerics import dot, epsilon, total

LATE = 60.0  # e^-60 is nothing
AGES = 1000.0  # of a token that has come: e^-1000 is 0, and more overflows beside a slow token
# times n tokens enter one by one: by the time at which it matters, the next one has hardly come
LEADS = 2
SOON = 8.0  # e^-8: a later token is held there, since by then n of the leads have come
CHUNK = 8  # nodes that are summed at once
FAINT = 1e-10  # slower tokens of the crowd never come; t^3 overflows where they would
NEVER = 1e-30  # a slower last draft

Heads = Float[Array, " H"]
Times = Float[Array, " K"]
Column = Float[Array, "K 1"]
AtPoints = Float[Array, "K M"]
PerHead = Float[Array, "H M"]
PowerSums = Float[Array, "T M"]
Series = Float[Array, "n K M"]


class Race(NamedTuple):
    """Who races.

    Attributes:
      heads: [H], rates of the tokens that enter one by one.
      tail: total rate of the others.
      first: log t of the first node.
      step: of the nodes in log t.
      chunks: how many times CHUNK nodes it takes.
    """

    heads: Heads
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

    heads: PerHead
    tail: PowerSums


class _Arrivals(NamedTuple):
    """n series in z, at K times and M points.

    Attributes:
      so_far: coefficient k is P(k arrivals by t, all low).
      ending: the rate at which one more low token arrives, per unit of log t.
    """

    so_far: Series
    ending: Series


class _TailSums(NamedTuple):
    """Sums over the tail, for k < n.

    Attributes:
      whole: of (F w)^(k + 1).
      last: of q t F (F w)^k.
    """

    whole: Series
    last: Series


def terms(order: int) -> list[tuple[int, int]]:
    """The powers (l, k) of q and F whose sums a series of this order takes."""
    return [(power, k) for power in range(1, order + 1) for k in range(1, power + 1)]


def race(heads: Heads, tail: Scalar, n: int, live: Count) -> Race:
    """A race with nodes that see both the first and the last arrival.

    t^live is rounding at the first node, and all drafts have come by the last.

    Args:
      heads: [H], rates of the tokens that enter one by one.
      tail: total rate of the others.
      n: the largest number of drafts; static.
      live: in [1, n], the number of drafts.
    """
    dtype = heads.dtype
    eps = np.asarray(epsilon(heads), dtype)
    digits = -float(np.log(eps))
    ranked = -jnp.sort(-heads)
    late = jnp.arange(heads.shape[0]) >= live - 1
    # the rate that remains for the last draft
    waiting = tail + jnp.sum(jnp.where(late, ranked, 0))
    log_factorial = jax.lax.lgamma(jnp.asarray(live, dtype))
    first = (log_factorial - digits) / live - jnp.log(tail + jnp.sum(heads))
    last = jnp.log((digits + 2 * live) / jnp.maximum(waiting, NEVER))
    steps = [_step(k, digits) for k in range(1, n + 1)]
    step = jnp.asarray(steps, dtype)[live - 1]
    chunks = jnp.ceil((last - first) / (step * CHUNK))
    return Race(
        heads=heads,
        tail=tail,
        first=first,
        step=step,
        chunks=chunks.astype(jnp.int32),
    )


def _step(n: int, digits: float) -> float:
    """The widest step at which the trapezoid rule sums t^n e^-t dlog t to rounding.

    Its error is |Gamma(n + 2 pi i / step)| / Gamma(n).
    """
    widest = np.linspace(1, 0.1, 91)
    omega = 2 * np.pi / widest
    factors = sum(np.log1p((omega / k) ** 2) / 2 for k in range(1, n))
    size = np.log(2 * np.pi * omega) / 2 - np.pi * omega / 2 + factors
    return float(widest[np.argmax(size + np.log(2) < -digits)])


def slopes(race: Race, low: Low, n: int, live: Count) -> Low:
    """The derivatives at each point of P(the first `live` arrivals are all low).

    Args:
      race: who races.
      low: how likely tokens are to be low, at M points.
      n: the largest number of drafts; static.
      live: in [1, n], the number of drafts.

    Returns:
      The derivative in each number of `low`.

    Cost: H x n x nodes in t, for each point.
    """

    def add(chunk: Count, sums: Low) -> Low:
        times = _times(race, chunk)

        def integral(low: Low) -> Scalar:
            return race.step * jnp.sum(_density(race, times, low, n, live))

        part = jax.grad(integral)(low)
        added: Low = jax.tree.map(jnp.add, sums, part)
        return added

    nothing: Low = jax.tree.map(jnp.zeros_like, low)
    found: Low = jax.lax.fori_loop(0, race.chunks, add, nothing)
    return found


def remainder(
    race: Race,
    tail: Law,
    order: int,
    n: int,
    live: Count,
) -> Scalar:
    """A bound of what the series leaves out of the derivatives.

    It covers the sum over all tokens, each at any level.

    1. Let G(z) be the series of arrivals if all are low. Let E(z) and L(z) bound, coefficient by
       coefficient, what is left out of log G and of the sum of q_j / (1 + z w_j).
    2. The integral is then wrong by [z^(n-1)] (E G' + L G) at most, summed over t. It is
       homogeneous of degree n in the F_j, so its derivatives together are wrong by n times that
       (Euler).
    3. Let y = q t. (w / y)^k grows at most k times as fast as it is large, term by term. So what
       lies beyond a power of y in w^k is at most its next term times e^{k y}, with the y of the
       fastest token.
    4. Twice this covers e^E - 1 - E.

    Args:
      race: who races.
      tail: [V], rates, 0 for those that enter one by one; these are no slower.
      order: of the series.
      n: the largest number of drafts; static.
      live: in [1, n], the number of drafts.
    """
    k = np.arange(n)
    fastest = jnp.max(tail)
    beyond = total(tail ** (order + 1))
    sums = [total(tail**power) for power, _ in terms(order)]
    everyone = Low(jnp.ones_like(race.heads)[:, None], jnp.stack(sums)[:, None])

    def next_term(power: int, t: Times) -> Float[Array, "n K"]:
        coefficients = [_taylor(j, max(j, power)) for j in range(n)]
        y = fastest * t[:, None]
        powers = y ** np.maximum(k - power, 0)
        return (jnp.asarray(coefficients, t.dtype) * powers * jnp.exp(k * y)).T

    def add(chunk: Count, left_out: Scalar) -> Scalar:
        t = _times(race, chunk)
        before = jnp.maximum(live - 1 - k, 0)
        arrivals = _arrivals(race, t, everyone, n)
        so_far = arrivals.so_far[before, :, 0]
        ending = arrivals.ending[before, :, 0]
        of_log = next_term(order + 1, t) / np.maximum(k, 1)[:, None]
        of_rate = next_term(order, t)
        both = (of_log * ending + of_rate * so_far) * beyond * t ** (order + 1)
        counted = jnp.where((k < live)[:, None], both, 0)
        return left_out + race.step * jnp.sum(counted)

    bound: Scalar = jax.lax.fori_loop(0, race.chunks, add, jnp.zeros_like(beyond))
    return 2 * n * bound


def _times(race: Race, chunk: Count) -> Times:
    """The CHUNK nodes of a chunk."""
    places = chunk * CHUNK + jnp.arange(CHUNK)
    return jnp.exp(race.first + race.step * places).astype(race.heads.dtype)


def _density(
    race: Race,
    times: Times,
    low: Low,
    n: int,
    live: Count,
) -> AtPoints:
    """The density of the `live`-th arrival, all arrivals being low.

    It is the probability that the first `live` - 1 arrivals come by t, that the next one comes at
    t, and that all are low; per unit of log t.
    """
    arrivals = _arrivals(race, times, low, n)
    return jnp.take(arrivals.ending, live - 1, axis=0)


def _arrivals(race: Race, times: Times, low: Low, n: int) -> _Arrivals:
    """Who has arrived by these times: the crowd, and then the leads one by one."""
    leads = min(LEADS * n, race.heads.shape[0])
    t = times[:, None]

    def join(before: _Arrivals, lead: tuple[Scalar, Array]) -> tuple[_Arrivals, None]:
        rate, chance = lead
        age = jnp.minimum(rate * t, AGES)
        waits = jnp.exp(-age)
        comes = -jnp.expm1(-age) * chance
        last = age * jnp.exp(-age) * chance
        so_far = before.so_far * waits + comes * _later(before.so_far, 0)
        ending = before.ending * waits + comes * _later(before.ending, 0)
        return _Arrivals(so_far, ending + last * before.so_far), None

    crowd = race._replace(heads=race.heads[leads:])
    of_crowd = Low(low.heads[leads:], low.tail)
    of_leads = (race.heads[:leads], low.heads[:leads])
    arrivals, _ = jax.lax.scan(join, _crowd(crowd, t, of_crowd, n), of_leads)
    return arrivals


def _later(series: Series, first: AtPoints | int) -> Series:
    """The series times z, and `first` before it."""
    start = jnp.broadcast_to(first, series[:1].shape)
    return jnp.concatenate([start, series[:-1]])


def _crowd(race: Race, t: Column, low: Low, n: int) -> _Arrivals:
    """Many tokens at once: log prod (1 + z F_j w_j) by the power sums of F_j w_j.

    The derivative of the logarithm in z has the coefficients (-1)^k sum_j (F_j w_j)^(k + 1), from
    which the coefficients of the product follow one after the other.
    """
    slowest = LATE / jnp.maximum(race.tail, FAINT)
    fastest = SOON / jnp.max(race.heads, initial=FAINT)
    t = jnp.minimum(t, jnp.minimum(slowest, fastest))
    w = jnp.expm1(race.heads * t)
    signs = [(-1.0) ** k for k in range(n)]
    sign = jnp.asarray(signs, t.dtype)[:, None, None]
    powers_of_w = jnp.stack([w**k for k in range(n)])
    powers_of_f = jnp.stack([low.heads**k for k in range(n)])
    of_heads = low.heads * powers_of_f
    of_tail = _tail_sums(low.tail, t, n)
    # k + 1 times the coefficient of z^(k + 1)
    slope = sign * (dot(w * powers_of_w, of_heads) + of_tail.whole)
    last = sign * (dot(race.heads * t * powers_of_w, of_heads) + of_tail.last)

    def grow(newest: Series, count: Scalar) -> tuple[Series, tuple[AtPoints, AtPoints]]:
        following = _later(newest, jnp.sum(slope * newest, 0) / count)
        so_far = newest[0]
        ending = jnp.sum(last * newest, 0)
        return following, (so_far, ending)

    rate = race.tail + jnp.sum(race.heads)
    nobody = jnp.exp(-rate * t) + jnp.zeros_like(low.tail[0])
    begin = _later(jnp.zeros_like(slope), nobody)
    counts = jnp.arange(1, n + 1, dtype=t.dtype)
    _, (so_far, ending) = jax.lax.scan(grow, begin, counts)
    return _Arrivals(so_far, ending)


def _tail_sums(tail: PowerSums, t: Column, n: int) -> _TailSums:
    """The sums over the tail, by Taylor's series of w = e^{q t} - 1 and the sums of q^l F^k."""
    order = (math.isqrt(8 * len(tail) + 1) - 1) // 2
    known = terms(order)
    whole = np.zeros((n, len(tail)))
    last = np.zeros((n, len(tail)))
    for place, (power, k) in enumerate(known):
        if k <= n:
            whole[k - 1, place] = _taylor(k, power)
            last[k - 1, place] = _taylor(k - 1, power - 1)
    times = jnp.concatenate([t**power for power, _ in known], 1)
    of_whole = jnp.asarray(whole, t.dtype)[:, None] * times
    of_last = jnp.asarray(last, t.dtype)[:, None] * times
    return _TailSums(dot(of_whole, tail), dot(of_last, tail))


@functools.cache
def _taylor(k: int, power: int) -> float:
    """The coefficient of y^power in (e^y - 1)^k."""
    signed = [(-1) ** (k - i) * math.comb(k, i) * i**power for i in range(k + 1)]
    return float(sum(signed) / math.factorial(power))

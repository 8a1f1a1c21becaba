"""P(all drafts without replacement are low) where every token is low or not by its own coin, and its derivatives.

Token j arrives at rate q_j and is low with probability F_j, independently. By time t no high token has arrived and k low ones have with
the probability [z^k] prod_j ((1 - y_j) + z F_j y_j), y_j = 1 - e^{-q_j t}; the n-th draft is j, all being low, at the rate
q_j (1 - y_j) F_j [z^(n-1)] prod_{i != j}. Their integral over t, by the trapezoid rule in log t, is linear in every F_j, and its
derivative in F_j is the probability that j is drafted and all other drafts are low. Likely tokens (heads) enter one by one, the others by
sums of their powers: a series of third order in q t.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Float

from specjax._types import Count, Scalar
from specjax.numerics import dot

LATE = 60.0  # e^-60 is nothing
LEADS = 2  # times n tokens enter one by one: by the time at which it matters, the next one has hardly come
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
      tail: [6, M], sums over the others of q F, q^2 F, q^2 F^2, q^3 F, q^3 F^2 and q^3 F^3.
    """

    heads: Float[Array, "H M"]
    tail: Float[Array, "6 M"]


def race(heads: Float[Array, " H"], tail: Scalar, n: int, live: Count) -> Race:
    """Nodes that see both the first and the `live`-th arrival: t^live is rounding at the first, and all have come by the last."""
    digits = -float(np.log(jnp.finfo(heads.dtype).eps))
    ranked = -jnp.sort(-heads)
    waiting = tail + jnp.sum(jnp.where(jnp.arange(heads.shape[0]) >= live - 1, ranked, 0))  # what is left for the last draft
    first = (jax.lax.lgamma(jnp.asarray(live, heads.dtype)) - digits) / live - jnp.log(tail + jnp.sum(heads))
    last = jnp.log((digits + 2 * live) / jnp.maximum(waiting, 1e-30))
    step = jnp.asarray([_step(k, digits) for k in range(1, n + 1)], heads.dtype)[live - 1]
    return Race(heads, tail, first, step, jnp.ceil((last - first) / (step * CHUNK)).astype(jnp.int32))


def _step(n: int, digits: float) -> float:
    """The widest step at which the trapezoid rule sums t^n e^-t dlog t to rounding: its error is |Gamma(n + 2 pi i / step)| / Gamma(n)."""
    widest = np.linspace(1, 0.1, 91)
    omega = 2 * np.pi / widest
    size = np.log(2 * np.pi * omega) / 2 - np.pi * omega / 2 + sum(np.log1p((omega / k) ** 2) / 2 for k in range(1, n))
    return float(widest[np.argmax(size + np.log(2) < -digits)])


def slopes(race: Race, low: Low, n: int, live: Count) -> Low:
    """The derivatives at each point of P(the first `live` <= n arrivals are all low)."""

    def add(chunk: Count, sums: Low) -> Low:
        t = jnp.exp(race.first + race.step * (chunk * CHUNK + jnp.arange(CHUNK)))
        part = jax.grad(lambda low: race.step * jnp.sum(_density(race, t.astype(race.heads.dtype), low, n, live)))(low)
        return jax.tree.map(jnp.add, sums, part)

    return jax.lax.fori_loop(0, race.chunks, add, jax.tree.map(jnp.zeros_like, low))


class _Arrivals(NamedTuple):
    """n series in z, at K times and M points.

    Attributes:
      so_far: coefficient k is P(k arrivals by t, all low).
      ending: the rate at which one more arrives that is low.
    """

    so_far: Float[Array, "n K M"]
    ending: Float[Array, "n K M"]


def _density(race: Race, times: Float[Array, " K"], low: Low, n: int, live: Count) -> Float[Array, "K M"]:
    """The chance that the first `live` - 1 arrivals come by t and are low and that the next comes then and is low, per unit of log t."""
    leads, t = min(LEADS * n, race.heads.shape[0]), times[:, None]

    def join(one: _Arrivals, lead: tuple[Array, Array]) -> tuple[_Arrivals, None]:
        rate, chance = lead
        waits, comes, last = jnp.exp(-rate * t), -jnp.expm1(-rate * t) * chance, rate * jnp.exp(-rate * t) * chance
        so_far, ending = (series * waits + comes * _later(series, 0) for series in one)
        return _Arrivals(so_far, ending + last * one.so_far), None

    crowd = race._replace(heads=race.heads[leads:])
    arrivals, _ = jax.lax.scan(join, _crowd(crowd, t, Low(low.heads[leads:], low.tail), n), (race.heads[:leads], low.heads[:leads]))
    return t * jnp.take(arrivals.ending, live - 1, axis=0)


def _later(series: Float[Array, "n K M"], first: Float[Array, "K M"] | int) -> Float[Array, "n K M"]:
    """The series times z, and `first` before it."""
    return jnp.concatenate([jnp.broadcast_to(first, series[:1].shape), series[:-1]])


def _crowd(race: Race, t: Float[Array, "K 1"], low: Low, n: int) -> _Arrivals:
    """Many tokens at once: log prod (1 + z F_j w_j) by the power sums of F_j w_j, w_j = e^{q_j t} - 1; the tail's to third order in t."""
    s1, s2, s22, s3, s32, s33 = low.tail
    t = jnp.minimum(t, jnp.minimum(LATE / jnp.maximum(race.tail, FAINT), SOON / jnp.max(race.heads, initial=FAINT)))
    once, sign = jnp.expm1(race.heads * t), jnp.asarray([(-1.0) ** k for k in range(n)], t.dtype)[:, None, None]
    odds, chances = (jnp.stack([series**k for k in range(n)]) for series in (once, low.heads))
    of_tail = jnp.stack([t * s1 + t**2 * s2 / 2 + t**3 * s3 / 6, -(t**2 * s22 + t**3 * s32), t**3 * s33])[:n]
    last_of_tail = jnp.stack([s1 + 0 * t, -(t * s22 + t**2 * s32 / 2), t**2 * s33])[:n]
    slope = (sign * dot(once * odds, low.heads * chances)).at[:3].add(of_tail)  # k + 1 times the coefficient of z^(k + 1)
    last = (sign * dot(race.heads * odds, low.heads * chances)).at[:3].add(last_of_tail)

    def grow(newest: Array, count: Array) -> tuple[Array, tuple[Array, Array]]:
        return _later(newest, jnp.sum(slope * newest, 0) / count), (newest[0], jnp.sum(last * newest, 0))

    nobody = jnp.exp(-(race.tail + jnp.sum(race.heads)) * t) + jnp.zeros_like(s1)
    _, arrivals = jax.lax.scan(grow, _later(jnp.zeros_like(slope), nobody), jnp.arange(1, n + 1, dtype=t.dtype))
    return _Arrivals(*arrivals)

"""Drafts without replacement as an exponential race.

Token i arrives at rate q_i, and the first n tokens to arrive are the drafts.
Let a be the q mass outside a set H. Then

    P(all n drafts in H) = integral_0^inf a e^{-a t} P(n or more of H have arrived by t) dt,

which the trapezoid rule sums in log t. A state [n + 1, K] holds, at each of the K nodes, P(0), ...,
P(n - 1), P(n or more) arrivals.
"""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Bool, Float

from specjax._types import Law, Scalar
from specjax.numerics import divide, top_tokens, total

LATE = 60  # e^-60 is nothing
NEVER = 1e-30  # a slower draft
# tokens that join one by one; the others are so small beside them that a series of third order in q
# t is enough
HEAD = 128

Masses = Float[Array, "..."]
AtNodes = Float[Array, "... K"]
State = Float[Array, "... counts K"]


class Clock(NamedTuple):
    """The nodes of the trapezoid rule.

    Attributes:
      times: [K].
      step: of log t.
    """

    times: Float[Array, " K"]
    step: Scalar


class PowerSums(NamedTuple):
    """Sums over the same tokens.

    Attributes:
      q1: of q.
      q2: of q^2.
      q3: of q^3.
    """

    q1: Masses
    q2: Masses
    q3: Masses


def clock(q: Law, n: int) -> Clock:
    """From before the first to after the n-th arrival of a race with these rates.

    The error depends on the q mass left to the n-th draft. It is at most 1e-10 in float64 and 3e-7
    in float32 while this mass is above 1e-10 and n is at most 8. Two arrivals before the first node
    have probability e^-24 at most in float64, and e^-16 in float32. Below 1e-10 the error grows
    slowly; tests hold it to 1e-9 and 2e-6 at 1e-30.
    """
    wide = q.dtype.itemsize > 4
    first = -12.0 if wide else -8.0
    count = 128 if wide else 72
    largest = top_tokens(q, min(n - 1, q.shape[0]))
    waiting = total(q.at[largest].set(0))
    waiting = jax.lax.stop_gradient(waiting)
    last = jnp.log(2 * LATE / jnp.maximum(waiting, NEVER))
    step = (last - first) / (count - 1)
    places = jnp.arange(count, dtype=q.dtype)
    return Clock(jnp.exp(first + step * places), step)


def start(n: int, clock: Clock) -> State:
    """The state in which nobody has arrived."""
    nothing = jnp.zeros((n + 1, clock.times.size), clock.times.dtype)
    return nothing.at[0].set(1)


def arrive(state: State, q: Masses, clock: Clock) -> State:
    """One more token of rate q joins the race, in every row of the batch."""
    arrived = -jnp.expm1(-q[..., None] * clock.times)
    moved = state[..., :-1, :] * arrived[..., None, :]
    stayed = state.at[..., :-1, :].add(-moved)
    return stayed.at[..., 1:, :].add(moved)


def merge(one: State, other: State) -> State:
    """The state of two disjoint sets of tokens together."""
    n = one.shape[-2] - 1
    few = []
    for k in range(n):
        ways = [one[..., j, :] * other[..., k - j, :] for j in range(k + 1)]
        few.append(sum(ways))
    others = [one[..., j, :] * jnp.sum(other[..., n - j :, :], -2) for j in range(n)]
    many = one[..., n, :] + sum(others)
    return jnp.stack([*few, many], -2)


def late(reached: AtNodes, outside: Masses, clock: Clock) -> Masses:
    """P(a token outside the set is among the drafts) = 1 - integral a e^{-a t} r(t) dt.

    Here a is the rate of the tokens outside, and r(t) is `reached`: P(n or more of the set have
    arrived by t). The nodes end at a time T. If a is small, much of the integral lies beyond T. So
    a smooth part of r is integrated exactly:

      s(t) = (1 - e^{-t/b})^2, b = T / LATE, which is 1 at T,
      integral a e^{-a t} s(t) dt = 2 / ((1 + a b) (2 + a b)).

    The trapezoid rule sums a e^{-a t} (r(t) - s(t)) alone.

    Args:
      reached: [..., K], r at the nodes.
      outside: [...], the rate of the tokens outside.
      clock: the nodes.

    Returns:
      [...], probabilities.
    """
    times = clock.times
    b = times[-1] / LATE
    rate = outside[..., None] * times
    density = rate * jnp.exp(-rate)
    smooth = jnp.expm1(-times / b) ** 2
    by_nodes = clock.step * jnp.sum(density * (reached - smooth), -1)
    exact = 2 / ((1 + outside * b) * (2 + outside * b))
    miss_probability = jnp.clip(1 - exact - by_nodes, 0, 1)
    return jnp.where(outside > 0, miss_probability, 0)


def series(sums: PowerSums, n: int, clock: Clock) -> list[AtNodes]:
    """P(exactly k of many small tokens have arrived), for k < n.

    The logarithm of the generating function, with y = q t, is a sum over the tokens::

      log prod (1 + z (e^y - 1))
        = z (y + y^2/2 + y^3/6) - z^2 (y^2 + y^3) / 2 + z^3 y^3 / 3 + O(y^4)

    Its derivative in z gives the probabilities one after the other.
    """
    times = clock.times
    q1 = sums.q1[..., None]
    mass = jnp.where(sums.q1 > 0, sums.q1, 1)[..., None]
    second = sums.q2[..., None] / mass * times
    third = sums.q3[..., None] / mass * times * times
    # sums of y, y^2 and y^3; what is beyond LATE has arrived
    y1 = jnp.minimum(q1 * times, LATE)
    y2 = y1 * jnp.minimum(second, y1)
    y3 = y1 * jnp.minimum(third, y1**2)
    # k times the coefficient of z^k in the logarithm
    slopes = [y1 + y2 / 2 + y3 / 6, -y2 - y3, y3]
    few = [jnp.exp(-y1)]
    for k in range(1, n):
        grown = jnp.zeros_like(y1)
        for j in range(1, min(k, 3) + 1):
            grown = grown + slopes[j - 1] * few[k - j]
        few.append(grown / k)
    return few


def remainder(q: Law, n: int) -> Scalar:
    """A bound of what `series` leaves out of P(a draft lies outside H).

    It holds for any H that has tokens beyond the HEAD largest. The term of fourth order in q t has
    the coefficients (z - 7 z^2 + 12 z^3 - 6 z^4) / 24, 26 / 24 in all. The time t is that of a
    race: Poisson arrivals of mass s stay below n while the outside, 1 - s, waits. This gives

      integral (1 - s) e^-t t^4 sum_k<n (s t)^k / k! dt.

    Time is counted in the pace of all but the n - 1 largest. In tests the bound is 50 times the
    true error and more.
    """
    size = q.shape[0]
    s = np.linspace(0, 1, 65)
    waits = [s**k * math.prod(range(k + 1, k + 5)) for k in range(n)]
    delay = (1 - s) * sum(waits)
    top = top_tokens(q, min(HEAD, size))
    # a slice of a top_k is compiled to a sort of V
    slots = jnp.arange(len(top))
    largest = jnp.where(slots < n - 1, top, size)
    pace = total(q.at[largest].set(0, mode="drop"))
    small = divide(q.at[top].set(0), pace)
    return 26 / 24 * float(delay.max()) * total(small**4)


def together(head: State, tail: list[AtNodes]) -> AtNodes:
    """P(n or more have arrived) of a head with this state and a tail with these probabilities."""
    n = len(tail)
    below = jnp.zeros_like(tail[0])
    fewer = jnp.zeros_like(tail[0])
    for k in range(n):
        fewer = fewer + tail[k]  # P(at most k of the tail)
        below = below + head[..., n - 1 - k, :] * fewer
    return jnp.clip(1 - below, 0, 1)


def missed_by(q: Law, inside: Bool[Array, " V"], n: int) -> Scalar:
    """P(a draft lies outside a set), differentiable in q for a fixed set.

    Cost: three passes over V and HEAD small steps.
    """
    ticks = clock(q, n)

    def join(state: State, rate: Scalar) -> tuple[State, None]:
        return arrive(state, rate, ticks), None

    top = top_tokens(q, min(HEAD, q.shape[0]))
    held = jnp.where(inside, q, 0)
    head, _ = jax.lax.scan(join, start(n, ticks), held[top])
    tail = held.at[top].set(0)
    sums = PowerSums(total(tail), total(tail**2), total(tail**3))
    few = series(sums, n, ticks)
    outside = total(jnp.where(inside, 0, q))
    return late(together(head, few), outside, ticks)

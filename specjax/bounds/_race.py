"""Drafts without replacement as an exponential race: token i arrives at rate q_i, and the first n
to arrive are the drafts.

With a the q mass outside a set H, P(all n drafts in H) = integral_0^inf a e^{-a t} P(n or more of H
have arrived by t) dt, by the trapezoid rule in log t. A state [n + 1, K] holds, at each of the K
nodes, P(0), ..., P(n - 1), P(n or more) arrivals.
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

State = Float[Array, "... counts K"]


class Clock(NamedTuple):
    """The nodes of the trapezoid rule.

    Attributes:
      times: [K].
      step: of log t.
    """

    times: Float[Array, " K"]
    step: Scalar


def clock(q: Law, n: int) -> Clock:
    """From before the first to after the n-th arrival of a race with these rates.

    In float64 the error is below 1e-10 for n to 8 while the n-th draft has 1e-10 of q to come from,
    and two arrivals before the first node have probability e^-24 at most; in float32 3e-7, and
    e^-16. Beyond that it grows slowly; tests hold it to 1e-9 and 2e-6 at 1e-30.
    """
    wide = q.dtype.itemsize > 4
    first = -12.0 if wide else -8.0
    count = 128 if wide else 72
    largest = top_tokens(q, min(n - 1, q.shape[0]))
    waiting = jax.lax.stop_gradient(total(q.at[largest].set(0)))
    last = jnp.log(2 * LATE / jnp.maximum(waiting, NEVER))
    step = (last - first) / (count - 1)
    places = jnp.arange(count, dtype=q.dtype)
    return Clock(jnp.exp(first + step * places), step)


def start(n: int, clock: Clock) -> State:
    """Nobody has arrived."""
    nothing = jnp.zeros((n + 1, clock.times.size), clock.times.dtype)
    return nothing.at[0].set(1)


def arrive(state: State, q: Float[Array, "..."], clock: Clock) -> State:
    """One more token of rate q joins the race, in every row of the batch."""
    arrived = -jnp.expm1(-q[..., None] * clock.times)
    moved = state[..., :-1, :] * arrived[..., None, :]
    left = state.at[..., :-1, :].add(-moved)
    return left.at[..., 1:, :].add(moved)


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


def late(
    reached: Float[Array, "... K"], outside: Float[Array, "..."], clock: Clock
) -> Float[Array, "..."]:
    """P(the outside, of rate a, has a token among the drafts) = 1 - integral a e^{-a t} r(t) dt.

    Here r(t) is `reached`: P(n or more of the set have arrived by t). The nodes end at a time T. A
    slower outside would lose what comes after T, so that a smooth part is integrated exactly:

      s(t) = (1 - e^{-t/b})^2, b = T / LATE, which is 1 at T,
      integral a e^{-a t} s(t) dt = 2 / ((1 + a b) (2 + a b)),

    and the trapezoid rule sums a e^{-a t} (r(t) - s(t)) alone.
    """
    rate = outside[..., None] * clock.times
    density = rate * jnp.exp(-rate)
    b = clock.times[-1] / LATE
    smooth = jnp.expm1(-clock.times / b) ** 2
    by_nodes = clock.step * jnp.sum(density * (reached - smooth), -1)
    exact = 2 / ((1 + outside * b) * (2 + outside * b))
    miss_probability = jnp.clip(1 - exact - by_nodes, 0, 1)
    return jnp.where(outside > 0, miss_probability, 0)


def series(
    s1: Float[Array, "..."],
    s2: Float[Array, "..."],
    s3: Float[Array, "..."],
    n: int,
    clock: Clock,
) -> list[Float[Array, "... K"]]:
    """P(exactly k of many small tokens have arrived), k < n, from the sums of q, q^2 and q^3.

    log prod (1 + z (e^y - 1)) = z (y + y^2/2 + y^3/6) - z^2 (y^2 + y^3) / 2 + z^3 y^3 / 3 + O(y^4),
    y = q t, summed over tokens.
    """
    nodes = clock.times
    mass = jnp.where(s1 > 0, s1, 1)[..., None]
    second = s2[..., None] / mass * nodes
    third = s3[..., None] / mass * nodes * nodes
    # sums of y, y^2 and y^3; what is beyond LATE has arrived
    y1 = jnp.minimum(s1[..., None] * nodes, LATE)
    y2 = y1 * jnp.minimum(second, y1)
    y3 = y1 * jnp.minimum(third, y1**2)
    slopes = [y1 + y2 / 2 + y3 / 6, -y2 - y3, y3]  # k times the coefficient of z^k in the logarithm
    few = [jnp.exp(-y1)]
    for k in range(1, n):
        grown = jnp.zeros_like(y1)
        for j in range(1, min(k, 3) + 1):
            grown = grown + slopes[j - 1] * few[k - j]
        few.append(grown / k)
    return few


def remainder(q: Law, n: int) -> Scalar:
    """What `series` may leave out of P(a draft lies outside H), for any H that holds tokens beyond
    the HEAD largest.

    The term of fourth order in q t has coefficients (z - 7 z^2 + 12 z^3 - 6 z^4) / 24, 26 / 24 in
    all, and t is that of a race in which Poisson arrivals of mass s stay below n while the outside,
    1 - s, waits: integral (1 - s) e^-t t^4 sum_k<n (s t)^k / k! dt. Time is counted in the pace of
    all but the n - 1 largest. In tests it is 50 times the true error and more.
    """
    inside = np.linspace(0, 1, 65)
    waits = [inside**k * math.prod(range(k + 1, k + 5)) for k in range(n)]
    delay = (1 - inside) * sum(waits)
    top = top_tokens(q, min(HEAD, q.shape[0]))
    # a slice of a top_k is compiled to a sort of V
    largest = jnp.where(jnp.arange(len(top)) < n - 1, top, q.shape[0])
    pace = total(q.at[largest].set(0, mode="drop"))
    small = divide(q.at[top].set(0), pace)
    return 26 / 24 * float(delay.max()) * total(small**4)


def together(head: State, tail: list[Float[Array, "... K"]]) -> Float[Array, "... K"]:
    """P(n or more have arrived) of a head with this state and a tail with these probabilities."""
    below = jnp.zeros_like(tail[0])
    fewer = jnp.zeros_like(tail[0])
    for k in range(len(tail)):
        fewer = fewer + tail[k]  # P(at most k of the tail)
        below = below + head[..., len(tail) - 1 - k, :] * fewer
    return jnp.clip(1 - below, 0, 1)


def missed_by(q: Law, inside: Bool[Array, " V"], n: int) -> Scalar:
    """P(a draft lies outside a set), differentiable in q for a fixed set. Cost: three passes over V
    and HEAD small steps.
    """
    ticks = clock(q, n)

    def join(state: State, rate: Scalar) -> tuple[State, None]:
        return arrive(state, rate, ticks), None

    top = top_tokens(q, min(HEAD, q.shape[0]))
    held = jnp.where(inside, q, 0)
    head, _ = jax.lax.scan(join, start(n, ticks), held[top])
    tail = held.at[top].set(0)
    few = series(total(tail), total(tail**2), total(tail**3), n, ticks)
    outside = total(jnp.where(inside, 0, q))
    return late(together(head, few), outside, ticks)

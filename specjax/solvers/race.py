"""Drafts without replacement as an exponential race: token i arrives at rate q_i, and the first n to arrive are the drafts.

With a the q mass outside a set H, P(all n drafts in H) = integral_0^inf a e^{-a t} P(n or more of H have arrived by t) dt, by the
trapezoid rule in log t. A state [n + 1, K] holds, at each of the K nodes, P(0), ..., P(n - 1), P(n or more) arrivals.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Bool, Float

from specjax._types import Law, Scalar
from specjax.numerics import likeliest, total

LAST = 34.0  # an outside mass of 1e-13 has arrived by e^34
LATE = 60  # e^-60 is nothing
HEAD = 128  # tokens that join one by one; the others are so small beside them that a series of third order in q t is enough

State = Float[Array, "... counts K"]


def times(dtype: jnp.dtype) -> tuple[Float[Array, " K"], float]:
    """The nodes t and their step in log t.

    In float64 the error is below 1e-10 for n to 8, and two arrivals before the first node have probability e^-24 at most; in
    float32 3e-7, and e^-16.
    """
    first, step = (-12.0, 0.25) if jnp.dtype(dtype).itemsize > 4 else (-8.0, 1 / 3)
    return jnp.exp(jnp.asarray(np.arange(first, LAST + step, step), dtype)), step


def start(n: int, dtype: jnp.dtype) -> State:
    """Nobody has arrived."""
    return jnp.zeros((n + 1, times(dtype)[0].size), dtype).at[0].set(1)


def arrive(state: State, q: Float[Array, "..."]) -> State:
    """One more token of rate q joins the race, in every row of the batch."""
    moved = state[..., :-1, :] * -jnp.expm1(-q[..., None] * times(q.dtype)[0])[..., None, :]
    return state.at[..., :-1, :].add(-moved).at[..., 1:, :].add(moved)


def merge(one: State, other: State) -> State:
    """The state of two disjoint sets of tokens together."""
    n = one.shape[-2] - 1
    few = [sum(one[..., j, :] * other[..., k - j, :] for j in range(k + 1)) for k in range(n)]
    rest = [one[..., j, :] * jnp.sum(other[..., n - j :, :], -2) for j in range(n)]
    return jnp.stack([*few, one[..., n, :] + sum(rest)], -2)


def late(reached: Float[Array, "... K"], outside: Float[Array, "..."]) -> Float[Array, "..."]:
    """1 - integral a e^{-a t} reached(t) dt, reached = P(n or more of the set have arrived by t)."""
    nodes, step = times(outside.dtype)
    rate = outside[..., None] * nodes
    return jnp.where(outside > 0, jnp.clip(1 - step * jnp.sum(rate * jnp.exp(-rate) * reached, -1), 0, 1), 0)


def series(s1: Float[Array, "..."], s2: Float[Array, "..."], s3: Float[Array, "..."], n: int) -> list[Float[Array, "... K"]]:
    """P(exactly k of many small tokens have arrived), k < n, from the sums of q, q^2 and q^3.

    log prod (1 + z (e^y - 1)) = z (y + y^2/2 + y^3/6) - z^2 (y^2 + y^3) / 2 + z^3 y^3 / 3 + O(y^4), y = q t, summed over tokens.
    """
    nodes, _ = times(s1.dtype)
    mass = jnp.where(s1 > 0, s1, 1)[..., None]
    a1 = jnp.minimum(s1[..., None] * nodes, LATE)  # what is beyond has arrived
    a2 = a1 * jnp.minimum(s2[..., None] / mass * nodes, a1)
    a3 = a1 * jnp.minimum(s3[..., None] / mass * nodes * nodes, a1**2)
    c1, c2, c3 = a1 + a2 / 2 + a3 / 6, -a2 - a3, a3
    few = [jnp.exp(-a1)]
    for k in range(1, n):
        terms = [c * few[k - j] for j, c in enumerate((c1, c2, c3), 1) if j <= k]
        few.append(sum(terms, jnp.zeros_like(a1)) / k)
    return few


def together(head: State, tail: list[Float[Array, "... K"]]) -> Float[Array, "... K"]:
    """P(n or more have arrived) of a head with this state and a tail with these probabilities."""
    below = jnp.zeros_like(tail[0])
    fewer = jnp.zeros_like(tail[0])
    for k in range(len(tail)):
        fewer = fewer + tail[k]  # P(at most k of the tail)
        below = below + head[..., len(tail) - 1 - k, :] * fewer
    return jnp.clip(1 - below, 0, 1)


def missed_by(q: Law, inside: Bool[Array, " V"], n: int) -> Scalar:
    """P(a draft lies outside a set), differentiable in q for a fixed set. Cost: three passes over V and HEAD small steps."""
    top = likeliest(q, min(HEAD, q.shape[0]))
    held = jnp.where(inside, q, 0)
    head, _ = jax.lax.scan(lambda state, rate: (arrive(state, rate), None), start(n, q.dtype), held[top])
    tail = held.at[top].set(0)
    reached = together(head, series(total(tail), total(tail**2), total(tail**3), n))
    return late(reached, total(jnp.where(inside, 0, q)))

"""Drafts without replacement as an exponential race: token i arrives at rate q_i, and the first n to arrive are the drafts.

With a the q mass outside a set H, P(all n drafts in H) = integral_0^inf a e^{-a t} P(n or more of H have arrived by t) dt, by the
trapezoid rule in log t. A state [n + 1, K] holds, at each of the K nodes, P(0), ..., P(n - 1), P(n or more) arrivals.
"""

import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Float

STEP = 0.25
# e^-12: two arrivals before it have probability 4e-11 at most. e^34: an outside mass of 1e-13 has arrived by then.
LOG_TIMES = np.arange(-12, 34 + STEP, STEP)

State = Float[Array, "... counts K"]


def start(n: int, dtype: jnp.dtype) -> State:
    """Nobody has arrived."""
    return jnp.zeros((n + 1, LOG_TIMES.size), dtype).at[0].set(1)


def arrive(state: State, q: Float[Array, "..."]) -> State:
    """One more token of rate q joins the race, in every row of the batch."""
    times = jnp.exp(jnp.asarray(LOG_TIMES, q.dtype))
    moved = state[..., :-1, :] * -jnp.expm1(-q[..., None] * times)[..., None, :]
    return state.at[..., :-1, :].add(-moved).at[..., 1:, :].add(moved)


def merge(one: State, other: State) -> State:
    """The state of two disjoint sets of tokens together."""
    n = one.shape[-2] - 1
    few = [sum(one[..., j, :] * other[..., k - j, :] for j in range(k + 1)) for k in range(n)]
    rest = [one[..., j, :] * jnp.sum(other[..., n - j :, :], -2) for j in range(n)]
    return jnp.stack([*few, one[..., n, :] + sum(rest)], -2)


def inside(state: State, outside: Float[Array, "..."]) -> Float[Array, "..."]:
    """P(all n drafts lie in the set that has this state), the q mass `outside` it given; 1 where nothing is outside."""
    rate = outside[..., None] * jnp.exp(jnp.asarray(LOG_TIMES, outside.dtype))
    mass = STEP * jnp.sum(rate * jnp.exp(-rate) * state[..., -1, :], -1)
    return jnp.where(outside > 0, mass, 1)

"""Draws without replacement at several nodes at once, one after the other, at whichever node is next."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from specjax._types import RandomKey, Scalar
from specjax.numerics import draw, total

Urgency = Float[Array, " M"]


class Turns(NamedTuple):
    """The draws of one level [W], in the order in which they were made.

    Attributes:
      parents: the node at which each was drawn; tokens: what was drawn.
      log_q: log of the draft law's probability of the token.
      urgency: that of the node when it drew; -inf where no node had a draw left.
    """

    parents: Int[Array, " W"]
    tokens: Int[Array, " W"]
    log_q: Float[Array, " W"]
    urgency: Float[Array, " W"]

    @property
    def active(self) -> Bool[Array, " W"]:
        """Which were made."""
        return self.urgency > -jnp.inf


After = Callable[[Int[Array, ""], Int[Array, ""], Scalar, Scalar], Scalar]


def take(key: RandomKey, q: Float[Array, "M V"], urgency: Urgency, after: After, count: int) -> Turns:
    """`count` draws, each at the node of largest urgency, the first of equals; a node without a draw left has urgency -inf.

    Whether a node draws again is settled before it is known what it would draw: so whatever the urgencies follow from, its k-th draft,
    if there is one, is a draw from q without the k - 1 before.

    Args:
      urgency: [M], of the first draw at each node.
      after: (turn, node, its urgency, log of the q mass left) -> the urgency of its next draw.

    Cost: some three passes over a row of q for each draw.
    """
    uniforms = jax.random.uniform(key, (count,), q.dtype)

    def turn(i: Int[Array, ""], carry: tuple[Urgency, Turns]) -> tuple[Urgency, Turns]:
        urgency, turns = carry
        node = jnp.argmax(urgency).astype(jnp.int32)
        before = (turns.parents == node) & (jnp.arange(count) < i)
        rest = q[node].at[jnp.where(before, turns.tokens, q.shape[1])].set(0, mode="drop")
        token = draw(rest, uniforms[i])
        left = total(rest.at[token].set(0))
        rows = (node, token, jnp.minimum(jnp.log(rest[token]), 0), urgency[node])
        again = (left > 0) & (urgency[node] > -jnp.inf)
        following = jnp.where(again, after(i, node, urgency[node], jnp.log(left)), -jnp.inf)
        return urgency.at[node].set(following), Turns(*(column.at[i].set(value) for column, value in zip(turns, rows, strict=True)))

    places, nothing = jnp.zeros(count, jnp.int32), jnp.full(count, -jnp.inf, q.dtype)
    return jax.lax.fori_loop(0, count, turn, (urgency.astype(q.dtype), Turns(places, places, nothing, nothing)))[1]

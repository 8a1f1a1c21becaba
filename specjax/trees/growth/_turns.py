"""Draws without replacement at several nodes at once, one after the other, at whichever node is
next.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from specjax._types import RandomKey, Scalar
from specjax.numerics import blocks, pick, place, uniforms

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


def take(
    key: RandomKey,
    q: Float[Array, "M V"],
    urgency: Urgency,
    after: After,
    count: int,
) -> Turns:
    """`count` draws, each at the node of largest urgency, the first of equals; a node without a
    draw left has urgency -inf.

    Whether a node draws again is settled before it is known what it would draw: so whatever the
    urgencies follow from, its k-th draft, if there is one, is a draw from q without the k - 1
    before.

    Args:
      urgency: [M], of the first draw at each node.
      after: (turn, node, its urgency, log of the q mass left) -> the urgency of its next draw.

    Cost: one pass over q, and two rows of sqrt(V) for each draw: what is left of a node is kept as
    the sums of blocks of tokens, of which a draw changes one.
    """
    words = uniforms(key, (count,), q.dtype)
    rows = blocks(q)
    block = rows.shape[2]

    def turn(
        i: Int[Array, ""], carry: tuple[Urgency, Float[Array, "M rows"], Turns]
    ) -> tuple[Urgency, Float[Array, "M rows"], Turns]:
        urgency, sums, turns = carry
        node = jnp.argmax(urgency).astype(jnp.int32)
        row, rest = pick(sums[node], place(words[i], jnp.sum(sums[node])))
        before = (turns.parents == node) & (jnp.arange(count) < i) & (turns.tokens // block == row)
        entries = (
            rows[node, row].at[jnp.where(before, turns.tokens % block, block)].set(0, mode="drop")
        )
        column, _ = pick(entries, rest)
        sums = sums.at[node, row].set(jnp.sum(entries.at[column].set(0)))
        left = jnp.sum(sums[node])
        made = (
            node,
            (row * block + column).astype(jnp.int32),
            jnp.minimum(jnp.log(entries[column]), 0),
            urgency[node],
        )
        again = (left > 0) & (urgency[node] > -jnp.inf)
        following = jnp.where(again, after(i, node, urgency[node], jnp.log(left)), -jnp.inf)
        return (
            urgency.at[node].set(following.astype(q.dtype)),
            sums,
            Turns(*(past.at[i].set(new) for past, new in zip(turns, made, strict=True))),
        )

    places = jnp.zeros(count, jnp.int32)
    nothing = jnp.full(count, -jnp.inf, q.dtype)
    start = urgency.astype(q.dtype), jnp.sum(rows, -1), Turns(places, places, nothing, nothing)
    return jax.lax.fori_loop(0, count, turn, start)[2]

"""Draws without replacement at several nodes at once, each at the node of highest priority."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from specjax._types import Index, LevelLaws, RandomKey, Scalar
from specjax.numerics import blocks, pick, place, uniforms

Priority = Float[Array, " M"]
NextPriority = Callable[[Index, Index, Scalar, Scalar], Scalar]


class Draws(NamedTuple):
    """The draws of one level [W], in the order in which they were made.

    Attributes:
      parents: the node at which each token was drawn.
      tokens: the tokens.
      log_q: log of the draft law's probability of each token.
      priority: the priority of the node at its draw; -inf if no node had a draw left.
    """

    parents: Int[Array, " W"]
    tokens: Int[Array, " W"]
    log_q: Float[Array, " W"]
    priority: Float[Array, " W"]

    @property
    def active(self) -> Bool[Array, " W"]:
        """Which draws were made."""
        return self.priority > -jnp.inf


class _Carry(NamedTuple):
    """The state between two draws.

    Attributes:
      priority: the priority of the next draw at each node.
      sums: the q mass that is left in each block of tokens, for each node.
      draws: the draws so far.
    """

    priority: Priority
    sums: Float[Array, "M rows"]
    draws: Draws


def draw_by_priority(
    key: RandomKey,
    q: LevelLaws,
    priority: Priority,
    next_priority: NextPriority,
    count: int,
) -> Draws:
    """Make `count` draws without replacement, each at the node of highest priority.

    Of equal priorities the first node draws. A node without a draw left has priority -inf. Whether
    a node draws again is settled before it is known what it would draw. So the k-th draft of a
    node, if there is one, is a draw from q without the k - 1 drafts before, whatever the priorities
    depend on.

    Args:
      key: typed random key.
      q: the draft laws of the M nodes, [M, V].
      priority: the priority of the first draw at each node, [M].
      next_priority: the function (draw, node, its priority, log of the q mass left) -> the priority
        of the node's next draw.
      count: the number W of draws.

    Returns:
      The draws, in the order in which they were made.

    Cost: one pass over q, and two rows of sqrt(V) for each draw. The state of a node is the q mass
    left in each block of tokens, and a draw changes one block.

    Example:
      The priority is the log of Q(node) times the q mass left; Q is 0.6 at node 0, 0.4 at node 1.
      Draw 1 goes to node 0 (0.6), which keeps 0.6 * 0.5 = 0.3. Draw 2 goes to node 1 (0.4), which
      keeps 0.2. Draw 3 goes to node 0 again (0.3), which has one token left.

      >>> log_mass = jnp.log(jnp.array([0.6, 0.4]))
      >>> draws = draw_by_priority(
      ...     jax.random.key(0),
      ...     jnp.full((2, 2), 0.5),
      ...     log_mass,
      ...     lambda draw, node, priority, log_left: log_mass[node] + log_left,
      ...     3,
      ... )
      >>> draws.parents.tolist(), bool(draws.tokens[0] != draws.tokens[2])
      ([0, 1, 0], True)
    """
    words = uniforms(key, (count,), q.dtype)
    rows = blocks(q)
    block = rows.shape[2]

    def draw(i: Index, carry: _Carry) -> _Carry:
        draws = carry.draws
        node = jnp.argmax(carry.priority).astype(jnp.int32)
        own = carry.priority[node]
        mass = carry.sums[node]
        row, rest = pick(mass, place(words[i], jnp.sum(mass)))
        same_row = (draws.parents == node) & (draws.tokens // block == row)
        before = same_row & (jnp.arange(count) < i)
        gone = jnp.where(before, draws.tokens % block, block)  # beyond the end: dropped
        entries = rows[node, row].at[gone].set(0, mode="drop")
        column, _ = pick(entries, rest)
        kept = entries.at[column].set(0)
        sums = carry.sums.at[node, row].set(jnp.sum(kept))
        left = jnp.sum(sums[node])
        made = Draws(
            parents=node,
            tokens=(row * block + column).astype(jnp.int32),
            log_q=jnp.minimum(jnp.log(entries[column]), 0),
            priority=own,
        )
        following = next_priority(i, node, own, jnp.log(left))
        again = (left > 0) & (own > -jnp.inf)
        following = jnp.where(again, following, -jnp.inf)
        return _Carry(
            priority=carry.priority.at[node].set(following.astype(q.dtype)),
            sums=sums,
            draws=jax.tree.map(lambda past, new: past.at[i].set(new), draws, made),
        )

    places = jnp.zeros(count, jnp.int32)
    nothing = jnp.full(count, -jnp.inf, q.dtype)
    start = _Carry(
        priority=priority.astype(q.dtype),
        sums=jnp.sum(rows, -1),
        draws=Draws(places, places, nothing, nothing),
    )
    last: _Carry = jax.lax.fori_loop(0, count, draw, start)
    return last.draws

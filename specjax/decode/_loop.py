"""The loop of a decode, for one text or a batch."""

from collections.abc import Callable
from typing import TypeVar

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Bool

from specjax._types import Count
from specjax.decode._state import DecodeState
from specjax.numerics.batches import largest_in_batch

Info = TypeVar("Info")


def run(
    step: Callable[[DecodeState], tuple[DecodeState, Info]],
    state: DecodeState,
    rows: int,
    most: Count,
) -> tuple[DecodeState, Count, Info]:
    """Repeat a step until the state is done.

    All rows of a batch step together, until the last one is done.

    Args:
      step: the function from a state to the next state and its record; of a state that is done it
        leaves the text and the committed rows as they are.
      state: the first state.
      rows: the number of rows in the table of records, static.
      most: the largest number of steps, at most `rows`; one number for a whole batch.

    Returns:
      The last state, the number of steps made before it was done, and their records [rows, ...].
    """
    records = jax.tree.map(
        lambda row: jnp.zeros((rows, *row.shape), row.dtype), jax.eval_shape(step, state)[1]
    )

    def unfinished(carry: tuple[DecodeState, Count, Count, Info]) -> Bool[Array, ""]:
        state, turn, _, _ = carry
        return jnp.logical_and(largest_in_batch(~state.done), turn < most)

    def go(
        carry: tuple[DecodeState, Count, Count, Info],
    ) -> tuple[DecodeState, Count, Count, Info]:
        before, turn, steps, records = carry
        state, row = step(before)
        records = jax.tree.map(
            lambda table, value: table.at[turn].set(
                jnp.where(before.done, jnp.zeros_like(value), value)
            ),
            records,
            row,
        )
        return state, turn + 1, steps + ~before.done, records

    start = state, jnp.int32(0), jnp.int32(0), records
    state, _, steps, records = jax.lax.while_loop(unfinished, go, start)
    return state, steps, records

"""What the rows of a batch settle together."""

import jax.numpy as jnp
from jax import Array
from jax.custom_batching import custom_vmap


@custom_vmap
def largest_in_batch(value: Array) -> Array:
    """The largest of a number in all rows of a batch; of flags, whether one is set.

    The answer is no batch itself. So a switch on it stays a switch, where a batch of choices would
    compute every branch. And a loop on it turns for all rows at once: a loop on a flag of each row
    would copy all that it carries at every turn, to keep the rows that are done.

    Args:
      value: a number or a flag.

    Returns:
      The value outside a `vmap`, the largest inside.
    """
    return value


@largest_in_batch.def_vmap
def _(size: int, batched: list[bool], values: Array) -> tuple[Array, bool]:
    return largest_in_batch(jnp.max(values)), False

"""Prompts in arrays of few sizes, so that texts of similar length share their programs."""

import jax.numpy as jnp
from jax import Array
from jaxtyping import Int

SMALLEST = 64


def bucket(rows: int) -> int:
    """The least of 64, 128, 256, .. that is no less than `rows`.

    Example:
      >>> from specjax import decode
      >>> decode.bucket(65)
      128
    """
    return max(SMALLEST, 1 << (rows - 1).bit_length())


def padded(prompts: list[list[int]]) -> tuple[Int[Array, "B P"], Int[Array, " B"]]:
    """Prompts as one array, padded to the bucket of the longest, and their lengths.

    Args:
      prompts: token ids, at least one in each prompt.

    Returns:
      The ids [B, P] and the lengths [B].

    Raises:
      ValueError: a prompt has no token.

    Example:
      >>> from specjax import decode
      >>> ids, lengths = decode.padded([[1] * 70, [2]])
      >>> ids.shape, lengths.tolist()
      ((2, 128), [70, 1])
    """
    if not prompts or not min(map(len, prompts)):
        raise ValueError("a prompt has no token")
    lengths = [len(tokens) for tokens in prompts]
    size = bucket(max(lengths))
    rows = [tokens + [0] * (size - len(tokens)) for tokens in prompts]
    return jnp.array(rows, jnp.int32), jnp.array(lengths, jnp.int32)

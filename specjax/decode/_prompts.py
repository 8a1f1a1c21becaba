"""Prompts in arrays of few sizes, so that texts of similar length share their programs."""

from collections.abc import Sequence

import jax.numpy as jnp
from jax import Array
from jaxtyping import Int

from specjax.models import Pair, longest

SMALLEST = 64


def bucket(rows: int) -> int:
    """The least of 64, 128, 256, .. that is no less than `rows`.

    Example:
      >>> from specjax import decode
      >>> decode.bucket(65)
      128
    """
    return max(SMALLEST, 1 << (rows - 1).bit_length())


def encoded(pair: Pair, texts: Sequence[str], budget: int) -> list[list[int]]:
    """The token ids of prompts, which leave room for `budget` tokens.

    Args:
      pair: target and draft model.
      texts: the prompts.
      budget: the largest number of tokens that may follow.

    Returns:
      The ids of each text.

    Raises:
      ValueError: a text has no token, or is too long for a model that states its `longest`.
    """
    room = min(longest(pair.target), longest(pair.draft))
    found = [pair.tokenizer.encode(text) for text in texts]
    for text, tokens in zip(texts, found, strict=True):
        if not tokens:
            raise ValueError(f"a prompt has no token: {text!r}")
        if len(tokens) + budget > room:
            raise ValueError(
                f"a prompt of {len(tokens)} tokens and {budget} more are too long: the models take "
                f"{room} in all; it begins {text[:40]!r}"
            )
    return found


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

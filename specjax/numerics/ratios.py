"""p/q as integers that are ordered as it is.

Bit patterns of non-negative floats are ordered like the floats. So every set {p/q < edge} is
exactly a set {key < edge}, and even ranges of keys are ranges of p/q in equal steps of its
logarithm, nearly.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int, UInt

from specjax._types import Law

# ratios below 2^-32 share a key with p = 0, and those beyond 2^32 share the last one: a bound by
# keys is then looser, not wrong
OCTAVES = 32
CLOSE = 16  # the same of even ranges

Keys = UInt[jax.Array, " V"]


def ratios(p: Law, q: Law) -> Law:
    """p/q: 0 if p = 0, and infinite if only q = 0."""
    return jnp.where(p > 0, p / q, 0)


def keys(p: Law, q: Law, octaves: int = OCTAVES) -> Keys:
    """Integers that are ordered as p/q is: 0 if p = 0, the largest if only q = 0."""
    low, high = span(p.dtype, octaves)
    bits = jax.lax.bitcast_convert_type(ratios(p, q), low.dtype)
    return jnp.clip(bits, low, high) - low


def span(dtype: jnp.dtype, octaves: int = OCTAVES) -> tuple[np.unsignedinteger, np.unsignedinteger]:
    """The bits of 2^-32, and those of the largest number below 2^32; of other octaves likewise."""
    ends = np.array([2.0**-octaves, 2.0**octaves], dtype)
    bits = ends.view(f"uint{8 * ends.itemsize}")
    return bits[0], bits[1] - bits.dtype.type(1)


def ratio_at(
    edge: UInt[jax.Array, "..."], dtype: jnp.dtype, octaves: int = OCTAVES
) -> Float[jax.Array, "..."]:
    """The smallest p/q at or beyond a key; infinite at the end."""
    low, high = span(dtype, octaves)
    ratio = jax.lax.bitcast_convert_type(edge + low, np.dtype(dtype))
    ratio = jnp.where(edge > high - low, jnp.inf, ratio)
    return jnp.where(edge == 0, 0, ratio)


def ranges(p: Law, q: Law, count: int) -> Int[jax.Array, " V"]:
    """Which of so many even ranges of keys, from 2^-16 to 2^16, each token is in.

    Args:
      p: [V], the target distribution.
      q: [V], the draft distribution.
      count: how many ranges; a power of 2.

    Returns:
      The ranges [V], in the order of p/q.

    Cost: one pass over V.
    """
    key = keys(p, q, CLOSE)
    return (key >> jnp.asarray(_width(p.dtype, count), key.dtype)).astype(jnp.int32)


def range_ends(dtype: jnp.dtype, count: int) -> Float[jax.Array, " ends"]:
    """The ratios between so many even ranges of keys: [count + 1], from 0 to infinity."""
    kind = span(dtype)[0].dtype
    starts = jnp.arange(count + 1, dtype=kind)
    return ratio_at(starts << jnp.asarray(_width(dtype, count), kind), dtype, CLOSE)


def _width(dtype: jnp.dtype, count: int) -> int:
    """log2 of the keys in each of so many ranges."""
    low, high = span(dtype, CLOSE)
    return int(high - low).bit_length() - (count.bit_length() - 1)

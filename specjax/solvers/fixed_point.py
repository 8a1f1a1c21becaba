"""Sums that do not round: masses as pairs of integers, whose sums are exact and do not depend on the order.

A float accumulator loses up to V eps / 4 where many equal masses meet in one bin, 1e-3 at V = 131072. Here a mass is
high 2^-29 + low 2^-(29 + b), with b as large as the sum of V low words allows: what is lost is V 2^-(30 + b), 8e-9 at V = 131072.
"""

import math

import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Float, Int

HIGH = 29  # the high words of a law sum to 2^29, up to rounding: one bit is spare


def words(x: Float[Array, "V *columns"]) -> tuple[Int[Array, "V *columns"], Int[Array, "V *columns"]]:
    """The high and the low word of each mass; the masses sum to less than 3."""
    kind = np.dtype(f"int{8 * x.dtype.itemsize}")
    scaled = x * 2.0**HIGH
    high = jnp.floor(scaled)
    return high.astype(kind), jnp.round((scaled - high) * 2.0 ** _low(x.shape[0], x.dtype)).astype(kind)


def side_by_side(x: Float[Array, " V"], y: Float[Array, " V"]) -> Int[Array, "V 4"]:
    """The words of two laws in one row for each token, as in `words`, each computed where it lies: XLA stacks columns slowly."""
    column = jnp.arange(4)
    high, low = words(jnp.where(column < 2, x[:, None], y[:, None]))
    return jnp.where(column % 2 == 0, high, low)


def value(high: Int[Array, "..."], low: Int[Array, "..."], count: int, dtype: jnp.dtype) -> Float[Array, "..."]:
    """The mass that sums of words stand for, `count` the V that they were made for."""
    return high.astype(dtype) * 2.0**-HIGH + low.astype(dtype) * 2.0 ** -(HIGH + _low(count, dtype))


def _low(count: int, dtype: jnp.dtype) -> int:
    return 8 * jnp.dtype(dtype).itemsize - 2 - math.ceil(math.log2(max(count, 2)))

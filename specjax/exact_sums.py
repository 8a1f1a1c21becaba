"""Sums that do not round: masses are pairs of integers.

Sums of integers are exact and do not depend on the order.
A float accumulator loses up to V eps / 4 if many equal masses meet in one bin, 1e-3 at V = 131072.
Here a mass is high 2^-29 + low 2^-(29 + b), with b as large as the sum of V low words allows. Only
V 2^-(30 + b) is lost, 8e-9 at V = 131072.
"""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Float, Int

Law = Float[Array, " V"]
Laws = tuple[Float[Array, "..."], ...]
Words = Int[Array, "V *columns"]

HIGH = 29  # the high words of a law sum to 2^29, up to rounding: one bit is spare


def words(x: Float[Array, "V *columns"]) -> tuple[Words, Words]:
    """The high and the low word of each mass.

    Args:
      x: ``[V, *columns]``, non-negative masses; each column sums to less than 3.

    Returns:
      Two arrays of the same shape, integers as wide as the floats.
    """
    kind = np.dtype(f"int{8 * x.dtype.itemsize}")
    scaled = x * 2.0**HIGH
    high = jnp.floor(scaled)
    low = jnp.round((scaled - high) * 2.0 ** _low(x.shape[0], x.dtype))
    return high.astype(kind), low.astype(kind)


def side_by_side(*laws: Law) -> Int[Array, "V columns"]:
    """The words of several laws in one row for each token: high, low, high, low, ...

    Each word is computed where it lies: XLA stacks columns slowly.

    Args:
      laws: [V] each, masses as in `words`.

    Returns:
      [V, columns], two columns for each law.
    """
    column = jnp.arange(2 * len(laws))
    spread = laws[0][:, None]
    for k in range(1, len(laws)):
        spread = jnp.where(column // 2 == k, laws[k][:, None], spread)
    high, low = words(spread)
    return jnp.where(column % 2 == 0, high, low)


def sums(index: Int[Array, " V"], count: int, *laws: Law) -> Laws:
    """The mass of each law at each index, with its gradient.

    Args:
      index: [V], of each token, in [0, count).
      count: how many sums.
      laws: [V] each, masses as in `words`.

    Returns:
      [count] for each law.

    Cost: one scatter of V rows.

    Example:
      >>> (found,) = sums(jnp.array([0, 1, 0]), 2, jnp.array([0.25, 0.25, 0.5]))
      >>> print(found)
      [0.75 0.25]
    """
    return _sums(laws, index, count)


@functools.partial(jax.custom_jvp, nondiff_argnums=(2,))
def _sums(laws: Laws, index: Int[Array, " V"], count: int) -> Laws:
    """`sums`, without a gradient of its own."""
    rows = side_by_side(*laws)
    table = jnp.zeros((count, rows.shape[1]), rows.dtype)
    table = table.at[index].add(rows, mode="promise_in_bounds")
    found = []
    for k, law in enumerate(laws):
        found.append(value(table[:, 2 * k], table[:, 2 * k + 1], law.shape[0], law.dtype))
    return tuple(found)


@_sums.defjvp
def _sums_slope(
    count: int, primals: tuple[Laws, Array], tangents: tuple[Laws, Array]
) -> tuple[Laws, Laws]:
    """The sums, and the sums of the changes."""
    laws, index = primals
    changes, _ = tangents
    slopes = [jnp.zeros(count, change.dtype).at[index].add(change) for change in changes]
    return _sums(laws, index, count), tuple(slopes)


def value(
    high: Int[Array, "..."], low: Int[Array, "..."], count: int, dtype: jnp.dtype
) -> Float[Array, "..."]:
    """The masses that sums of words stand for.

    Args:
      high: sums of high words, of any shape.
      low: sums of the low words of the same tokens.
      count: the V for which the words were made.
      dtype: of the result.

    Returns:
      Masses of the same shape.
    """
    fine = HIGH + _low(count, dtype)
    return high.astype(dtype) * 2.0**-HIGH + low.astype(dtype) * 2.0**-fine


def _low(count: int, dtype: jnp.dtype) -> int:
    """The bits of a low word: the sum of `count` low words does not overflow."""
    return 8 * jnp.dtype(dtype).itemsize - 2 - math.ceil(math.log2(max(count, 2)))

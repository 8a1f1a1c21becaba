"""Sums that do not round: masses as pairs of integers, whose sums are exact and do not depend on
the order.

A float accumulator loses up to V eps / 4 where many equal masses meet in one bin, 1e-3 at V =
131072. Here a mass is high 2^-29 + low 2^-(29 + b), with b as large as the sum of V low words
allows: what is lost is V 2^-(30 + b), 8e-9 at V = 131072.
"""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Float, Int

Laws = tuple[Float[Array, "..."], ...]

HIGH = 29  # the high words of a law sum to 2^29, up to rounding: one bit is spare


def words(
    x: Float[Array, "V *columns"],
) -> tuple[Int[Array, "V *columns"], Int[Array, "V *columns"]]:
    """The high and the low word of each mass; the masses sum to less than 3."""
    kind = np.dtype(f"int{8 * x.dtype.itemsize}")
    scaled = x * 2.0**HIGH
    high = jnp.floor(scaled)
    return high.astype(kind), jnp.round((scaled - high) * 2.0 ** _low(x.shape[0], x.dtype)).astype(
        kind
    )


def side_by_side(*laws: Float[Array, " V"]) -> Int[Array, "V columns"]:
    """The words of laws in one row for each token, as in `words`, each computed where it lies: XLA
    stacks columns slowly.
    """
    column = jnp.arange(2 * len(laws))
    spread = functools.reduce(
        lambda rest, k: jnp.where(column // 2 == k, laws[k][:, None], rest),
        range(1, len(laws)),
        laws[0][:, None],
    )
    high, low = words(spread)
    return jnp.where(column % 2 == 0, high, low)


def sums(
    index: Int[Array, " V"], count: int, *laws: Float[Array, " V"]
) -> tuple[Float[Array, " count"], ...]:
    """Of each law the masses at each index below `count`, with their gradient. Cost: one scatter of
    V rows.
    """
    return _sums(laws, index, count)


@functools.partial(jax.custom_jvp, nondiff_argnums=(2,))
def _sums(laws: Laws, index: Int[Array, " V"], count: int) -> Laws:
    rows = side_by_side(*laws)
    table = (
        jnp.zeros((count, rows.shape[1]), rows.dtype).at[index].add(rows, mode="promise_in_bounds")
    )
    return tuple(
        value(table[:, 2 * k], table[:, 2 * k + 1], law.shape[0], law.dtype)
        for k, law in enumerate(laws)
    )


@_sums.defjvp
def _sums_slope(
    count: int, primals: tuple[Laws, Array], tangents: tuple[Laws, Array]
) -> tuple[Laws, Laws]:
    slopes = tuple(
        jnp.zeros(count, change.dtype).at[primals[1]].add(change) for change in tangents[0]
    )
    return _sums(*primals, count), slopes


def value(
    high: Int[Array, "..."],
    low: Int[Array, "..."],
    count: int,
    dtype: jnp.dtype,
) -> Float[Array, "..."]:
    """The mass that sums of words stand for, `count` the V that they were made for."""
    return high.astype(dtype) * 2.0**-HIGH + low.astype(dtype) * 2.0 ** -(HIGH + _low(count, dtype))


def _low(count: int, dtype: jnp.dtype) -> int:
    return 8 * jnp.dtype(dtype).itemsize - 2 - math.ceil(math.log2(max(count, 2)))

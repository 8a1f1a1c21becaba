"""Rotary positions, and grouped-query attention over the rows of a cache."""

import functools
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Bool, Float, Int

from specjax._types import Count
from specjax.models.config import Config
from specjax.numerics.batches import largest_in_batch

# Attention reads the first FEWEST, FEWEST * TIMES, .. rows of a cache: the fewest that hold all.
FEWEST, TIMES = 128, 4


class Rotation(NamedTuple):
    """Cosines and sines of the rotary angles at each position, shaped to act on heads."""

    cosine: Float[Array, "*B 1 half"]
    sine: Float[Array, "*B 1 half"]

    def __call__(self, x: Float[Array, "*B K H"]) -> Float[Array, "*B K H"]:
        """Turn the heads (first half against second half) to their positions."""
        first, second = jnp.split(x, 2, axis=-1)
        return jnp.concatenate(
            [first * self.cosine - second * self.sine, second * self.cosine + first * self.sine],
            axis=-1,
        )


def rotation(config: Config, positions: Int[Array, "*B"]) -> Rotation | None:
    """The rotary angles of a decoder at these positions; None if it learned its positions."""
    if config.learned_positions:
        return None
    half = config.head_width // 2
    frequencies = config.rope_theta ** (-jnp.arange(half) / half)
    if config.stretch is not None:
        frequencies = frequencies / jnp.asarray(config.stretch)
    angles = positions[..., None, None] * frequencies
    return Rotation(jnp.cos(angles).astype(jnp.float32), jnp.sin(angles).astype(jnp.float32))


def capped(x: Float[Array, "*S"], cap: float | None) -> Float[Array, "*S"]:
    """cap tanh(x / cap), which bends x to within -cap and cap; x where there is no cap."""
    return x if cap is None else cap * jnp.tanh(x / cap)


def attend(
    query: Float[Array, "M A H"],
    keys: Float[Array, "K R H"],
    values: Float[Array, "K R H"],
    mask: Bool[Array, "M R"],
    cap: float | None = None,
) -> Float[Array, "M A H"]:
    """Grouped-query attention of M positions over the rows that the mask admits.

    The queries are scaled already. The mask admits at least one row for each position.
    """
    count, _, width = query.shape
    groups = query.reshape(count, keys.shape[0], -1, width).transpose(1, 2, 0, 3)
    flat = groups.reshape(keys.shape[0], -1, width)
    scores = capped(jnp.einsum("kmh,krh->kmr", flat, keys), cap)
    masked = jnp.where(mask, scores.reshape(*groups.shape[:3], -1), -jnp.inf)
    weights = jax.nn.softmax(masked).reshape(scores.shape)
    mixed = jnp.einsum("kmr,krh->kmh", weights, values)
    return mixed.reshape(groups.shape).transpose(2, 0, 1, 3).reshape(query.shape)


def attend_first(
    used: Count,
    query: Float[Array, "M A H"],
    keys: Float[Array, "K R H"],
    values: Float[Array, "K R H"],
    mask: Bool[Array, "M R"],
    cap: float | None,
) -> Float[Array, "M A H"]:
    """`attend`, where the mask admits none of the rows from `used` on.

    Cost: that of `attend` on `used` rows, rounded up to FEWEST, FEWEST * TIMES, ..; a batch reads
    as many rows as its longest text.
    """

    def reading(rows: int) -> Callable[..., Array]:
        return lambda query, keys, values, mask: attend(
            query, keys[:, :rows], values[:, :rows], mask[:, :rows], cap
        )

    sizes = _sizes(keys.shape[1])
    chosen = sum((largest_in_batch(used) > size).astype(jnp.int32) for size in sizes[:-1])
    if len(sizes) == 1:
        return attend(query, keys, values, mask, cap)
    mixed: Array = jax.lax.switch(chosen, [*map(reading, sizes)], query, keys, values, mask)
    return mixed


@functools.cache
def _sizes(rows: int) -> tuple[int, ...]:
    """How many rows may be read, ascending; all of them last."""
    below = []
    size = FEWEST
    while size < rows:
        below.append(size)
        size *= TIMES
    return (*below, rows)

"""Cells of levels, and kernels that fill them with nodes in an order."""

import jax.numpy as jnp
from jax import Array
from jaxtyping import Float, Int

from specjax.numerics import dot, tiny
from specjax.solvers.exchange import swaps

CUTS = 32  # even parts into which all levels are cut as well, lest a token that is most of q fill a single cell


def cut(weight: Float[Array, " B"]) -> tuple[Float[Array, " C"], Int[Array, " B"]]:
    """Widths of the cells, and the last cell of each node."""
    _, ends = _intervals(weight)
    ends = jnp.append(ends, jnp.arange(1, CUTS, dtype=ends.dtype) / CUTS)
    order = jnp.argsort(ends)
    return jnp.diff(ends[order], prepend=0), jnp.argsort(order)[: len(weight)]


def filled(weight: Float[Array, " B"], widths: Float[Array, " C"]) -> Float[Array, "B C"]:
    """The kernel that fills the cells with the nodes, one after the other."""
    (starts, ends), (low, high) = (_intervals(parts) for parts in (weight, widths))
    shared = jnp.maximum(jnp.minimum(ends[:, None], high) - jnp.maximum(starts[:, None], low), 0)
    middle = jnp.minimum(jnp.searchsorted(high, (starts + ends) / 2), len(widths) - 1)
    shared = shared.at[jnp.arange(len(weight)), middle].add(tiny(weight))  # of a node that is too small to be seen
    return shared / jnp.sum(shared, 1, keepdims=True)


def target(
    aim: Float[Array, " B"], weight: Float[Array, " B"], widths: Float[Array, " C"], supply: Float[Array, " C"]
) -> Float[Array, "B C"]:
    """The kernel by which nodes in the order of aim / weight are given what they aim at, if their part in a cell gets weight supply."""
    own = filled(weight, widths)
    has = dot(own, supply)
    return swaps(aim - weight * has, has, weight).apply(own)


def _intervals(parts: Float[Array, " K"]) -> tuple[Float[Array, " K"], Float[Array, " K"]]:
    """Where parts that fill [0, 1] one after the other start and end."""
    ends = jnp.cumsum(parts)
    ends = ends / ends[-1]
    return jnp.append(0, ends[:-1]).astype(ends.dtype), ends

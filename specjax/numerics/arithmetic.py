"""Sums, quotients and residuals of distributions."""

import math
from collections.abc import Callable
from typing import TypeVar

import jax
import jax.numpy as jnp
from jax import Array
from jax.typing import DTypeLike
from jaxtyping import Float

from specjax._types import Law, Mask, Tokens

T = TypeVar("T")
Batch = Float[Array, "... V"]

# jax declares no types for these two
_finfo: Callable[[DTypeLike], jnp.finfo] = jnp.finfo
_barrier: Callable[[T], T] = jax.lax.optimization_barrier


def epsilon(x: Array) -> float:
    """The distance from 1 to the next number of x's dtype: one ulp of 1."""
    return float(_finfo(x.dtype).eps)


def tiny(x: Array) -> float:
    """The smallest normal number of x's dtype: a divisor guard that XLA does not flush to zero."""
    return float(_finfo(x.dtype).tiny)


def fixed(x: T) -> T:
    """The arrays of x, computed once: XLA does not recompute them in each reader."""
    return _barrier(x)


def dot(x: Array, y: Array) -> Array:
    """The product x @ y in the precision of its operands.

    By default a GPU or TPU rounds float32 operands to 10 or 7 bits.
    """
    return jnp.matmul(x, y, precision=jax.lax.Precision.HIGHEST)


def total(x: Batch) -> Float[Array, "..."]:
    """The sum over the last axis, in two levels.

    The rounding error grows with sqrt(V), not with V. The inner level is a product with ones: XLA
    does not vectorise a batched sum on a CPU, and takes four times as long for it.

    Args:
      x: [..., V], numbers of any float dtype.

    Returns:
      [...], the sums.

    Cost: one pass over V.

    Example:
      >>> print(total(jnp.array([[0.5, 0.25], [1.0, 2.0]])))
      [0.75 3.  ]
    """
    size = x.shape[-1]
    block = block_size(size)
    in_blocks = (*x.shape[:-1], size // block, block)
    rows = x.reshape(in_blocks) if size % block == 0 else x[..., None, :]
    ones = jnp.ones(rows.shape[-1], x.dtype)
    return jnp.sum(dot(rows, ones), -1)


def block_size(size: int) -> int:
    """About sqrt(size), a power of two."""
    return 1 << max(0, math.ceil(math.log2(max(size, 1)) / 2))


def sums_onward(x: Law) -> Law:
    """The sum of x from each place on."""
    return jnp.cumsum(x[::-1])[::-1]


def divide(x: Array, y: Array) -> Array:
    """x / y, and 0 if y = 0; y is non-negative."""
    return jnp.where(y > 0, x / divisor(y), 0)


def divisor(y: Array) -> Array:
    """y if it is positive, lifted to a normal number; 1 otherwise.

    So the branch that `where` does not take has a finite derivative, and so has `where`.
    """
    return jnp.where(y > 0, jnp.maximum(y, tiny(y)), 1)


def normalise(weights: Law, fallback: Law, floor: float = 0.0) -> Law:
    """The distribution proportional to `weights`, or `fallback` if their mass is at most `floor`.

    The case of zero mass is thus decided here. The barrier makes the sum that of the very weights
    it divides: XLA may otherwise compute them twice and round them twice.

    Args:
      weights: [V], non-negative.
      fallback: [V], a distribution.
      floor: >= 0, the largest mass that counts as none.

    Returns:
      [V], a distribution.

    Cost: two passes over V.

    Example:
      >>> print(normalise(jnp.array([1.0, 3.0]), fallback=jnp.array([1.0, 0.0])))
      [0.25 0.75]
    """
    weights = fixed(weights)
    mass = total(weights)
    return jnp.where(mass > floor, weights / divisor(mass), fallback)


def rounding_error(law: Law) -> float:
    """4 ulp of 1: a difference of distributions whose mass is below this may be mere rounding."""
    return 4 * epsilon(law)


def residual(p: Law, q: Law) -> Law:
    """The distribution proportional to (p - q)+, or p itself if nothing is left (p = q).

    Args:
      p: [V], the target distribution.
      q: [V], the draft distribution, or any masses.

    Returns:
      [V], the distribution of the token that is emitted after a rejection.

    Cost: three passes over V.

    Example:
      >>> print(residual(jnp.array([0.5, 0.5, 0.0]), jnp.array([0.25, 0.25, 0.5])))
      [0.5 0.5 0. ]
    """
    return normalise(jnp.maximum(p - q, 0), p, rounding_error(p))


def acceptance_probability(p: Array, q: Array) -> Array:
    """min(1, p / q), elementwise: the probability with which a draft from q is accepted.

    Args:
      p: probabilities of tokens under the target distribution, of any shape.
      q: probabilities of the same tokens under the draft distribution.

    Returns:
      Probabilities of the same shape. If q = 0 the value is 1 for p > 0 and 0 for p = 0: gathers of
      padding read such tokens.

    Example:
      >>> print(acceptance_probability(jnp.array([0.5, 0.25, 0.1]), jnp.array([0.25, 0.5, 0.0])))
      [1.  0.5 1. ]
    """
    undrafted = jnp.where(p > 0, 1, 0).astype(p.dtype)
    return jnp.where(q > 0, jnp.minimum(1, p / divisor(q)), undrafted)


def is_duplicate(tokens: Tokens, mask: Mask) -> Mask:
    """Which slots hold a token that an earlier live slot holds.

    Args:
      tokens: [n], in [0, V).
      mask: [n], true at live slots.

    Returns:
      [n], true at duplicates.

    Cost: n^2.
    """
    slots = jnp.arange(tokens.shape[0])
    earlier = slots < slots[:, None]
    equal = tokens[:, None] == tokens
    return jnp.any(equal & mask & earlier, 1)


def add_at(base: Law, tokens: Tokens, mass: Float[Array, " n"]) -> Law:
    """`base` with mass[i] added at tokens[i].

    Args:
      base: [V], masses.
      tokens: [n], in [0, V); masses of equal tokens add up, and larger tokens are ignored.
      mass: [n], what is added.

    Returns:
      [V], masses.

    Cost: a scatter of n rows.

    Example:
      >>> print(add_at(jnp.zeros(3), jnp.array([2, 0, 2]), jnp.array([0.25, 0.25, 0.5])))
      [0.25 0.   0.75]
    """
    return base.at[tokens].add(mass, mode="drop")

"""What the files of bounds share: the bracket, its rounding, and the envelope theorem."""

from typing import NamedTuple

import jax.numpy as jnp
from jax import Array
from jaxtyping import Bool

from specjax._types import Law, Scalar

EXACT = 3  # ulp of 1: rounding of sums and powers
SORTED = 4096  # up to this V a sort is cheaper than a search


class Bracket(NamedTuple):
    """alpha* and what encloses it, rounding included: lower <= alpha* <= upper. `value` is 1 + p(H)
    - Q(H) for a set H.
    """

    value: Scalar
    lower: Scalar
    upper: Scalar


def ulps(count: int, like: Array) -> float:
    """So many ulp of 1, in the dtype of an array."""
    return count * float(jnp.finfo(like.dtype).eps)


def rounded(value: Scalar, lower: Scalar, count: int = EXACT) -> Bracket:
    """The bracket of a value and what bounds it below, wider by so many ulp on both sides."""
    return Bracket(value, lower - ulps(count, value), value + ulps(count, value))


def envelope(inside: Bool[Array, " V"], of_q: Array, tangents: tuple[Law, Array]) -> Bracket:
    """The derivative of a bracket by the envelope theorem: dp(H) - dQ(H) at a fixed set H.

    Args:
      inside: [V], H.
      of_q: the derivative of Q(H) with respect to q.
      tangents: of p and q.
    """
    change = jnp.sum(jnp.where(inside, tangents[0], 0)) - jnp.sum(of_q * tangents[1])
    return Bracket(change, change, change)

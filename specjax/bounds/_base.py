"""What the files of bounds share: the bracket, its rounding, and the envelope theorem."""

from typing import NamedTuple

import jax.numpy as jnp
from jax import Array
from jaxtyping import Bool

from specjax._types import Law, Scalar
from specjax.numerics import epsilon

EXACT = 3  # ulp of 1: rounding of sums and powers
SMALL = 512  # up to this V every token is a bin of its own on the curve of Q against p
BINS = 4096  # of p/q on the curve of a larger one
SORTED = 4096  # up to this V a sort is cheaper than a search


class Bracket(NamedTuple):
    """The optimum alpha* and its certified enclosure, rounding included: lower <= alpha* <= upper.

    Attributes:
      value: 1 + p(H) - Q(H) for a set H.
      lower: at most alpha*.
      upper: at least alpha*.
    """

    value: Scalar
    lower: Scalar
    upper: Scalar


def ulps(count: int, like: Array) -> float:
    """So many ulp of 1, in the dtype of an array."""
    return count * epsilon(like)


def rounded(value: Scalar, lower: Scalar, count: int = EXACT) -> Bracket:
    """The bracket of a value and its lower bound, wider by so many ulp on both sides."""
    margin = ulps(count, value)
    return Bracket(value, lower - margin, value + margin)


def envelope(inside: Bool[Array, " V"], of_q: Array, tangents: tuple[Law, Array]) -> Bracket:
    """The derivative of a bracket by the envelope theorem: dp(H) - dQ(H) at a fixed set H.

    Args:
      inside: [V], H.
      of_q: the derivative of Q(H) with respect to q, of the shape of q.
      tangents: of p and q.

    Returns:
      The same derivative for all three numbers.
    """
    dp, dq = tangents
    change = jnp.sum(jnp.where(inside, dp, 0)) - jnp.sum(of_q * dq)
    return Bracket(change, change, change)

"""The optimum of SpecHub's pairs: that of greedy drafts, which draft the same sets at n = 2."""

from specjax._types import Law, Scalar
from specjax.bounds import greedy
from specjax.bounds._base import Bracket, rounded


def bracket(p: Law, q: Law, n: int) -> Bracket:
    """The optimum of SpecHub's pairs, enclosed to rounding.

    Args:
      p: [V], the target distribution.
      q: [V], the draft distribution.
      n: 2, the number of drafts.

    Returns:
      `acceptance`, and a few ulp on either side.

    Raises:
      ValueError: n is not 2.

    Cost: a top_k of 1 and a few passes over V. Source: sun2024spechub.

    Example:
      >>> import jax.numpy as jnp
      >>> p, q = jnp.array([0.6, 0.2, 0.2]), jnp.array([0.25, 0.5, 0.25])
      >>> print(f"{bracket(p, q, 2).value:.3f}")
      0.900
    """
    value = acceptance(p, q, n)
    return rounded(value, value)


def acceptance(p: Law, q: Law, n: int) -> Scalar:
    """The acceptance of `greedy`.

    Args:
      p: [V], the target distribution.
      q: [V], the draft distribution.
      n: 2, the number of drafts.

    Returns:
      The optimal acceptance.

    Raises:
      ValueError: n is not 2.
    """
    if n != 2:
        raise ValueError(f"hub: drafts pairs, expected n = 2, got n = {n}")
    return greedy.acceptance(p, q, n)


def nearest(p: Law, q: Law, n: int) -> Law:
    """The law of `greedy.nearest`: it drafts the same sets.

    Args:
      p: [V], the target distribution.
      q: [V], the draft distribution.
      n: 2, the number of drafts.

    Returns:
      The law [V].
    """
    return greedy.nearest(p, q, n)

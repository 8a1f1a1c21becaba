"""The optimum of the n most likely tokens as drafts."""

import jax.numpy as jnp

from specjax._types import Law, Scalar
from specjax.bounds._base import Bracket, rounded
from specjax.numerics import normalise, top_tokens


def bracket(p: Law, q: Law, n: int) -> Bracket:
    """The optimum of the n most likely tokens as drafts, enclosed to rounding.

    Args:
      p: [V], the target distribution.
      q: [V], the draft distribution.
      n: >= 1, the number of drafts.

    Returns:
      `acceptance`, and a few ulp on either side.

    Cost: a top_k of n, or n passes over V in float64.

    Example:
      >>> p, q = jnp.array([0.5, 0.25, 0.25]), jnp.array([0.25, 0.5, 0.25])
      >>> print(f"{bracket(p, q, 1).value:.3f}")
      0.250
    """
    value = acceptance(p, q, n)
    return rounded(value, value)


def acceptance(p: Law, q: Law, n: int) -> Scalar:
    """The p mass of the n most likely tokens of q.

    Args:
      p: [V], the target distribution.
      q: [V], the draft distribution.
      n: >= 1, the number of drafts.

    Returns:
      The optimal acceptance.

    Cost: a top_k of n, or n passes over V in float64.
    """
    tokens = top_tokens(q, min(n, q.shape[0]))
    return jnp.sum(jnp.where(q[tokens] > 0, p[tokens], 0))


def nearest(p: Law, q: Law, n: int) -> Law:
    """The law nearest to p that emits a draft: p restricted to the n most likely tokens of q.

    Args:
      p: [V], the target distribution.
      q: [V], the draft distribution.
      n: >= 1, the number of drafts.

    Returns:
      The law [V]; q restricted to them, where p never emits one.

    Cost: a top_k of n, and a few passes over V.
    """
    tokens = top_tokens(q, min(n, q.shape[0]))
    drafted = jnp.zeros(q.shape, bool).at[tokens].set(True) & (q > 0)
    of_draft = normalise(jnp.where(drafted, q, 0), q)
    return normalise(jnp.where(drafted, p, 0), of_draft)

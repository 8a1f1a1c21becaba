"""The optimum of greedy drafts: the n - 1 most likely tokens, and one draw from the others."""

import jax.numpy as jnp

from specjax._types import Law, Scalar
from specjax.bounds._base import Bracket, rounded
from specjax.numerics import divide, top_tokens, total


def bracket(p: Law, q: Law, n: int) -> Bracket:
    """The optimum of greedy drafts, enclosed to rounding.

    Args:
      p: [V], the target distribution.
      q: [V], the draft distribution.
      n: >= 1, the number of drafts.

    Returns:
      `acceptance`, and a few ulp on either side.

    Cost: a top_k of n - 1 and a few passes over V. Source: hu2025towards.

    Example:
      >>> p, q = jnp.array([0.6, 0.2, 0.2]), jnp.array([0.25, 0.5, 0.25])
      >>> print(f"{bracket(p, q, 2).value:.3f}")
      0.900
    """
    value = acceptance(p, q, n)
    return rounded(value, value)


def acceptance(p: Law, q: Law, n: int) -> Scalar:
    """p(Top) + the sum over the other tokens of min(p, q / (1 - q(Top))).

    Top holds the m - 1 most likely tokens, m = min(n, support of q).

    Args:
      p: [V], the target distribution.
      q: [V], the draft distribution.
      n: >= 1, the number of drafts.

    Returns:
      The optimal acceptance.

    Cost: a top_k of n - 1 and a few passes over V.
    """
    size = q.shape[0]
    count = min(n - 1, size)
    live = jnp.minimum(n, jnp.sum(q > 0))
    slots = jnp.arange(count)
    top = jnp.where(slots < live - 1, top_tokens(q, count), size)
    rest = q.at[top].set(0, mode="drop")
    others = p.at[top].set(0, mode="drop")
    of_top = p.at[top].get(mode="fill", fill_value=0)
    of_rest = jnp.minimum(others, divide(rest, total(rest)))
    return jnp.sum(of_top) + total(of_rest)

"""The optimum of greedy drafts: the n - 1 most likely tokens, and one draw from the others."""

import jax.numpy as jnp

from specjax._types import Law, Mask, Scalar
from specjax.bounds._base import Bracket, rounded
from specjax.bounds._front import root
from specjax.numerics import divide, normalise, tiny, top_tokens, total


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
    fixed, rest = _drafts(q, n)
    return total(jnp.where(fixed, p, jnp.minimum(p, rest)))


def nearest(p: Law, q: Law, n: int) -> Law:
    """The law nearest to p among those of rules that always accept a greedy draft.

    It is b p in Top, and min(b p, q / (1 - q(Top))) outside.

    Args:
      p: [V], the target distribution.
      q: [V], the draft distribution.
      n: >= 1, the number of drafts.

    Returns:
      The law [V]; q for one draft.

    Cost: a top_k of n - 1, and some 40 passes over V, 70 in float64.
    """
    if n == 1:
        return q
    fixed, rest = _drafts(q, n)
    held = total(jnp.where(fixed, p, 0))

    def law(height: Scalar) -> Law:
        raised = jnp.exp(height) * p
        return jnp.where(fixed, raised, jnp.minimum(raised, rest))

    highest = -jnp.log(jnp.maximum(held, tiny(p)))
    height = root(lambda height: total(law(height)) - 1, highest)
    drafted = normalise(jnp.where(fixed, p, 0), jnp.where(fixed, 1, rest))
    return jnp.where(held > tiny(p), normalise(law(height), drafted), rest)


def _drafts(q: Law, n: int) -> tuple[Mask, Law]:
    """Whether a token is in Top, and the distribution of the last draft."""
    size = q.shape[0]
    count = min(n - 1, size)
    live = jnp.minimum(n, jnp.sum(q > 0))
    slots = jnp.arange(count)
    top = jnp.where(slots < live - 1, top_tokens(q, count), size)
    fixed = jnp.zeros(size, bool).at[top].set(True, mode="drop")
    rest = jnp.where(fixed, 0, q)
    return fixed, divide(rest, total(rest))

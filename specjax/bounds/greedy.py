"""The optimum of greedy drafts: the n - 1 most likely tokens, and one draw from the others."""

import jax.numpy as jnp

from specjax._types import Law, Scalar
from specjax.bounds._base import Bracket, rounded
from specjax.numerics import divide, top_tokens, total


def bracket(p: Law, q: Law, n: int) -> Bracket:
    """`acceptance`, to rounding."""
    value = acceptance(p, q, n)
    return rounded(value, value)


def acceptance(p: Law, q: Law, n: int) -> Scalar:
    """p(Top) + sum over the rest of min(p, q / (1 - q(Top))), Top the m - 1 most likely tokens, m =
    min(n, support of q).
    """
    size = min(n - 1, q.shape[0])
    live = jnp.minimum(n, jnp.sum(q > 0))
    top = jnp.where(jnp.arange(size) < live - 1, top_tokens(q, size), q.shape[0])
    rest = q.at[top].set(0, mode="drop")
    others = p.at[top].set(0, mode="drop")
    return jnp.sum(p.at[top].get(mode="fill", fill_value=0)) + total(
        jnp.minimum(others, divide(rest, total(rest)))
    )

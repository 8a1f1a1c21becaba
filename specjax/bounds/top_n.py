"""The optimum of the n most likely tokens as drafts."""

import jax.numpy as jnp

from specjax._types import Law, Scalar
from specjax.bounds._base import Bracket, rounded
from specjax.numerics import top_tokens


def bracket(p: Law, q: Law, n: int) -> Bracket:
    """`acceptance`, to rounding."""
    value = acceptance(p, q, n)
    return rounded(value, value)


def acceptance(p: Law, q: Law, n: int) -> Scalar:
    """p of the n most likely tokens of q."""
    tokens = top_tokens(q, min(n, q.shape[0]))
    return jnp.sum(jnp.where(q[tokens] > 0, p[tokens], 0))

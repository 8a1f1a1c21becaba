"""Recursive rejection of two drafts without replacement: its acceptance as one sum."""

import jax
import jax.numpy as jnp

from specjax._types import Law, Scalar
from specjax.numerics import divide, rounding_error, total


def acceptance_of_pairs(p: Law, q: Law) -> Scalar:
    """1 - sum_x (q - p)+(x) sum_y (D(y) / Z - q(y) / (1 - q(x)))+, with D = (p - q)+ and Z its sum.

    A rejected first draft x leaves r_2 = D / Z for p and q / (1 - q(x)) for q; the second sum is a
    suffix of the tokens by D/q. From the third draft on the residual depends on the q of all drafts
    before it, through c in sum (p - c q)+, and no such sum is known. Cost: three sorts of V.
    Source: jeon2024recursive.
    """
    excess = jnp.maximum(p - q, 0)
    z = total(excess)
    most = jnp.argmax(q)
    # as a sum of what remains: 1 - q loses the digits of a peak
    left = (1 - q).at[most].set(total(q.at[most].set(0)))
    level = divide(z, left)
    edge = jax.lax.stop_gradient(jnp.where(left > 0, level, jnp.inf))
    ratio = jax.lax.stop_gradient(jnp.where((excess > 0) & (q == 0), jnp.inf, divide(excess, q)))
    order = jnp.argsort(ratio)
    onward = [jnp.append(jnp.cumsum(x[order][::-1])[::-1], 0) for x in (excess, q)]
    start = jnp.searchsorted(ratio[order], edge, method="sort")
    sum_excess, sum_q = (x[start] for x in onward)
    second = jnp.where(left > 0, sum_excess - level * sum_q, z)  # z times the second rejection
    return 1 - jnp.where(z > rounding_error(p), divide(total(jnp.maximum(q - p, 0) * second), z), 0)

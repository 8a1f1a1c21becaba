"""Recursive rejection of two drafts without replacement: its acceptance as one sum."""

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Float

from specjax._types import Law, Scalar
from specjax.numerics import divide, rounding_error, sums_onward, total


def acceptance_of_pairs(p: Law, q: Law) -> Scalar:
    """1 - sum_x (q - p)+(x) sum_y (D(y) / Z - q(y) / (1 - q(x)))+, with D = (p - q)+ and Z its sum.

    After a rejected first draft x the target distribution is D / Z, and the draft distribution is
    q / (1 - q(x)). The second sum runs over a suffix of the tokens in the order of D/q. From the
    third draft on the residual depends on the q of all drafts before it, through c in sum (p - c
    q)+, and no such sum is known.

    Args:
      p: [V], the target distribution.
      q: [V], the draft distribution.

    Returns:
      The acceptance, differentiable in p and q.

    Cost: three sorts of V. Source: jeon2024recursive.
    """
    excess = jnp.maximum(p - q, 0)
    z = total(excess)
    remaining = remaining_mass(q)
    level = divide(z, remaining)
    edge = jnp.where(remaining > 0, level, jnp.inf)
    undrafted = (excess > 0) & (q == 0)
    ratio = jnp.where(undrafted, jnp.inf, divide(excess, q))
    edge, ratio = jax.lax.stop_gradient((edge, ratio))
    order = jnp.argsort(ratio)
    start = jnp.searchsorted(ratio[order], edge, method="sort")
    sum_excess = _onward(excess[order])[start]
    sum_q = _onward(q[order])[start]
    # z times the second rejection
    second = jnp.where(remaining > 0, sum_excess - level * sum_q, z)
    both = total(jnp.maximum(q - p, 0) * second)
    return 1 - jnp.where(z > rounding_error(p), divide(both, z), 0)


def accepted_mass_of_pairs(p: Law, q: Law) -> Law:
    """P(y is accepted, as the first draft or the second): min(p, q)(y) + A(y).

    A(y) = sum_x (q - p)+(x) min(q(y) / (1 - q(x)), D(y) / Z). The sum runs over two parts of the
    tokens in the order of q(x), parted where q(y) Z / D(y) is 1 - q(x). No sum is taken as the
    difference of two others.

    Args:
      p: [V], the target distribution.
      q: [V], the draft distribution.

    Returns:
      [V], masses.

    Cost: two sorts of V. Source: jeon2024recursive.
    """
    excess = jnp.maximum(p - q, 0)
    z = total(excess)
    given = divide(excess, z)
    remaining = remaining_mass(q)
    refused = jnp.maximum(q - p, 0)
    order = jnp.argsort(remaining)
    # q(y) / (1 - q(x)) is the larger one where 1 - q(x) < q(y) / given(y)
    edge = jnp.where(given > 0, divide(q, given), 0)
    place = jnp.searchsorted(remaining[order], edge, method="sort")
    below = jnp.append(0, jnp.cumsum(refused[order])).astype(p.dtype)[place]
    above = _onward(divide(refused, remaining)[order])[place]
    second = given * below + q * above
    return jnp.minimum(p, q) + jnp.where(z > rounding_error(p), jnp.minimum(second, excess), 0)


def remaining_mass(q: Law) -> Law:
    """1 - q(x) for every token x; at a peak it is a sum, which keeps its digits."""
    most = jnp.argmax(q)
    return (1 - q).at[most].set(total(q.at[most].set(0)))


def _onward(x: Law) -> Float[Array, " V+1"]:
    """The sums of x from each place on, and 0 after the last."""
    return jnp.append(sums_onward(x), 0)

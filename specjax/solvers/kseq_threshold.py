"""The threshold rho of a draft-by-draft acceptance test rho U < p/q, as small as losslessness
allows.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Bool

from specjax._types import Count, Law, Scalar
from specjax.numerics import divide, tiny, total

# bracketed Newton steps at most; the median over the battery is 5 in float32 (27 at worst) and 6 in
# float64
STEPS = 60
# ulp of 1: where S^n exceeds R by no more, the acceptance lost to rho > rho* is no larger
SLACK = 4


@jax.custom_jvp
def threshold(p: Law, q: Law, n: Scalar) -> tuple[Scalar, Scalar]:
    """(rho, S): rho at or just above the root of S^n = R, and S = P(one draft is rejected) at it,
    for n >= 1 drafts.

    R = sum (p - rho q)+ and S = (R + rho - 1) / rho. The residual stays a law iff S^n >= R, which
    holds from the root on; the upper end of the bracket is returned, once S^n - R there is down to
    rounding. Differentiable in p and q, at a constant n. Cost: some seven fused passes over V.
    """

    def measure(rho: Scalar) -> tuple[Scalar, Scalar, Scalar]:
        above = p > rho * q
        r = total(jnp.where(above, p - rho * q, 0))
        return r, (r + (rho - 1)) / rho, total(jnp.where(above, q, 0))

    def step(search: _Search) -> _Search:
        rho = search.rho
        r, s, q_above = measure(rho)
        safe = s**n >= r
        low = jnp.where(safe, search.low, rho)
        high = jnp.where(safe, rho, search.high)
        slack = jnp.where(safe, s**n - r, search.slack)
        r = jnp.maximum(r, tiny(r))
        s = jnp.maximum(s, tiny(s))
        slope = n * (1 - q_above - s) / (rho * s) + q_above / r
        newton = rho - (n * jnp.log(s) - jnp.log(r)) / slope
        newton = newton + 4 * eps * newton  # land on the safe side
        inside = (newton > low) & (newton < high)
        return _Search(
            low, high, jnp.where(inside, newton, (low + high) / 2), slack, search.steps + 1
        )

    def unfinished(search: _Search) -> Bool[Array, ""]:
        return (search.slack > SLACK * eps) & (search.steps < STEPS)

    eps = float(jnp.finfo(p.dtype).eps)
    start = _Search(jnp.ones_like(n), n, 1 + 0.35 * (n - 1), jnp.ones_like(n), jnp.int32(0))
    high = jax.lax.while_loop(unfinished, step, start).high
    return high, measure(high)[1]


@threshold.defjvp
def _slopes(
    primals: tuple[Law, Law, Scalar], tangents: tuple[Law, Law, Scalar]
) -> tuple[tuple[Scalar, Scalar], tuple[Scalar, Scalar]]:
    """By the implicit function theorem, at the root of F = S^n - R.

    At fixed rho, dR = sum over p > rho q of (dp - rho dq) and dS = dR / rho. dR/drho = -q(p > rho
    q) and dS/drho = p(p <= rho q) / rho^2, so that dF/drho is a sum of terms of one sign. It is 0
    where nothing exceeds rho q (p = q): rho then stays.
    """
    (p, q, n), (dp, dq, _) = primals, tangents
    rho, s = threshold(p, q, n)
    above = p > rho * q
    dr = total(jnp.where(above, dp - rho * dq, 0))
    gain = n * s ** (n - 1)
    s_slope = total(jnp.where(above, 0, p)) / rho**2
    drho = dr * divide(1 - gain / rho, gain * s_slope + total(jnp.where(above, q, 0)))
    return (rho, s), (drho, dr / rho + s_slope * drho)


class _Search(NamedTuple):
    low: Scalar
    high: Scalar
    rho: Scalar
    slack: Scalar  # S^n - R at high
    steps: Count

"""The smallest threshold rho at which the acceptance test rho U < p/q stays lossless."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Bool

from specjax._types import Count, Law, Scalar
from specjax.numerics import divide, epsilon, tiny, total

# bracketed Newton steps at most; the median over the battery is 5 in float32 (27 at worst) and 6 in
# float64
STEPS = 60
# ulp of 1: while S^n exceeds R by no more, the acceptance lost to rho > rho* is no larger
SLACK = 4
SAFE = 4  # ulp of rho: a Newton step goes so far beyond the root
FIRST = 0.35  # the search starts at this part of the way from rho = 1 to rho = n

Solution = tuple[Scalar, Scalar]
Inputs = tuple[Law, Law, Scalar]


class _Search(NamedTuple):
    """A bracketed Newton search.

    Attributes:
      low: the lower end of the bracket.
      high: the upper end of the bracket.
      rho: where the search looks next.
      slack: S^n - R at `high`.
      steps: how often it has looked.
    """

    low: Scalar
    high: Scalar
    rho: Scalar
    slack: Scalar
    steps: Count


class _Test(NamedTuple):
    """The acceptance test at one rho.

    Attributes:
      r: R = sum (p - rho q)+.
      s: S = (R + rho - 1) / rho, the probability that one draft is rejected.
      q_above: the q mass of the tokens with p > rho q.
    """

    r: Scalar
    s: Scalar
    q_above: Scalar


@jax.custom_jvp
def threshold(p: Law, q: Law, n: Scalar) -> Solution:
    """The pair (rho, S): rho at or just above the root of S^n = R, and S at this rho.

    R = sum (p - rho q)+, and S = (R + rho - 1) / rho = P(one draft is rejected). The residual stays
    a distribution iff S^n >= R, which holds from the root on. The search returns the upper end of
    its bracket once S^n - R there is down to rounding. The pair is differentiable in p and q, at a
    constant n.

    Args:
      p: [V], the target distribution.
      q: [V], the draft distribution.
      n: >= 1, the number of drafts, a float.

    Returns:
      rho in [1, n], and S in [0, 1].

    Cost: some seven fused passes over V.
    """
    eps = epsilon(p)

    def step(search: _Search) -> _Search:
        rho = search.rho
        r, s, q_above = _measure(p, q, rho)
        safe = s**n >= r
        low = jnp.where(safe, search.low, rho)
        high = jnp.where(safe, rho, search.high)
        slack = jnp.where(safe, s**n - r, search.slack)
        r = jnp.maximum(r, tiny(r))
        s = jnp.maximum(s, tiny(s))
        # the slope of n log S - log R
        slope = n * (1 - q_above - s) / (rho * s) + q_above / r
        newton = rho - (n * jnp.log(s) - jnp.log(r)) / slope
        newton = newton + SAFE * eps * newton
        inside = (newton > low) & (newton < high)
        return _Search(
            low=low,
            high=high,
            rho=jnp.where(inside, newton, (low + high) / 2),
            slack=slack,
            steps=search.steps + 1,
        )

    def unfinished(search: _Search) -> Bool[Array, ""]:
        return (search.slack > SLACK * eps) & (search.steps < STEPS)

    one = jnp.ones_like(n)
    start = _Search(
        low=one,
        high=n,
        rho=1 + FIRST * (n - 1),
        slack=one,
        steps=jnp.int32(0),
    )
    high = jax.lax.while_loop(unfinished, step, start).high
    return high, _measure(p, q, high).s


def _measure(p: Law, q: Law, rho: Scalar) -> _Test:
    """R, S and the q mass above, at one rho."""
    above = p > rho * q
    r = total(jnp.where(above, p - rho * q, 0))
    s = (r + (rho - 1)) / rho
    return _Test(r, s, total(jnp.where(above, q, 0)))


@threshold.defjvp
def _slopes(primals: Inputs, tangents: Inputs) -> tuple[Solution, Solution]:
    """The derivative by the implicit function theorem, at the root of F = S^n - R.

    At fixed rho, dR = sum over p > rho q of (dp - rho dq) and dS = dR / rho. Moreover dR/drho =
    -q(p > rho q) and dS/drho = p(p <= rho q) / rho^2, so that dF/drho is a sum of terms of one
    sign. It is 0 if nothing exceeds rho q (p = q): rho then stays.
    """
    p, q, n = primals
    dp, dq, _ = tangents
    rho, s = threshold(p, q, n)
    above = p > rho * q
    dr = total(jnp.where(above, dp - rho * dq, 0))
    gain = n * s ** (n - 1)
    s_slope = total(jnp.where(above, 0, p)) / rho**2
    q_above = total(jnp.where(above, q, 0))
    drho = dr * divide(1 - gain / rho, gain * s_slope + q_above)
    ds = dr / rho + s_slope * drho
    return (rho, s), (drho, ds)

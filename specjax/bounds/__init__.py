"""The optimum alpha* of one node on device, what no lossless rule can exceed, with its bracket and
its gradient.

One scheme a file, its `bracket` and the derivative beside it; a file dropped in here is a bound
everywhere.
"""

import jax.numpy as jnp
from jax import Array
from jaxtyping import Float

from specjax._laws import check_laws
from specjax._registry import discover
from specjax._types import Law, Scalar
from specjax.bounds import iid
from specjax.bounds._base import Bracket
from specjax.numerics import total

_SCHEMES = discover(__name__)


def schemes() -> tuple[str, ...]:
    """The drafting schemes whose optimum is known at any V."""
    return tuple(_SCHEMES)


def optimal_acceptance(
    p: Float[Array, " V"],
    q: Float[Array, "*slots V"],
    n: int,
    scheme: str,
) -> Scalar:
    """alpha* of a drafting scheme: the largest P(Y is one of n drafts) over all lossless rules.

    Differentiable: with H the best set, d alpha* = dp(H) - dQ(H), a subgradient where two sets tie;
    Q is read on the simplex.

    Args:
      p, q: [V], laws of target and draft in any float type (`independent`: q is [n, V]); V, n and
        scheme are static.

    Raises:
      ValueError: n < 1, the scheme has no bound, q has the wrong shape for it, or p or q is seen to
        be no law.

    Cost: a sort of V up to V = 4096, a few scatters of V beyond. Source: hu2025towards, theorem 3.
    """
    return bracket(p, q, n, scheme).value


def bracket(
    p: Float[Array, " V"],
    q: Float[Array, "*slots V"],
    n: int,
    scheme: str,
) -> Bracket:
    """alpha* with a certified enclosure; arguments, errors and cost as in `optimal_acceptance`.

    The rounding allowed for is a few ulp; without replacement also what the race's series leaves
    out, estimated from above. What its quadrature adds was measured, not bounded: less than 1e-9 in
    float64. It widens where many sets tie: to 5e-4 for two iid drafts with p(H) = q(H)^2 along the
    whole order.
    """
    if scheme not in _SCHEMES:
        raise ValueError(
            f"no optimum known for scheme {scheme!r}: expected one of {', '.join(_SCHEMES)}"
        )
    if n < 1:
        raise ValueError(f"n: expected >= 1, got {n}")
    p = jnp.asarray(p)
    q = jnp.asarray(q)
    check_laws(p, q, slots=scheme == "independent")
    dtype = jnp.promote_types(jnp.promote_types(p.dtype, q.dtype), jnp.float32)
    found: Bracket = _SCHEMES[scheme].bracket(p.astype(dtype), q.astype(dtype), n)
    return Bracket(*(jnp.clip(end, 0, 1) for end in found))


def overlap(p: Law, q: Law) -> Scalar:
    """1 - TV(p, q) = sum min(p, q): the acceptance of one draft."""
    return total(jnp.minimum(p, q))


def singleton_bound(p: Law, q: Law, n: int) -> Scalar:
    """sum min(p, 1 - (1 - q)^n) >= alpha*: no token is accepted more often than it is drafted, by n
    independent drafts.
    """
    return total(jnp.minimum(p, iid.miss_probability(q, n)))


__all__ = ["Bracket", "bracket", "optimal_acceptance", "overlap", "schemes", "singleton_bound"]


def __dir__() -> list[str]:
    return sorted(__all__)

"""The optimum alpha* of one node on device, with its bracket and its gradient.

No lossless rule can exceed the optimum.
Each file holds the `bracket` of one scheme and its derivative. A file dropped in here is a bound
everywhere.
"""

import functools

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Float

from specjax._laws import check_laws
from specjax._registry import discover
from specjax._types import Count, Law, Scalar
from specjax.bounds import iid
from specjax.bounds._base import Bracket
from specjax.bounds._front import Front, band
from specjax.numerics import total

Slots = Float[Array, "*slots V"]

_SCHEMES = discover(__name__)


def schemes() -> tuple[str, ...]:
    """The names of the drafting schemes whose optimum is known at any V."""
    return tuple(_SCHEMES)


def optimal_acceptance(p: Law, q: Slots, n: int, scheme: str) -> Scalar:
    """alpha* of a drafting scheme: the largest P(Y is one of n drafts) over all lossless rules.

    It is differentiable: with H the best set, d alpha* = dp(H) - dQ(H), a subgradient if two sets
    tie. Q is read on the simplex.

    Args:
      p: [V], the target distribution, in any float type.
      q: [V], the draft distribution, in any float type. The scheme `independent` takes [n, V], the
        distribution of each slot.
      n: >= 1, the number of drafts; static.
      scheme: one of `schemes()`; static.

    Returns:
      The optimum, in [0, 1].

    Raises:
      ValueError: n < 1, the scheme has no bound, q has the wrong shape for it, or p or q is seen to
        be no distribution.

    Cost: a sort of V up to V = 4096, a few scatters of V beyond. Source: hu2025towards, theorem 3.

    Example:
      >>> p, q = jnp.array([0.5, 0.25, 0.25]), jnp.array([0.25, 0.5, 0.25])
      >>> print(f"{optimal_acceptance(p, q, 2, 'iid'):.3f}")
      0.938
    """
    return bracket(p, q, n, scheme).value


def bracket(p: Law, q: Slots, n: int, scheme: str) -> Bracket:
    """alpha* with a certified enclosure.

    The bracket allows a few ulp for rounding. Without replacement it also includes what the race's
    series leaves out, estimated from above. The error of the race's quadrature was measured, not
    bounded: it is less than 1e-9 in float64. The bracket widens if many sets tie: to 5e-4 for two
    iid drafts with p(H) = q(H)^2 along the whole order.

    Args:
      p: [V], the target distribution, in any float type.
      q: [V], the draft distribution, in any float type; [n, V] for `independent`.
      n: >= 1, the number of drafts; static.
      scheme: one of `schemes()`; static.

    Returns:
      The optimum and its two ends, each in [0, 1].

    Raises:
      ValueError: as in `optimal_acceptance`.

    Cost: as in `optimal_acceptance`. Source: hu2025towards, theorem 3.

    Example:
      >>> p, q = jnp.array([0.5, 0.25, 0.25]), jnp.array([0.25, 0.5, 0.25])
      >>> found = bracket(p, q, 1, "greedy")
      >>> bool(found.lower <= found.value <= found.upper)
      True
    """
    p, q = _checked(p, q, n, scheme)
    found: Bracket = _SCHEMES[scheme].bracket(p, q, n)
    return Bracket(*(jnp.clip(end, 0, 1) for end in found))


def _checked(p: Array, q: Array, n: int, scheme: str) -> tuple[Law, Slots]:
    """Both distributions in one float type of at least 32 bits."""
    if scheme not in _SCHEMES:
        known = ", ".join(_SCHEMES)
        raise ValueError(f"no optimum known for scheme {scheme!r}: expected one of {known}")
    if n < 1:
        raise ValueError(f"n: expected >= 1, got {n}")
    p = jnp.asarray(p)
    q = jnp.asarray(q)
    check_laws(p, q, slots=scheme == "independent")
    dtype = jnp.promote_types(p.dtype, q.dtype)
    dtype = jnp.promote_types(dtype, jnp.float32)
    return p.astype(dtype), q.astype(dtype)


def front(
    p: Law,
    q: Law,
    n: int,
    scheme: str,
    price: Scalar | float,
) -> Front:
    """The most that any rule accepts at a price, and the best law for its token.

    One more unit of acceptance costs `price` nats of KL there. At the same price in every context,
    no other choice of laws accepts more at the same mean KL. The law is best in every f-divergence
    at once. The optimal rule, run with the law for p, attains the point.

    Args:
      p: [V], the target distribution, in any float type.
      q: [V], the draft distribution, in any float type.
      n: >= 1, the number of drafts; static.
      scheme: one of `schemes()` that has an order of the tokens: all but `independent`; static.
      price: log(b/a) of the largest and the smallest e/p, at least 0; 80 is the end of the front.

    Returns:
      The law, the acceptance and what it costs.

    Raises:
      ValueError: as in `optimal_acceptance`, or the scheme has no order of the tokens.

    Cost: no sort beyond V = 512; a scatter of V, and some 70 passes. Source: specjax2026.

    Example:
      >>> p, q = jnp.array([0.5, 0.3, 0.2]), jnp.array([0.2, 0.3, 0.5])
      >>> found = front(p, q, 2, "iid", 0.25)
      >>> print(f"{found.acceptance:.3f} {found.tv:.3f}")
      0.922 0.062
    """
    p, q = _checked(p, q, n, scheme)
    return band(p, nearest(p, q, n, scheme), price)


def nearest(
    p: Law,
    q: Law,
    n: int,
    scheme: str,
    live: Count | None = None,
) -> Law:
    """The law nearest to p, in every f-divergence, among those of rules that always accept.

    Args:
      p: [V], the target distribution.
      q: [V], the draft distribution, of the same float type.
      n: >= 1, the number of drafts; static.
      scheme: one of `schemes()` that has an order of the tokens; static.
      live: how many of the n are drawn, in [1, n]; n if None.

    Returns:
      The law [V].

    Raises:
      ValueError: the scheme has no order of the tokens.

    Cost: as in `front`; for each number of drafts, if `live` is given and drafts are not iid.
    Source: specjax2026.

    Example:
      >>> p, q = jnp.array([0.5, 0.3, 0.2]), jnp.array([0.2, 0.3, 0.5])
      >>> print(nearest(p, q, 2, "iid").round(3))
      [0.36  0.384 0.256]
    """
    find = getattr(_SCHEMES[scheme], "nearest", None)
    if find is None:
        raise ValueError(f"no front known for scheme {scheme!r}: its tokens have no order")
    if live is None or n == 1:
        return jnp.asarray(find(p, q, n))
    if scheme == "iid":
        return iid.nearest(p, q, live.astype(p.dtype))
    counts = [functools.partial(find, n=count) for count in range(1, n + 1)]
    found: Law = jax.lax.switch(live - 1, counts, p, q)
    return found


def overlap(p: Law, q: Law) -> Scalar:
    """1 - TV(p, q) = sum min(p, q): the acceptance of one draft.

    Args:
      p: [V], the target distribution.
      q: [V], the draft distribution.

    Returns:
      The acceptance, in [0, 1].

    Cost: one pass over V.

    Example:
      >>> print(overlap(jnp.array([0.5, 0.5]), jnp.array([0.25, 0.75])))
      0.75
    """
    return total(jnp.minimum(p, q))


def singleton_bound(p: Law, q: Law, n: int) -> Scalar:
    """sum min(p, 1 - (1 - q)^n) >= alpha* of n independent drafts.

    No token is accepted more often than it is drafted.

    Args:
      p: [V], the target distribution.
      q: [V], the draft distribution.
      n: >= 1, the number of drafts.

    Returns:
      The bound, in [0, 1].

    Cost: one pass over V.

    Example:
      >>> print(f"{singleton_bound(jnp.array([0.5, 0.5]), jnp.array([0.25, 0.75]), 2):.4f}")
      0.9375
    """
    return total(jnp.minimum(p, iid.miss_probability(q, n)))


__all__ = [
    "Bracket",
    "Front",
    "band",
    "bracket",
    "front",
    "nearest",
    "optimal_acceptance",
    "overlap",
    "schemes",
    "singleton_bound",
]


def __dir__() -> list[str]:
    return sorted(__all__)

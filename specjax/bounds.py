"""The optimum alpha* of one node on device, what no lossless rule can exceed, with its bracket and its gradient."""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple, TypeVar

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Float

from specjax._laws import check_laws
from specjax._types import Law, Scalar
from specjax.numerics import divide, likeliest, total
from specjax.solvers import iid as _iid
from specjax.solvers import independent as _independent
from specjax.solvers import race
from specjax.solvers import without_replacement as _without_replacement
from specjax.solvers.bins import Found
from specjax.solvers.iid import SORTED

EXACT, RACE, MIXTURE = 3, 4, 8  # rounding, in ulp of 1: of sums and powers; of the race integral; of a mixture's powers


class Bracket(NamedTuple):
    """alpha* and what encloses it, rounding included: lower <= alpha* <= upper. `value` is 1 + p(H) - Q(H) for a set H."""

    value: Scalar
    lower: Scalar
    upper: Scalar


Bound = Callable[[Law, Float[Array, "*slots V"], int], Scalar | Bracket]
B = TypeVar("B", bound=Bound)

_BOUNDS: dict[str, Bound] = {}


def bound(function: B) -> B:
    """Register `function(p, q, n)` as the optimum of the drafting scheme that it is named after: a bracket, or a formula's value."""
    _BOUNDS[function.__name__] = function
    return function


def schemes() -> tuple[str, ...]:
    """The drafting schemes whose optimum is known at any V."""
    return tuple(_BOUNDS)


def optimal_acceptance(p: Float[Array, " V"], q: Float[Array, "*slots V"], n: int, scheme: str) -> Scalar:
    """alpha* of a drafting scheme: the largest P(Y is one of n drafts) over all lossless rules.

    Differentiable: with H the best set, d alpha* = dp(H) - dQ(H), a subgradient where two sets tie; Q is read on the simplex.

    Args:
      p, q: [V], laws of target and draft in any float type (`independent`: q is [n, V]); V, n and scheme are static.

    Raises:
      ValueError: n < 1, the scheme has no bound, q has the wrong shape for it, or p or q is seen to be no law.

    Cost: a sort of V up to V = 4096, a few scatters of V beyond. Source: hu2025towards, theorem 3.
    """
    return bracket(p, q, n, scheme).value


def bracket(p: Float[Array, " V"], q: Float[Array, "*slots V"], n: int, scheme: str) -> Bracket:
    """alpha* with a certified enclosure; arguments, errors and cost as in `optimal_acceptance`.

    The rounding allowed for is a few ulp; without replacement also what the race's series leaves out, estimated from above. What its
    quadrature adds was measured, not bounded: less than 1e-9 in float64.
    It widens where many sets tie: to 5e-4 for two iid drafts with p(H) = q(H)^2 along the whole order.
    """
    if scheme not in _BOUNDS:
        raise ValueError(f"no optimum known for scheme {scheme!r}: expected one of {', '.join(_BOUNDS)}")
    if n < 1:
        raise ValueError(f"n: expected >= 1, got {n}")
    p, q = jnp.asarray(p), jnp.asarray(q)
    check_laws(p, q, slots=scheme == "independent")
    dtype = jnp.promote_types(jnp.promote_types(p.dtype, q.dtype), jnp.float32)
    found = _BOUNDS[scheme](p.astype(dtype), q.astype(dtype), n)
    if not isinstance(found, Bracket):
        found = _round(found, found, EXACT)
    return Bracket(*(jnp.clip(end, 0, 1) for end in found))


def first_try(p: Law, q: Law) -> Scalar:
    """1 - TV(p, q) = sum min(p, q): the acceptance of one draft."""
    return total(jnp.minimum(p, q))


def singleton(p: Law, q: Law, n: int) -> Scalar:
    """sum min(p, 1 - (1 - q)^n) >= alpha*: no token is accepted more often than it is drafted, by n independent drafts."""
    return total(jnp.minimum(p, _iid.missed(q, n)))


def _ulps(count: int, like: Array) -> float:
    """So many ulp of 1, in the dtype of an array."""
    return count * float(jnp.finfo(like.dtype).eps)


def _round(value: Scalar, lower: Scalar, count: int) -> Bracket:
    return Bracket(value, lower - _ulps(count, value), value + _ulps(count, value))


def _best_iid(p: Law, q: Law, n: int) -> Found:
    return _iid.search(p, q, n, _ulps(2, p))


def _best_without_replacement(p: Law, q: Law, n: int) -> Found:
    return _without_replacement.search(p, q, n, _ulps(12, p))


def _best_independent(p: Law, q: Float[Array, "n V"]) -> Found:
    return _independent.search(p, q, _ulps(4, p))


@bound
@partial(jax.custom_jvp, nondiff_argnums=(2,))
def iid(p: Law, q: Law, n: int) -> Bracket:
    """1 + min over prefixes H of p(H) - q(H)^n."""
    return _round(*_best_iid(p, q, n)[:2], EXACT)


@bound
@partial(jax.custom_jvp, nondiff_argnums=(2,))
def without_replacement(p: Law, q: Law, n: int) -> Bracket:
    """1 + min over prefixes H of p(H) - P(all drafts in H), by the race integral."""
    if n == 1:
        return iid(p, q, 1)
    value, lower, upper = _round(*_best_without_replacement(p, q, n)[:2], RACE)
    left_out = race.remainder(q, n) if q.shape[0] > SORTED else 0
    return Bracket(value, lower - left_out, upper + left_out)


@bound
def greedy(p: Law, q: Law, n: int) -> Scalar:
    """p(Top) + sum over the rest of min(p, q / (1 - q(Top))), Top the m - 1 most likely tokens, m = min(n, support of q)."""
    size = min(n - 1, q.shape[0])
    live = jnp.minimum(n, jnp.sum(q > 0))
    top = jnp.where(jnp.arange(size) < live - 1, likeliest(q, size), q.shape[0])
    rest = q.at[top].set(0, mode="drop")
    others = p.at[top].set(0, mode="drop")
    return jnp.sum(p.at[top].get(mode="fill", fill_value=0)) + total(jnp.minimum(others, divide(rest, total(rest))))


@bound
def hub(p: Law, q: Law, n: int) -> Scalar:
    """The optimum of greedy drafts: the two schemes draft the same sets at n = 2."""
    if n != 2:
        raise ValueError(f"hub: drafts pairs, expected n = 2, got n = {n}")
    return greedy(p, q, n)


@bound
def top_n(p: Law, q: Law, n: int) -> Scalar:
    """p of the n most likely tokens of q."""
    tokens = likeliest(q, min(n, q.shape[0]))
    return jnp.sum(jnp.where(q[tokens] > 0, p[tokens], 0))


@bound
@partial(jax.custom_jvp, nondiff_argnums=(2,))
def independent(p: Law, q: Float[Array, "*slots V"], n: int) -> Bracket:
    """1 + min over H of p(H) - prod_i q_i(H), enclosed: at small V the best mixture's order can miss the optimum."""
    if q.ndim != 2 or q.shape[0] != n:
        raise ValueError(f"q: scheme independent draws slot i from q[i], expected shape ({n}, V), got {q.shape}")
    return _round(*_best_independent(p, q)[:2], MIXTURE)


Slope = Callable[[Law, Array, int], tuple[Found, Array]]


def _follow(function: Callable[..., Bracket]) -> Callable[[Slope], Slope]:
    """The envelope theorem: the slope gives the set H, and the derivative of Q(H) with respect to q, at fixed H."""

    def attach(slope: Slope) -> Slope:
        def jvp(n: int, primals: tuple[Law, Array], tangents: tuple[Law, Array]) -> tuple[Bracket, Bracket]:
            found, of_q = slope(*primals, n)
            change = jnp.sum(jnp.where(found.inside, tangents[0], 0)) - jnp.sum(of_q * tangents[1])
            return function(*primals, n), Bracket(change, change, change)

        function.defjvp(jvp)  # type: ignore[attr-defined]
        return slope

    return attach


@_follow(iid)
def _iid_slope(p: Law, q: Law, n: int) -> tuple[Found, Law]:
    found = _best_iid(p, q, n)
    held = total(jnp.where(found.inside, q, 0))
    return found, jnp.where(found.inside, n * held ** (n - 1), 0)


@_follow(without_replacement)
def _without_replacement_slope(p: Law, q: Law, n: int) -> tuple[Found, Law]:
    if n == 1:
        return _iid_slope(p, q, 1)
    found = _best_without_replacement(p, q, n)
    return found, -jax.grad(race.missed_by)(q, found.inside, n)


@_follow(independent)
def _independent_slope(p: Law, q: Array, n: int) -> tuple[Found, Array]:
    found = _best_independent(p, q)
    held = total(jnp.where(found.inside, q, 0))
    others = jnp.stack([jnp.prod(jnp.delete(held, i)) for i in range(n)])
    return found, jnp.where(found.inside, others[:, None], 0)

"""alpha* of independent drafts from different laws, 1 + min_H [p(H) - prod_i q_i(H)], enclosed by a
concave dual.

prod_i q_i(H) = min over u, sum u = 0, of (mean_i e^(u_i) q_i(H))^n (means of both kinds), so for
every u the optimum of n drafts from the mixture mean_i e^(u_i) q_i is a lower bound: prefixes of
the tokens sorted by p / sum_i e^(u_i) q_i. It is a minimum of concave functions of u, hence
concave; at its maximum e^(u_i) is proportional to 1 / q_i(H) = lambda_i / prod_j q_j(H), lambda_i
the product of the other q_j(H), unless two sets tie there. Every set met on the way is an upper
bound. What lies between is reported.
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Bool, Float

from specjax._types import Count, Law, Scalar
from specjax.bounds import _prefix_search
from specjax.bounds._base import SORTED, Bracket, envelope, rounded, ulps
from specjax.bounds._prefix_search import Below, Edges, Found
from specjax.bounds.iid import CELLS
from specjax.numerics import dot, tiny, total

MIXTURE = 8  # ulp of 1: rounding of a mixture's powers
STEPS = 48
STEEP = 30.0  # a mixture e^30 steeper than the other is one of the two laws

Laws = Float[Array, "n V"]


class _Ascent(NamedTuple):
    """The best of both kinds so far, and where the ascent stands: u, and how often it has
    stepped.
    """

    found: Found
    u: Float[Array, " n"]
    steps: Count


@partial(jax.custom_jvp, nondiff_argnums=(2,))
def bracket(p: Law, q: Float[Array, "*slots V"], n: int) -> Bracket:
    """1 + min over H of p(H) - prod_i q_i(H), enclosed: at small V the best mixture's order can
    miss the optimum.

    Raises:
      ValueError: q is not [n, V].
    """
    if q.ndim != 2 or q.shape[0] != n:
        raise ValueError(
            f"q: scheme independent draws slot i from q[i], expected shape ({n}, V), got {q.shape}"
        )
    return rounded(*best_set(p, q)[:2], MIXTURE)


@bracket.defjvp
def _slope(n: int, laws: tuple[Law, Laws], tangents: tuple[Law, Laws]) -> tuple[Bracket, Bracket]:
    p, q = laws
    inside = best_set(p, q).inside
    held = total(jnp.where(inside, q, 0))
    others = jnp.stack([jnp.prod(jnp.delete(held, i)) for i in range(n)])
    return bracket(p, q, n), envelope(inside, jnp.where(inside, others[:, None], 0), tangents)


def best_set(p: Law, q: Laws) -> Found:
    """The best set met, and the best dual bound, after at most 48 mixtures; equal laws take one.
    Cost: that of `iid.best_set` for each.
    """
    tolerance = ulps(4, p)
    p = p / total(p)
    q = q / total(q)[:, None]
    n = q.shape[0]

    def step(ascent: _Ascent) -> _Ascent:
        weights = jnp.exp(ascent.u) / n
        lower, masses, found = (_sorted if p.shape[0] <= SORTED else _binned)(
            p, q, weights, tolerance
        )
        best = ascent.found
        value = jnp.minimum(best.value, found.value)
        found = Found(
            value,
            jnp.maximum(best.lower, lower),
            jnp.where(found.value < best.value, found.inside, best.inside),
        )
        goal = -jnp.log(jnp.maximum(masses, tiny(masses)))
        move = goal - jnp.mean(goal) - ascent.u
        u = jnp.clip(ascent.u + move * 2 / (2 + ascent.steps), -STEEP, STEEP)
        return _Ascent(found, u - jnp.mean(u), ascent.steps + 1)

    def unfinished(ascent: _Ascent) -> Bool[Array, ""]:
        return (ascent.found.value - ascent.found.lower > tolerance) & (ascent.steps < STEPS)

    nothing = Found(jnp.ones((), p.dtype), jnp.zeros((), p.dtype), jnp.zeros(p.shape, bool))
    return jax.lax.while_loop(
        unfinished, step, _Ascent(nothing, jnp.zeros(n, p.dtype), jnp.int32(0))
    ).found


def _sorted(
    p: Law,
    q: Laws,
    weights: Float[Array, " n"],
    tolerance: float,
) -> tuple[Scalar, Float[Array, " n"], Found]:
    """The dual bound of a mixture, the q_i(H) at its set H, and the best prefix of its order."""
    mixture = dot(weights, q)
    order = jnp.argsort(jnp.where(p > 0, p / mixture, 0))
    mass = jnp.pad(jnp.cumsum(q[:, order], -1), ((0, 0), (1, 0)))
    mass_p = jnp.pad(jnp.cumsum(p[order]), (1, 0))
    duals = 1 + mass_p - dot(weights, mass) ** q.shape[0]
    values = 1 + mass_p - jnp.prod(mass, 0)
    lowest = jnp.argmin(duals)
    best = jnp.argmin(values)
    inside = jnp.zeros(p.shape, bool).at[order].set(jnp.arange(p.shape[0]) < best)
    return duals[lowest], mass[:, lowest], Found(values[best], duals[lowest], inside)


def _binned(
    p: Law,
    q: Laws,
    weights: Float[Array, " n"],
    tolerance: float,
) -> tuple[Scalar, Float[Array, " n"], Found]:
    """As `_sorted`, with the set of the mixture alone."""
    n = q.shape[0]
    mixture = dot(weights, q)
    scale = jnp.sum(weights)

    def measure(below: Below) -> Edges:
        return Edges(
            below.p, below.inside * scale, below.outside * scale, 1 - (below.inside * scale) ** n
        )

    dual = _prefix_search.search(
        p,
        _prefix_search.keys(p, mixture),
        mixture / scale,
        _prefix_search.no_moments(p),
        measure,
        CELLS,
        tolerance / 4,
    )
    mass = total(jnp.where(dual.inside, q, 0))
    return (
        dual.lower,
        mass,
        Found(1 + total(jnp.where(dual.inside, p, 0)) - jnp.prod(mass), dual.lower, dual.inside),
    )

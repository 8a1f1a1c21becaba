"""alpha* of independent drafts from different distributions, enclosed by a concave dual.

alpha* = 1 + min_H [p(H) - prod_i q_i(H)].
By the means of both kinds, prod_i q_i(H) is the minimum over u, sum u = 0, of (mean_i e^(u_i)
q_i(H))^n. So for every u the optimum of n drafts from the mixture mean_i e^(u_i) q_i is a lower
bound. Its best sets are prefixes of the tokens sorted by p / sum_i e^(u_i) q_i. It is a minimum of
concave functions of u, hence concave. At its maximum e^(u_i) is proportional to 1 / q_i(H) =
lambda_i / prod_j q_j(H), lambda_i the product of the other q_j(H), unless two sets tie there. Every
set met on the way is an upper bound. The bracket reports what lies between.
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
from specjax.numerics import dot, ratios, tiny, total

MIXTURE = 8  # ulp of 1: rounding of a mixture's powers
STEPS = 48  # mixtures at most; equal distributions take one
STEEP = 30.0  # a mixture e^30 steeper than the other is one of the two distributions

Laws = Float[Array, "n V"]
PerSlot = Float[Array, " n"]


class _Dual(NamedTuple):
    """What one mixture tells.

    Attributes:
      bound: a lower bound of the optimum.
      masses: [n], the q_i(H) at its set H.
      found: the best set met.
    """

    bound: Scalar
    masses: PerSlot
    found: Found


class _Ascent(NamedTuple):
    """The ascent in u.

    Attributes:
      found: the best set and the best bound so far.
      u: [n], where the ascent stands.
      steps: how often it has stepped.
    """

    found: Found
    u: PerSlot
    steps: Count


@partial(jax.custom_jvp, nondiff_argnums=(2,))
def bracket(p: Law, q: Float[Array, "*slots V"], n: int) -> Bracket:
    """The optimum of independent drafts, 1 + min over H of p(H) - prod_i q_i(H), enclosed.

    At small V the best mixture's order can miss the optimum; the bracket then stays wide.

    Args:
      p: [V], the target distribution.
      q: [n, V], the draft distribution of each slot.
      n: >= 1, the number of drafts.

    Returns:
      The value at the best set met, and the best dual bound, wider by a few ulp.

    Raises:
      ValueError: q is not [n, V].

    Cost: that of `best_set`. Source: hu2025towards.

    Example:
      >>> p = jnp.array([0.5, 0.25, 0.25])
      >>> q = jnp.array([[0.25, 0.5, 0.25], [0.25, 0.5, 0.25]])
      >>> print(f"{bracket(p, q, 2).value:.3f}")
      0.938
    """
    if q.ndim != 2 or q.shape[0] != n:
        raise ValueError(
            f"q: scheme independent draws slot i from q[i], expected shape ({n}, V), got {q.shape}"
        )
    found = best_set(p, q)
    return rounded(found.value, found.lower, MIXTURE)


@bracket.defjvp
def _slope(n: int, laws: tuple[Law, Laws], tangents: tuple[Law, Laws]) -> tuple[Bracket, Bracket]:
    """The bracket and its derivative: Q(H) has the product of the others as derivative in q_i."""
    p, q = laws
    inside = best_set(p, q).inside
    held = total(jnp.where(inside, q, 0))
    others = jnp.stack([jnp.prod(jnp.delete(held, i)) for i in range(n)])
    of_q = jnp.where(inside, others[:, None], 0)
    return bracket(p, q, n), envelope(inside, of_q, tangents)


def best_set(p: Law, q: Laws) -> Found:
    """The best set met, and the best dual bound, after at most 48 mixtures.

    Args:
      p: [V], the target distribution.
      q: [n, V], the draft distributions.

    Returns:
      The set, its value and a lower bound of all values.

    Cost: that of `iid.best_set` for each mixture. Equal distributions take one mixture.
    """
    tolerance = ulps(4, p)
    p = p / total(p)
    q = q / total(q)[:, None]
    n = q.shape[0]

    def step(ascent: _Ascent) -> _Ascent:
        weights = jnp.exp(ascent.u) / n
        if p.shape[0] <= SORTED:
            dual = _sorted(p, q, weights)
        else:
            dual = _binned(p, q, weights, tolerance / 4)
        goal = -jnp.log(jnp.maximum(dual.masses, tiny(dual.masses)))
        move = goal - jnp.mean(goal) - ascent.u
        u = jnp.clip(ascent.u + move * 2 / (2 + ascent.steps), -STEEP, STEEP)
        found = _better(ascent.found, dual)
        return _Ascent(found, u - jnp.mean(u), ascent.steps + 1)

    def unfinished(ascent: _Ascent) -> Bool[Array, ""]:
        gap = ascent.found.value - ascent.found.lower
        return (gap > tolerance) & (ascent.steps < STEPS)

    one = jnp.ones((), p.dtype)
    zero = jnp.zeros((), p.dtype)
    nothing = Found(one, zero, jnp.zeros(p.shape, bool))
    begin = _Ascent(nothing, jnp.zeros(n, p.dtype), jnp.int32(0))
    return jax.lax.while_loop(unfinished, step, begin).found


def _better(best: Found, dual: _Dual) -> Found:
    """The better set of the two, and the better bound."""
    found = dual.found
    better = found.value < best.value
    return Found(
        value=jnp.minimum(best.value, found.value),
        lower=jnp.maximum(best.lower, dual.bound),
        inside=jnp.where(better, found.inside, best.inside),
    )


def _sorted(p: Law, q: Laws, weights: PerSlot) -> _Dual:
    """The dual of a mixture, and the best prefix of its order."""
    n, size = q.shape
    order = jnp.argsort(ratios.ratios(p, dot(weights, q)))
    mass = jnp.pad(jnp.cumsum(q[:, order], -1), ((0, 0), (1, 0)))
    mass_p = jnp.pad(jnp.cumsum(p[order]), (1, 0))
    duals = 1 + mass_p - dot(weights, mass) ** n
    values = 1 + mass_p - jnp.prod(mass, 0)
    lowest = jnp.argmin(duals)
    best = jnp.argmin(values)
    ranks = jnp.arange(size)
    inside = jnp.zeros(size, bool).at[order].set(ranks < best)
    bound = duals[lowest]
    return _Dual(bound, mass[:, lowest], Found(values[best], bound, inside))


def _binned(p: Law, q: Laws, weights: PerSlot, tolerance: float) -> _Dual:
    """The dual of a mixture without a sort, and its own set."""
    n = q.shape[0]
    mixture = dot(weights, q)
    scale = jnp.sum(weights)

    def measure(below: Below) -> Edges:
        inside = below.inside * scale
        return Edges(
            p=below.p,
            inside=inside,
            outside=below.outside * scale,
            miss_probability=1 - inside**n,
        )

    dual = _prefix_search.search(
        p=p,
        key=ratios.keys(p, mixture),
        tail=mixture / scale,
        moments=_prefix_search.no_moments(p),
        measure=measure,
        cells=CELLS,
        tolerance=tolerance,
    )
    masses = total(jnp.where(dual.inside, q, 0))
    value = 1 + total(jnp.where(dual.inside, p, 0)) - jnp.prod(masses)
    return _Dual(dual.lower, masses, Found(value, dual.lower, dual.inside))

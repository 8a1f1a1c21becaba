"""alpha* of independent drafts from one distribution: 1 + min over prefixes H of p(H) - q(H)^n."""

from functools import partial

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Float

from specjax import exact_sums
from specjax._types import Law, Scalar
from specjax.bounds import _prefix_search
from specjax.bounds._base import BINS, SMALL, SORTED, Bracket, envelope, rounded, ulps
from specjax.bounds._front import Curve, majorant, ranks
from specjax.bounds._prefix_search import Below, Cells, Edges, Found
from specjax.numerics import divide, ratios, sums_onward, total

CELLS = Cells(8, 64)

Laws = tuple[Law, Law]
Masses = Float[Array, "..."]


@partial(jax.custom_jvp, nondiff_argnums=(2,))
def bracket(p: Law, q: Law, n: int) -> Bracket:
    """The optimum of n independent drafts, 1 + min over prefixes H of p(H) - q(H)^n, enclosed.

    Args:
      p: [V], the target distribution.
      q: [V], the draft distribution.
      n: >= 1, the number of drafts.

    Returns:
      The value at the best set, and the search's lower bound, wider by a few ulp.

    Cost: that of `best_set`. Source: hu2025towards.

    Example:
      >>> p, q = jnp.array([0.5, 0.25, 0.25]), jnp.array([0.25, 0.5, 0.25])
      >>> print(f"{bracket(p, q, 2).value:.3f}")
      0.938
    """
    found = best_set(p, q, n)
    return rounded(found.value, found.lower)


@bracket.defjvp
def _slope(n: int, laws: Laws, tangents: Laws) -> tuple[Bracket, Bracket]:
    """The bracket and its derivative: Q(H) = q(H)^n has the derivative n q(H)^(n-1) in H."""
    p, q = laws
    inside = best_set(p, q, n).inside
    held = total(jnp.where(inside, q, 0))
    of_q = jnp.where(inside, n * held ** (n - 1), 0)
    return bracket(p, q, n), envelope(inside, of_q, tangents)


def best_set(p: Law, q: Law, n: int) -> Found:
    """The best set H for n independent drafts, the minimiser of p(H) - q(H)^n.

    Args:
      p: [V], the target distribution.
      q: [V], the draft distribution.
      n: >= 1, the number of drafts.

    Returns:
      The set, its value and a lower bound of all values.

    Cost: a sort up to V = 4096; beyond, two or three levels of a radix search.
    """
    if n == 1:
        value = total(jnp.minimum(p / total(p), q / total(q)))
        return Found(value, value, p < q)
    if p.shape[0] <= SORTED:
        return _sorted(p, q, n)
    return binned(p, q, n, ulps(2, p))


def binned(p: Law, q: Law, n: Scalar | int, tolerance: float) -> Found:
    """The best set without a sort.

    Args:
      p: [V], the target distribution.
      q: [V], the draft distribution.
      n: >= 1, the number of drafts; it may be traced.
      tolerance: of the bracket, if the keys of p/q resolve it.

    Returns:
      The set, its value and a lower bound of all values.

    Cost: two or three levels of a radix search, each one scatter of V.
    """

    def measure(below: Below) -> Edges:
        whole = below.inside + below.outside
        return Edges(
            p=below.p,
            inside=below.inside,
            outside=below.outside,
            miss_probability=miss_probability(below.outside / whole, n),
        )

    return _prefix_search.search(
        p=p,
        key=ratios.keys(p, q),
        tail=q,
        moments=_prefix_search.no_moments(q),
        measure=measure,
        cells=CELLS,
        tolerance=tolerance,
    )


def nearest(p: Law, q: Law, n: Scalar | int) -> Law:
    """The law nearest to p among those of rules that always accept one of n independent drafts.

    For V <= 512 every token is a bin of its own, and the law is exact. For larger V there are 2048
    bins of p/q.

    Args:
      p: [V], the target distribution.
      q: [V], the draft distribution.
      n: >= 1, the number of drafts; it may be traced.

    Returns:
      The law [V]; q for one draft.

    Cost: up to V = 512 a sort; beyond, a scatter of V and 4096 for each corner of the curve.
    """
    if isinstance(n, int) and n == 1:
        return q
    curve = _curve(p, q, n)
    return jnp.where(n == 1, q, majorant(curve, p, q))


def _curve(p: Law, q: Law, n: Scalar | int) -> Curve:
    """q(H)^n against p(H)."""
    if p.shape[0] <= SMALL:
        place, count = ranks(ratios.ratios(p, q)), len(p)
    else:
        place = ratios.ranges(p, q, BINS)
        count = BINS
    target, drafted = exact_sums.sums(place, count, p, q)
    outside = sums_onward(drafted)
    missed = miss_probability(outside / outside[0], n)
    return Curve(
        p=jnp.pad(jnp.cumsum(target), (1, 0)),
        inside=1 - jnp.append(missed, 0).at[0].set(1),
        place=place,
        drafted=drafted,
    )


def miss_probability(outside: Masses, n: Scalar | int) -> Masses:
    """P(a draft lies outside a set) = 1 - (1 - outside)^n.

    Args:
      outside: the q mass outside the set, of any shape.
      n: >= 1, the number of independent drafts.

    Returns:
      Probabilities of the same shape.
    """
    return -jnp.expm1(n * jnp.log1p(-jnp.minimum(outside, 1)))


def _sorted(p: Law, q: Law, n: int) -> Found:
    """The best set among all prefixes of the sorted tokens."""
    ratio = ratios.ratios(p, q)
    columns = (ratio, *exact_sums.words(p), *exact_sums.words(q))
    order, *words = jax.lax.sort(columns, num_keys=1, is_stable=False)
    sums = [jnp.pad(jnp.cumsum(word), (1, 0)) for word in words]
    p_high, p_low, q_high, q_low = sums

    def mass(high: Array, low: Array) -> Array:
        return exact_sums.value(high, low, p.shape[0], p.dtype)

    inside_p = mass(p_high, p_low)
    outside_q = mass(q_high[-1] - q_high, q_low[-1] - q_low)
    missed = miss_probability(outside_q / outside_q[0], n)
    values = divide(inside_p, mass(p_high[-1], p_low[-1])) + missed
    best = jnp.argmin(values)
    # equal ratios: p(H) - q(H)^n is concave along them, so that all of them are as good as some,
    # but for rounding
    within = ratio <= order[jnp.maximum(best - 1, 0)]
    return Found(values[best], values[best], within & (best > 0))

"""alpha* of independent drafts from one law: 1 + min over prefixes H of p(H) - q(H)^n."""

from functools import partial

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Float

from specjax import exact_sums
from specjax._types import Law, Scalar
from specjax.bounds import _prefix_search
from specjax.bounds._base import SORTED, Bracket, envelope, rounded, ulps
from specjax.bounds._prefix_search import Below, Cells, Edges, Found
from specjax.numerics import divide, total

CELLS = Cells(8, 64)


@partial(jax.custom_jvp, nondiff_argnums=(2,))
def bracket(p: Law, q: Law, n: int) -> Bracket:
    """1 + min over prefixes H of p(H) - q(H)^n."""
    return rounded(*best_set(p, q, n)[:2])


@bracket.defjvp
def _slope(n: int, laws: tuple[Law, Law], tangents: tuple[Law, Law]) -> tuple[Bracket, Bracket]:
    p, q = laws
    found = best_set(p, q, n)
    held = total(jnp.where(found.inside, q, 0))
    return bracket(p, q, n), envelope(
        found.inside, jnp.where(found.inside, n * held ** (n - 1), 0), tangents
    )


def best_set(p: Law, q: Law, n: int) -> Found:
    """The best set H for n independent drafts; `inside` is H, and p(H) - q(H)^n its slack.

    Cost: a sort up to V = 4096; beyond, two or three levels of a radix search.
    """
    if n == 1:
        value = total(jnp.minimum(p / total(p), q / total(q)))
        return Found(value, value, p < q)
    if p.shape[0] <= SORTED:
        return _sorted(p, q, n)
    return binned(p, q, n, ulps(2, p))


def binned(
    p: Law,
    q: Law,
    n: Scalar | int,
    tolerance: float,
) -> Found:
    """The same without a sort, for a number of drafts n >= 1 that may be traced."""

    def measure(below: Below) -> Edges:
        return Edges(
            below.p,
            below.inside,
            below.outside,
            miss_probability(below.outside / (below.inside + below.outside), n),
        )

    return _prefix_search.search(
        p, _prefix_search.keys(p, q), q, _prefix_search.no_moments(q), measure, CELLS, tolerance
    )


def miss_probability(outside: Float[Array, "..."], n: Scalar | int) -> Float[Array, "..."]:
    """P(a draft lies outside a set) = 1 - (1 - outside)^n, the q mass `outside` it given."""
    return -jnp.expm1(n * jnp.log1p(-jnp.minimum(outside, 1)))


def _sorted(p: Law, q: Law, n: int) -> Found:
    ratio = jnp.where(p > 0, p / q, 0)
    order, *columns = jax.lax.sort(
        (ratio, *exact_sums.words(p), *exact_sums.words(q)), num_keys=1, is_stable=False
    )
    sums = [jnp.pad(jnp.cumsum(column), (1, 0)) for column in columns]

    def mass(high: Array, low: Array) -> Array:
        return exact_sums.value(high, low, p.shape[0], p.dtype)

    outside = mass(sums[2][-1] - sums[2], sums[3][-1] - sums[3])
    values = divide(mass(*sums[:2]), mass(sums[0][-1], sums[1][-1])) + miss_probability(
        outside / outside[0], n
    )
    best = jnp.argmin(values)
    # equal ratios: p(H) - q(H)^n is concave along them, so that all of them are as good as some,
    # but for rounding
    return Found(
        values[best], values[best], (ratio <= order[jnp.maximum(best - 1, 0)]) & (best > 0)
    )

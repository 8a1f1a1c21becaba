"""The optimal levels for independent drafts, in closed form.

Let every draft draw a level that is uniform on [0, 1] whatever q is, more or less high as its token's p/q is, independently of the
others. A draft of level m wins with probability m^(n-1), so that a unit of q mass at level m is given Y(m) = n m^(n-1), whichever
tokens are there; if levels below m0 are refused, alpha = 1 - m0^n and token i is given q_i E[Y(M); M >= m0 | i]. By Strassen's theorem
levels with E[Y(M); M >= m0 | i] <= p_i / q_i for all i exist iff, with the tokens in order of p/q, the p of the first tokens is at least
the Y of the lowest levels, u^n - m0^n at their q mass u: that is, iff 1 - m0^n <= 1 + p(H) - q(H)^n for all prefixes H. The largest
alpha is alpha*, whose subset formula (hu2025towards) is thereby proved again, with a coupling that attains it.
"""

import jax.numpy as jnp
from jax import Array
from jaxtyping import Float

from specjax._types import Law, Scalar
from specjax.numerics import divide
from specjax.solvers.levels import Levels, capped
from specjax.solvers.nodes import Nodes


def levels(p: Law, q: Law, nodes: Nodes, n: int, live: Scalar) -> Levels:
    """The optimal rule for `live` of at most n independent drafts, on these nodes. Cost: B^2."""
    ends = jnp.cumsum(nodes.mass)
    starts = jnp.append(0, ends[:-1]).astype(ends.dtype)
    rate, power = jnp.ones_like(ends), starts
    for slots in range(1, n):  # (u^n - v^n) / (u - v), which no difference rounds
        rate, power = jnp.where(slots < live, ends * rate + power, rate), power * jnp.where(slots < live, starts, 1)
    reached, before = ends**live, starts**live
    refused = jnp.maximum(jnp.max(reached - jnp.cumsum(nodes.ratio * nodes.mass)), 0)  # 1 - alpha* on the nodes
    part = jnp.clip(divide(reached - refused, reached - before), 0, 1)
    open_cell = jnp.where(before >= refused, 1, part)
    supply = rate * open_cell
    swapped = swaps((nodes.ratio - supply) * nodes.mass, supply)
    # rounding may ask for more than a node has: scaled at both ends, the swap stays one of equal masses, and cells keep theirs
    scale = jnp.minimum(divide(nodes.mass, jnp.sum(swapped, 1)), 1)
    leaving = divide(swapped * jnp.minimum(scale[:, None], scale), nodes.mass[:, None])
    kernel = leaving + jnp.diag(jnp.maximum(1 - jnp.sum(leaving, 1), 0))
    return capped(nodes, kernel, open_cell, p, q * nodes.spread(kernel @ supply, jnp.arange(q.shape[0])))


def swaps(missing: Float[Array, " B"], supply: Float[Array, " B"]) -> Float[Array, "B B"]:
    """The mass that each two nodes swap, so that what one gets too much goes to one below it that gets too little.

    Node k starts in cell k, where a unit of its mass is given `supply[k]`, which rises with k. Excess and shortage are matched in order,
    the first shortage with the first excess; to move the amount T between k' < k the mass T / (supply[k] - supply[k']) of either
    takes the other's level. As ratios rise with k too, no node gives away more than it has: (supply[k] - ratio[k]) /
    (supply[k] - supply[k']) <= 1 since supply[k'] < ratio[k'] <= ratio[k].

    Args:
      missing: what a node lacks in its own cell; negative is excess.
    """
    short, over = (jnp.pad(jnp.cumsum(jnp.maximum(part, 0)), (1, 0)) for part in (missing, -missing))
    moved = jnp.minimum(short[1:, None], over[1:]) - jnp.maximum(short[:-1, None], over[:-1])
    swapped = divide(jnp.maximum(moved, 0), supply - supply[:, None])
    return swapped + swapped.T

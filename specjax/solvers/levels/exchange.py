"""The optimal levels for independent drafts, in closed form.

Let every draft draw a level that is uniform on [0, 1] whatever q is, more or less high as its
token's p/q is, independently of the others. A draft of level m wins with probability m^(n-1), so
that a unit of q mass at level m is given Y(m) = n m^(n-1), whichever tokens are there; if levels
below m0 are refused, alpha = 1 - m0^n and token i is given q_i E[Y(M); M >= m0 | i]. By Strassen's
theorem levels with E[Y(M); M >= m0 | i] <= p_i / q_i for all i exist iff, with the tokens in order
of p/q, the p of the first tokens is at least the Y of the lowest levels, u^n - m0^n at their q mass
u: that is, iff 1 - m0^n <= 1 + p(H) - q(H)^n for all prefixes H. The largest alpha is alpha*, whose
subset formula (hu2025towards) is thereby proved again, with a coupling that attains it.
"""

from typing import NamedTuple

import jax.numpy as jnp
from jax import Array
from jaxtyping import Float, Int

from specjax._types import Law, Scalar
from specjax.numerics import divide
from specjax.solvers.levels.grid import Nodes, PerNode
from specjax.solvers.levels.level_rule import Levels, capped


class Moves(NamedTuple):
    """A kernel by which a node keeps its own cells but for a part that it swaps for those of a few
    others.

    Attributes:
      low, high: [S], the nodes of each swap.
      up, down: [S], the part of `low` that takes cells of `high`, and the part of `high` that takes
        cells of `low`.
      stay: [B], the part that keeps its cells.
    """

    low: Int[Array, " S"]
    high: Int[Array, " S"]
    up: Float[Array, " S"]
    down: Float[Array, " S"]
    stay: PerNode

    def apply(self, own: Float[Array, "B *rest"]) -> Float[Array, "B *rest"]:
        """The kernel times what holds for the nodes' own cells. Cost: S rows."""
        up, down, stay = (
            part.reshape(part.shape + (1,) * (own.ndim - 1))
            for part in (self.up, self.down, self.stay)
        )
        return (
            (stay * own)
            .at[self.low]
            .add(up * own[self.high])
            .at[self.high]
            .add(down * own[self.low])
        )

    def kernel(self) -> Float[Array, "B B"]:
        """The kernel itself, where each node has one cell of its own."""
        return (
            jnp.diag(self.stay)
            .at[self.low, self.high]
            .add(self.up)
            .at[self.high, self.low]
            .add(self.down)
        )


def levels(
    p: Law,
    q: Law,
    nodes: Nodes,
    n: int,
    live: Scalar,
) -> Levels:
    """The optimal rule for `live` of at most n independent drafts, on these nodes. Cost: n B, and
    B^2 zeros.
    """
    ends = jnp.cumsum(nodes.mass)
    starts = jnp.append(0, ends[:-1]).astype(ends.dtype)
    rate = jnp.ones_like(ends)
    power = starts
    for slots in range(1, n):  # (u^n - v^n) / (u - v), which no difference rounds
        rate = jnp.where(slots < live, ends * rate + power, rate)
        power = power * jnp.where(slots < live, starts, 1)
    reached = ends**live
    before = starts**live
    # 1 - alpha* on the nodes
    refused = jnp.maximum(jnp.max(reached - jnp.cumsum(nodes.ratio * nodes.mass)), 0)
    part = jnp.clip(divide(reached - refused, reached - before), 0, 1)
    open_cell = jnp.where(before >= refused, 1, part)
    supply = rate * open_cell
    moves = swaps((nodes.ratio - supply) * nodes.mass, supply, nodes.mass)
    return capped(
        nodes,
        moves.kernel(),
        open_cell,
        p,
        q * nodes.spread(moves.apply(supply), jnp.arange(q.shape[0])),
    )


def swaps(missing: PerNode, supply: PerNode, mass: PerNode) -> Moves:
    """The moves by which what one node gets too much goes to one below it that gets too little.

    Node k starts in cells where a unit of its mass is given `supply[k]`, which rises with k. Excess
    and shortage are matched in order, the first shortage with the first excess, in S = 2 B steps;
    to move the amount T between k' < k the mass T / (supply[k] - supply[k']) of either takes the
    other's level. As ratios rise with k too, no node gives away more than it has: (supply[k] -
    ratio[k]) / (supply[k] - supply[k']) <= 1 since supply[k'] < ratio[k'] <= ratio[k]. Where
    rounding asks for more, the swap is scaled at both ends: it stays one of equal masses, and cells
    keep theirs.

    Args:
      missing: what a node lacks in its own cells; negative is excess.
      mass: of the nodes.
    """
    short, over = (jnp.cumsum(jnp.maximum(part, 0)) for part in (missing, -missing))
    low, high, moved = _matched(short, over)
    swapped = divide(moved, supply[high] - supply[low])
    asked = jnp.zeros_like(mass).at[low].add(swapped).at[high].add(swapped)
    scale = jnp.minimum(divide(mass, asked), 1)
    swapped = swapped * jnp.minimum(scale[low], scale[high])
    up = divide(swapped, mass[low])
    down = divide(swapped, mass[high])
    stay = jnp.maximum(1 - jnp.zeros_like(mass).at[low].add(up).at[high].add(down), 0)
    return Moves(low, high, up, down, stay)


def _matched(
    short: PerNode, over: PerNode
) -> tuple[Int[Array, " S"], Int[Array, " S"], Float[Array, " S"]]:
    """Two running sums in step: at each step the entry of either that grows, and by how much both
    do; 0 where one is spent.
    """
    size = len(short)
    steps = jnp.arange(2 * len(short))
    is_short = (
        jnp.zeros(2 * size, jnp.int32).at[jnp.searchsorted(over, short) + steps[:size]].set(1)
    )
    low = jnp.cumsum(is_short) - is_short
    low, high = jnp.minimum(low, size - 1), jnp.minimum(steps - low, size - 1)
    ends = jnp.where(is_short > 0, short[low], over[high])
    return low, high, jnp.diff(jnp.minimum(ends, jnp.minimum(short[-1], over[-1])), prepend=0)

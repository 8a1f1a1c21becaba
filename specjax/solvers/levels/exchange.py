"""The optimal levels for independent drafts, in closed form.

Let every draft draw a level that is uniform on [0, 1] whatever q is, more or less high as its
token's p/q is, independently of the others.

1. A draft of level m wins with probability m^(n-1). So a unit of q mass at level m is allocated
   Y(m) = n m^(n-1), whichever tokens are there.
2. If levels below m0 are refused, alpha = 1 - m0^n, and token i is allocated
   q_i E[Y(M); M >= m0 | i].
3. Order the tokens by p/q. By Strassen's theorem levels with E[Y(M); M >= m0 | i] <= p_i / q_i for
   all i exist iff the p of the first tokens is at least the Y of the lowest levels, u^n - m0^n at
   their q mass u.
4. That is the case iff 1 - m0^n <= 1 + p(H) - q(H)^n for all prefixes H.

So the largest alpha is alpha*. Its subset formula (hu2025towards) is thereby proved again, with a
coupling that attains it.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Bool, Float, Int

from specjax._types import Count, Law, Scalar
from specjax.bounds import iid
from specjax.numerics import divide, rounding_error, total
from specjax.solvers.levels import grid, level_rule
from specjax.solvers.levels.grid import Nodes, PerNode
from specjax.solvers.levels.level_rule import Levels, capped

Values = Float[Array, "B *rest"]
Ends = Int[Array, " S"]
Parts = Float[Array, " S"]


class Moves(NamedTuple):
    """A kernel by which a node swaps a part of its cells for cells of a few other nodes.

    Attributes:
      low: [S], the lower node of each swap.
      high: [S], the higher node of each swap.
      up: [S], the part of `low` that takes cells of `high`.
      down: [S], the part of `high` that takes cells of `low`.
      stay: [B], the part that keeps its cells.
    """

    low: Ends
    high: Ends
    up: Parts
    down: Parts
    stay: PerNode

    def apply(self, own: Values) -> Values:
        """The kernel times values that hold for the nodes' own cells.

        Args:
          own: ``[B, *rest]``, the values.

        Returns:
          ``[B, *rest]``, the values of the nodes after the swaps.

        Cost: S rows.
        """
        rest = (1,) * (own.ndim - 1)
        up = self.up.reshape(self.up.shape + rest)
        down = self.down.reshape(self.down.shape + rest)
        stay = self.stay.reshape(self.stay.shape + rest)
        swapped = (stay * own).at[self.low].add(up * own[self.high])
        return swapped.at[self.high].add(down * own[self.low])

    def kernel(self) -> Float[Array, "B B"]:
        """The kernel itself, if each node has one cell of its own."""
        upward = jnp.diag(self.stay).at[self.low, self.high].add(self.up)
        return upward.at[self.high, self.low].add(self.down)


class _Supply(NamedTuple):
    """What the nodes' own cells allocate.

    Attributes:
      supply: [B], the allocation of a unit of mass in each node's cell.
      open_cell: [B], the probability that a winner in this cell is not refused.
    """

    supply: PerNode
    open_cell: PerNode


def solve(
    p: Law,
    q: Law,
    n: int,
    live: Count,
    everywhere: Bool[Array, ""] | bool = False,
) -> Levels:
    """The optimal rule.

    Args:
      p: [V], the target distribution.
      q: [V], the draft distribution.
      n: the largest number of drafts; static.
      live: how many are drawn, at most n; 0 counts as 1.
      everywhere: whether all prefixes may be nearly best, so that the nodes of a large vocabulary
        are spread over all ratios in place of the end of the best set.

    Returns:
      The rule.

    Cost: that of the best set and of `levels`.
    """
    p, q = jax.lax.stop_gradient((p, q))
    if n == 1 and p.shape[0] > grid.SMALL:
        # below, it is solved for, so as to round as a masked set with one draft left does
        return level_rule.single(p, q)
    slots = jnp.maximum(live, 1).astype(p.dtype)
    inside = total(jnp.where(iid.binned(p, q, slots, rounding_error(p)).inside, q, 0))
    edge = slots * inside ** (slots - 1)
    spaced = grid.grid(slots, edge, grid.even(slots, grid.EVEN))
    if everywhere is not False and p.shape[0] > grid.SMALL:
        spaced = jnp.where(everywhere, grid.spread(p, q, slots), spaced)
    nodes = grid.place(p, q, slots, spaced)
    return levels(p, q, nodes, n, slots)


def levels(
    p: Law,
    q: Law,
    nodes: Nodes,
    n: int,
    live: Scalar,
) -> Levels:
    """The optimal rule on these nodes.

    Args:
      p: [V], the target distribution.
      q: [V], the draft distribution.
      nodes: of p and q.
      n: the largest number of drafts; static.
      live: in [1, n], the number of drafts, a float.

    Returns:
      The rule.

    Cost: n B, and B^2 zeros. Source: specjax2026, after hu2025towards.
    """
    supply, open_cell = _supply(nodes, n, live)
    missing = (nodes.ratio - supply) * nodes.mass
    moves = swaps(missing, supply, nodes.mass)
    tokens = jnp.arange(q.shape[0])
    allocated = q * nodes.spread(moves.apply(supply), tokens)
    return capped(nodes, moves.kernel(), open_cell, p, allocated)


def _supply(nodes: Nodes, n: int, live: Scalar) -> _Supply:
    """The allocation of the nodes' own cells, which fill [0, 1] in order."""
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
    excess = reached - jnp.cumsum(nodes.ratio * nodes.mass)
    refused = jnp.maximum(jnp.max(excess), 0)
    part = jnp.clip(divide(reached - refused, reached - before), 0, 1)
    open_cell = jnp.where(before >= refused, 1, part)
    return _Supply(rate * open_cell, open_cell)


def swaps(missing: PerNode, supply: PerNode, mass: PerNode) -> Moves:
    """The moves of excess to lower nodes that are short.

    Node k starts in cells in which a unit of its mass is allocated `supply[k]`, which rises with k.
    Excess and shortage are matched in order, the first shortage with the first excess, in S = 2 B
    steps. To move the amount T between k' < k, the mass T / (supply[k] - supply[k']) of either
    takes the other's level. Ratios rise with k too, so no node gives away more than it has:
    (supply[k] - ratio[k]) / (supply[k] - supply[k']) <= 1 since supply[k'] < ratio[k'] <= ratio[k].
    If rounding asks for more, the swap is scaled at both ends. So it stays a swap of equal masses,
    and cells keep their masses.

    Args:
      missing: [B], what a node lacks in its own cells; negative is excess.
      supply: [B], rising.
      mass: [B], of the nodes.

    Returns:
      The moves.

    Cost: 2 B steps of running sums.
    """
    short = jnp.cumsum(jnp.maximum(missing, 0))
    over = jnp.cumsum(jnp.maximum(-missing, 0))
    low, high, moved = _matched(short, over)
    swapped = divide(moved, supply[high] - supply[low])
    asked = _at_ends(low, high, swapped, swapped, mass)
    scale = jnp.minimum(divide(mass, asked), 1)
    swapped = swapped * jnp.minimum(scale[low], scale[high])
    up = divide(swapped, mass[low])
    down = divide(swapped, mass[high])
    stay = jnp.maximum(1 - _at_ends(low, high, up, down, mass), 0)
    return Moves(low=low, high=high, up=up, down=down, stay=stay)


def _at_ends(
    low: Ends,
    high: Ends,
    at_low: Parts,
    at_high: Parts,
    like: PerNode,
) -> PerNode:
    """The sums over the swaps at each node."""
    return jnp.zeros_like(like).at[low].add(at_low).at[high].add(at_high)


class _Matched(NamedTuple):
    """Pairs of entries of two running sums, and by how much both sums grow in each pair."""

    low: Ends
    high: Ends
    moved: Parts


def _matched(short: PerNode, over: PerNode) -> _Matched:
    """Two running sums in step.

    At each step one entry of either sum is being filled, and both sums grow by the same amount; the
    amount is 0 once one of them is spent.
    """
    size = len(short)
    steps = jnp.arange(2 * size)
    places = jnp.searchsorted(over, short) + steps[:size]
    is_short = jnp.zeros(2 * size, jnp.int32).at[places].set(1)
    before = jnp.cumsum(is_short) - is_short
    low = jnp.minimum(before, size - 1)
    high = jnp.minimum(steps - before, size - 1)
    ends = jnp.where(is_short > 0, short[low], over[high])
    spent = jnp.minimum(short[-1], over[-1])
    moved = jnp.diff(jnp.minimum(ends, spent), prepend=0)
    return _Matched(low, high, moved)

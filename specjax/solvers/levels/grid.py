"""A vocabulary as a few hundred nodes of p/q, each token at one or between two of them.

A token of ratio r lies between the nodes r_a <= r <= r_b. It is taken as one of ratio r_a with
probability (r_b - r) / (r_b - r_a), and as one of ratio r_b otherwise. What it may be allocated,
its p, is thus kept exactly, whatever the nodes. Only the curve of p against q is lowered between
them, by (r_b - r_a) dq / 4 at most. An optimum is lost only where the curve comes as near to its
lowest point as that. So the nodes crowd, in geometric steps, at the ratio where the best set ends,
and the likeliest tokens are nodes of their own.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Float, Int

from specjax import exact_sums
from specjax._types import Count, Law, Scalar
from specjax.numerics import divide, top_tokens
from specjax.numerics.ratios import range_ends, ranges

SMALL = 512  # a vocabulary no larger is its own set of nodes, and nothing is lost
COUNT = 256  # nodes of a larger one
HEADS = 32  # likeliest tokens that are nodes
NEAR = 48  # nodes on either side of the edge
CLOSEST = 1e-5  # the first step away from the edge
SPAN = 16.0  # natural logarithms below the largest ratio that the even nodes cover
SPACED = COUNT - HEADS  # the other nodes
EVEN = SPACED - 2 * NEAR - 2  # even nodes; the edge and 0 are nodes as well
FINE = 2048  # ranges of p/q by which nodes are spread

PerNode = Float[Array, " B"]
PerToken = Int[Array, " V"]
Kernel = Float[Array, "B C"]  # the distribution of the level cell of each node


class Nodes(NamedTuple):
    """The nodes by ratio ascending, and where the tokens are.

    Attributes:
      ratio: [B], p/q, at most the largest that was asked for.
      mass: [B], the q mass there.
      left: [V], the node at or below each token's ratio.
      share: [V], the part of the token that is at the node above.
    """

    ratio: PerNode
    mass: PerNode
    left: PerToken
    share: Law

    def spread(self, at_nodes: Float[Array, "B *rest"], tokens: Int[Array, "..."]) -> Array:
        """Values that are linear in the node, at some tokens.

        Args:
          at_nodes: ``[B, *rest]``, the values at the nodes.
          tokens: [...], in [0, V).

        Returns:
          ``[..., *rest]``, the values at the tokens.
        """
        left = self.left[tokens]
        right = jnp.minimum(left + 1, at_nodes.shape[0] - 1)
        rest = (1,) * (at_nodes.ndim - 1)
        share = self.share[tokens].reshape(left.shape + rest)
        return at_nodes[left] * (1 - share) + at_nodes[right] * share


def place(p: Law, q: Law, largest: Scalar, spaced: PerNode) -> Nodes:
    """The nodes of a pair of distributions.

    Args:
      p: [V], the target distribution.
      q: [V], the draft distribution.
      largest: ratios beyond it are as good as it.
      spaced: [SPACED], ratios of nodes for a large vocabulary, from 0 to `largest`.

    Returns:
      One node a token up to V = 512, and 256 nodes beyond.

    Cost: a search of every token among 256 nodes, or a sort up to V = 512.
    """
    ratio = jnp.where(q > 0, jnp.minimum(p / q, largest), largest)
    size = p.shape[0]
    if size <= SMALL:
        order = jnp.argsort(ratio)
        ranks = jnp.arange(size, dtype=jnp.int32)
        own = jnp.zeros(size, jnp.int32).at[order].set(ranks)
        return Nodes(ratio[order], q[order], own, jnp.zeros_like(q))
    heads = ratio[top_tokens(q, HEADS)]
    at_nodes = jnp.sort(jnp.append(spaced, heads))
    left, share = between(at_nodes, ratio)
    return Nodes(at_nodes, masses(q, left, share, COUNT), left, share)


def spread(p: Law, q: Law, largest: Scalar) -> PerNode:
    """Nodes that lower the curve of p against q everywhere by about as much.

    Between nodes r_a, r_b it is lowered by (r_b - r_a) dq / 4. So their density is that of the
    square root of dr dq, summed over ranges of p/q.

    Args:
      p: [V], the target distribution.
      q: [V], the draft distribution.
      largest: the last ratio.

    Returns:
      [SPACED], ratios in [0, largest], in order.

    Cost: one scatter of V rows.
    """
    others = q.at[top_tokens(q, HEADS)].set(0)
    (mass,) = exact_sums.sums(ranges(p, q, FINE), FINE, others)
    ends = jnp.minimum(range_ends(p.dtype, FINE), largest)
    weight = jnp.sqrt(jnp.diff(ends) * mass)
    filled = jnp.pad(jnp.cumsum(weight), (1, 0))
    steps = jnp.linspace(0, 1, SPACED, dtype=p.dtype)
    return jnp.interp(steps * filled[-1], filled, ends).at[-1].set(largest)


def grid(largest: Scalar, edge: Scalar, even: Float[Array, " E"]) -> PerNode:
    """The nodes `even` and, on either side of `edge`, NEAR more in geometric steps, in order.

    Args:
      largest: the last ratio.
      edge: the ratio around which nodes crowd.
      even: [E], further ratios.

    Returns:
      [E + 2 NEAR + 2], ratios in [0, largest].
    """
    logs = jnp.linspace(np.log(CLOSEST), 0, NEAR, dtype=edge.dtype)
    steps = jnp.exp(logs)
    ends = jnp.stack([jnp.zeros_like(edge), edge])
    below = edge * (1 - steps)
    above = edge + (largest - edge) * steps
    return jnp.sort(jnp.concatenate([ends, below, above, even]))


def even(largest: Scalar, count: int) -> Float[Array, " E"]:
    """So many ratios up to `largest`, in even steps of their logarithm."""
    return largest * jnp.exp(jnp.linspace(-SPAN, 0, count, dtype=largest.dtype))


def between(at_nodes: PerNode, ratio: Law) -> tuple[PerToken, Law]:
    """The node at or below each ratio, and the share of the node above.

    Args:
      at_nodes: [B], ratios ascending.
      ratio: [V], of the tokens.

    Returns:
      [V], nodes in [0, B - 2]; and [V], shares in [0, 1].

    Cost: log2(B) passes over V.
    """
    left = jnp.minimum(_below(at_nodes, ratio), at_nodes.shape[0] - 2)
    low = at_nodes[left]
    high = at_nodes[left + 1]
    return left, jnp.clip(divide(ratio - low, high - low), 0, 1)


def _below(at_nodes: PerNode, ratio: Law) -> PerToken:
    """The last node at or below each ratio, or the first one.

    This is `searchsorted` in half the passes, since the steps are the same for all.
    """
    count = at_nodes.shape[0]
    steps = (count - 1).bit_length()
    spare = (1 << steps) - count
    table = jnp.pad(at_nodes, (0, spare), constant_values=jnp.inf)

    def halve(turn: Count, left: PerToken) -> PerToken:
        step = len(table) >> (turn + 1)
        middle = table.at[left + step].get(mode="promise_in_bounds")
        return left + jnp.where(middle <= ratio, step, 0)

    first = jnp.zeros(ratio.shape, jnp.int32)
    found: PerToken = jax.lax.fori_loop(0, steps, halve, first)
    return found


def masses(weight: Law, left: PerToken, share: Law, count: int) -> PerNode:
    """The weight at each node, summed exactly.

    Args:
      weight: [V], of the tokens, at most 3 in all.
      left: [V], the node at or below each token.
      share: [V], the part of each token that is at the node above.
      count: how many nodes there are.

    Returns:
      [count], weights.

    Cost: one scatter of V rows.
    """
    above = weight * share
    here, there = exact_sums.sums(left, count, weight - above, above)
    return here + jnp.pad(there[:-1], (1, 0))

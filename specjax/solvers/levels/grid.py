"""A vocabulary as a few hundred nodes of p/q, each token at one or between two of them.

A token of ratio r between the nodes r_a <= r <= r_b is taken as one of ratio r_a with probability
(r_b - r) / (r_b - r_a), and as one of ratio r_b otherwise. What it may be given, its p, is thus
kept exactly, whatever the nodes; only the curve of p against q is lowered between them, by (r_b -
r_a) dq / 4 at most. An optimum is lost only where the curve comes as near to its lowest point as
that: so the nodes crowd, in geometric steps, at the ratio where the best set ends, and the
likeliest tokens are nodes of their own.
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

SMALL = 512  # a vocabulary no larger is its own set of nodes, and nothing is lost
COUNT = 256  # nodes of a larger one
HEADS = 32  # likeliest tokens that are nodes
NEAR = 48  # nodes on either side of the edge
CLOSEST = 1e-5  # the first step away from the edge
SPAN = 16.0  # natural logarithms below the largest ratio that the even nodes cover


PerNode = Float[Array, " B"]
Kernel = Float[Array, "B C"]  # the law of the level cell of each node


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
    left: Int[Array, " V"]
    share: Law

    def spread(self, at_nodes: Float[Array, "B *rest"], tokens: Int[Array, "..."]) -> Array:
        """What is linear in the node, at some tokens."""
        left = self.left[tokens]
        share = self.share[tokens].reshape(left.shape + (1,) * (at_nodes.ndim - 1))
        return (
            at_nodes[left] * (1 - share)
            + at_nodes[jnp.minimum(left + 1, at_nodes.shape[0] - 1)] * share
        )


def place(
    p: Law,
    q: Law,
    largest: Scalar,
    edge: Scalar,
) -> Nodes:
    """The nodes of a pair of laws. Cost: a search of every token among 256 nodes, or a sort up to V
    = 512.

    Args:
      largest: ratios beyond it are as good as it.
      edge: the ratio where resolution matters, in [0, largest].
    """
    ratio = jnp.where(q > 0, jnp.minimum(p / q, largest), largest)
    size = p.shape[0]
    if size <= SMALL:
        order = jnp.argsort(ratio)
        left = jnp.zeros(size, jnp.int32).at[order].set(jnp.arange(size, dtype=jnp.int32))
        return Nodes(ratio[order], q[order], left, jnp.zeros_like(q))
    at_nodes = jnp.append(
        grid(largest, edge, even(largest, COUNT - HEADS - 2 * NEAR - 2), NEAR, CLOSEST),
        ratio[top_tokens(q, HEADS)],
    )
    at_nodes = jnp.sort(at_nodes)
    left, share = between(at_nodes, ratio)
    return Nodes(at_nodes, masses(q, left, share, COUNT), left, share)


def grid(
    largest: Scalar,
    edge: Scalar,
    even: Float[Array, " E"],
    near: int,
    closest: float,
) -> PerNode:
    """The nodes `even` and, on either side of `edge`, `near` more in geometric steps from `closest`
    on, in order.
    """
    steps = jnp.exp(jnp.linspace(np.log(closest), 0, near, dtype=edge.dtype))
    ends = jnp.stack([jnp.zeros_like(edge), edge])
    return jnp.sort(
        jnp.concatenate([ends, edge * (1 - steps), edge + (largest - edge) * steps, even])
    )


def even(largest: Scalar, count: int) -> Float[Array, " E"]:
    """Ratios up to `largest`, in even steps of their logarithm."""
    return largest * jnp.exp(jnp.linspace(-SPAN, 0, count, dtype=largest.dtype))


def between(at_nodes: PerNode, ratio: Law) -> tuple[Int[Array, " V"], Law]:
    """The node at or below each ratio, and the share of the one above. Cost: log2(B) passes
    over V.
    """
    left = jnp.minimum(_below(at_nodes, ratio), at_nodes.shape[0] - 2)
    low = at_nodes[left]
    high = at_nodes[left + 1]
    return left, jnp.clip(divide(ratio - low, high - low), 0, 1)


def _below(at_nodes: PerNode, ratio: Law) -> Int[Array, " V"]:
    """The last node at or below each ratio, or the first: `searchsorted` in half the passes, as the
    steps are the same for all.
    """
    steps = (at_nodes.shape[0] - 1).bit_length()
    table = jnp.pad(at_nodes, (0, (1 << steps) - at_nodes.shape[0]), constant_values=jnp.inf)

    def halve(turn: Count, left: Int[Array, " V"]) -> Int[Array, " V"]:
        step = len(table) >> (turn + 1)
        return left + jnp.where(
            table.at[left + step].get(mode="promise_in_bounds") <= ratio, step, 0
        )

    return jax.lax.fori_loop(0, steps, halve, jnp.zeros(ratio.shape, jnp.int32))


def masses(
    weight: Law,
    left: Int[Array, " V"],
    share: Law,
    count: int,
) -> PerNode:
    """The weight at each node, summed exactly."""
    above = weight * share
    here, there = exact_sums.sums(left, count, weight - above, above)
    return here + jnp.pad(there[:-1], (1, 0))

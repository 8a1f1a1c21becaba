"""What verifiers share that accept from the leaves up: every node is tried after all below it, and
the walk ends at the first accepted.

No draw decides what is tried next: where node i is tried, all before it failed. So one number for
each node, its chance of acceptance then, says everything: `law` multiplies the chances out, `walk`
compares each with a uniform of its own.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Bool, Float, Int

from specjax._types import Law
from specjax.numerics import coin, divide, draw, residual
from specjax.trees import NO_NODE, ROOT, Draft, Topology, Verdict
from specjax.verifiers._base import Walk
from specjax.verifiers._nodes import node_view


class Ends(NamedTuple):
    """Where a walk may end.

    Attributes:
      accept: [N], chance that the walk ends at node i once all nodes before it have failed; 1 at
        the root, 0 where none was drawn.
      scale: [N], c of the law (p - c q)+ of the next token there; 0 where nothing hangs below.
    """

    accept: Float[Array, " N"]
    scale: Float[Array, " N"]


def after_failure(weight: Array, surplus: Array) -> Array:
    """S / (S + 1 - w): the weight of a node after the child below it failed; 1 stays 1, also where
    nothing is left (p = q).
    """
    return jnp.where(weight < 1, divide(surplus, surplus + (1 - weight)), 1)


def postorder(topology: Topology) -> Int[Array, " N"]:
    """When each node is tried: after all below it, siblings in the order of their slots; N where it
    never is. Cost: N^2 bits, no V.

    A node is tried if it and all above it were drawn and hang below their parents: of a tree grown
    while drafting, the nodes that were not drawn hang nowhere.
    """
    above = topology.ancestors()
    children = jnp.asarray(topology.children)
    hangs = (
        jnp.zeros(topology.nodes, bool)
        .at[ROOT]
        .set(True)
        .at[jnp.where(children == NO_NODE, ROOT, children)]
        .set(True)
    )
    live = ~jnp.any(above & ~(hangs & topology.active), 1)
    sizes = jnp.sum(above & live[:, None], 0)
    below = jnp.where(children == NO_NODE, 0, sizes[children])
    earlier = jnp.cumsum(below, 1) - below  # nodes under the siblings before
    skipped = (
        jnp.zeros_like(sizes)
        .at[jnp.where(children == NO_NODE, topology.nodes, children)]
        .set(earlier, mode="drop")
    )
    return jnp.where(live, above @ skipped + sizes - 1, topology.nodes)


def law(ends: Ends, draft: Draft, p: Float[Array, "N V"]) -> Float[Array, "N V"]:
    """[i, y]: probability that the walk ends at node i and emits y next. Cost: one pass over [N,
    V].
    """
    turn = postorder(draft.topology)
    fail = jnp.ones_like(ends.accept).at[turn].set(1 - ends.accept, mode="drop")
    reached = (
        jnp.concatenate([jnp.ones_like(fail[:1]), jnp.cumprod(fail)[:-1]])
        .at[turn]
        .get(mode="fill", fill_value=0)
    )

    def ends_at(node: Int[Array, ""]) -> Law:
        return (
            reached[node] * ends.accept[node] * residual(p[node], ends.scale[node] * draft.q[node])
        )

    # Row by row: all at once, XLA computes residuals twice and rounds them twice.
    return jax.lax.map(ends_at, jnp.arange(p.shape[0]))


def walk(
    uniforms: Float[Array, "U 2"],
    ends: Ends,
    draft: Draft,
    p: Float[Array, "N V"],
) -> Walk:
    """The walk that N + 1 uniforms select: one for each node, the last for the token of the target.
    Cost: one row of V.
    """
    topology = draft.topology
    hits = coin(uniforms[:-1], ends.accept)
    end = jnp.argmin(jnp.where(hits, postorder(topology), topology.nodes))
    token = draw(residual(p[end], ends.scale[end] * draft.q[end]), uniforms[-1])
    verdict = _verdict(draft, topology.ancestors()[end], end, token)
    proposed = jnp.sum(jax.vmap(node_view, (None, 0))(draft, verdict.path).mask, 1, dtype=jnp.int32)
    return Walk(
        verdict,
        jnp.where(verdict.path == NO_NODE, 0, proposed),
        jnp.full(verdict.path.shape, jnp.nan, p.dtype),
    )


def _verdict(
    draft: Draft,
    visited: Bool[Array, " N"],
    end: Int[Array, ""],
    token: Int[Array, ""],
) -> Verdict:
    depth = jnp.asarray(draft.topology.depth)
    steps = draft.topology.height + 1
    slots = jnp.where(visited, depth, steps)  # beyond the end: dropped
    path = (
        jnp.full(steps, NO_NODE, jnp.int32)
        .at[slots]
        .set(jnp.arange(depth.shape[0], dtype=jnp.int32), mode="drop")
    )
    drafts = draft.tokens[jnp.append(path[1:], NO_NODE)].astype(jnp.int32)
    length = depth[end].astype(jnp.int32) + 1
    rows = jnp.arange(steps)
    tokens = jnp.where(rows < length - 1, drafts, jnp.where(rows == length - 1, token, 0))
    return Verdict(tokens, length, path)

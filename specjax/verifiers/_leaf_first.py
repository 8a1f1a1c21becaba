"""What verifiers share that accept from the leaves up.

Every node is tried after all nodes below it, and the walk ends at the first accepted node. No draw
decides what is tried next: once node i is tried, all nodes before it have failed. So one number for
each node says everything: its chance of acceptance at that time. `law` multiplies the chances out,
and `walk` compares each with a uniform of its own.
"""

from abc import abstractmethod
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array
from jax.typing import DTypeLike
from jaxtyping import Bool, Int

from specjax._types import Index, Law, NodeLaws, PerNode, Uniforms
from specjax.numerics import coin, divide, draw, residual
from specjax.trees import NO_NODE, ROOT, Draft, Topology, Verdict
from specjax.verifiers._base import Verifier, Walk
from specjax.verifiers._nodes import node_view


class Ends(NamedTuple):
    """Where a walk may end.

    Attributes:
      accept: [N], chance that the walk ends at node i once all nodes before it have failed; 1 at
        the root, 0 at a node that was not drawn.
      scale: [N], c of the law (p - c q)+ of the next token there; 0 if nothing hangs below.
    """

    accept: PerNode
    scale: PerNode


class LeafFirst(Verifier):
    """A verifier that accepts from the leaves up; it states where its walk may end."""

    @abstractmethod
    def ends(self, draft: Draft, p: NodeLaws) -> Ends:
        """Where the walk may end."""
        ...

    def law(self, draft: Draft, p: NodeLaws) -> NodeLaws:
        return law(self.ends(draft, p), draft, p)

    def walk(self, uniforms: Uniforms, draft: Draft, p: NodeLaws) -> Walk:
        """The walk that N + 1 uniforms select.

        There is one uniform for each node, and the last is for the token of the target.
        """
        return walk(uniforms, self.ends(draft, p), draft, p)


def after_failure(weight: Array, surplus: Array) -> Array:
    """The weight S / (S + 1 - w) of a node after the child below it failed.

    A weight of 1 stays 1, also if nothing is left (p = q).
    """
    return jnp.where(weight < 1, divide(surplus, surplus + (1 - weight)), 1)


def postorder(topology: Topology) -> Int[Array, " N"]:
    """When each node is tried; N for a node that is never tried.

    A node is tried after all nodes below it, and siblings are tried in the order of their slots. A
    node is tried if it and all nodes above it were drawn and hang below their parents. In a tree
    that grows while drafting, nodes that were not drawn hang nowhere.

    Cost: N^2 bits, no V.
    """
    above = topology.ancestors()
    children = jnp.asarray(topology.children)
    absent = children == NO_NODE
    hangs = jnp.zeros(topology.nodes, bool).at[ROOT].set(True)
    hangs = hangs.at[jnp.where(absent, ROOT, children)].set(True)
    drawn = hangs & topology.active
    live = ~jnp.any(above & ~drawn, 1)
    sizes = jnp.sum(above & live[:, None], 0)
    below = jnp.where(absent, 0, sizes[children])
    earlier = jnp.cumsum(below, 1) - below  # nodes under the siblings before
    slots = jnp.where(absent, topology.nodes, children)  # beyond the end: dropped
    skipped = jnp.zeros_like(sizes).at[slots].set(earlier, mode="drop")
    turn = above @ skipped + sizes - 1
    return jnp.where(live, turn, topology.nodes)


def law(ends: Ends, draft: Draft, p: NodeLaws) -> NodeLaws:
    """The probability that the walk ends at node i and emits y next, at [i, y].

    Cost: one pass over [N, V].
    """
    turn = postorder(draft.topology)
    certain = jnp.ones_like(ends.accept)
    fail = certain.at[turn].set(1 - ends.accept, mode="drop")
    by_turn = jnp.concatenate([certain[:1], jnp.cumprod(fail)[:-1]])
    reached = by_turn.at[turn].get(mode="fill", fill_value=0)

    def ends_at(node: Index) -> Law:
        chance = reached[node] * ends.accept[node]
        return chance * residual(p[node], ends.scale[node] * draft.q[node])

    # Row by row: all at once, XLA computes residuals twice and rounds them twice.
    rows: NodeLaws = jax.lax.map(ends_at, jnp.arange(p.shape[0]))
    return rows


def walk(uniforms: Uniforms, ends: Ends, draft: Draft, p: NodeLaws) -> Walk:
    """The walk that N + 1 uniforms select.

    There is one uniform for each node, and the last is for the token of the target.

    Cost: one row of V.
    """
    topology = draft.topology
    hits = coin(uniforms[:-1], ends.accept)
    turn = jnp.where(hits, postorder(topology), topology.nodes)
    end = jnp.argmin(turn)
    rest = residual(p[end], ends.scale[end] * draft.q[end])
    return walk_to(draft, end, draw(rest, uniforms[-1]), p.dtype)


def walk_to(draft: Draft, end: Index, token: Index, dtype: DTypeLike) -> Walk:
    """The walk that ends at a node and emits a token there.

    Args:
      draft: the drawn tree.
      end: the node.
      token: what the target adds.
      dtype: of the laws.
    """
    verdict = _verdict(draft, draft.topology.ancestors()[end], end, token)
    path = verdict.path
    views = jax.vmap(node_view, (None, 0))(draft, path)
    proposed = jnp.sum(views.mask, 1, dtype=jnp.int32)
    return Walk(
        verdict,
        proposed=jnp.where(path == NO_NODE, 0, proposed),
        law_mass=jnp.full(path.shape, jnp.nan, dtype),
    )


def _verdict(draft: Draft, visited: Bool[Array, " N"], end: Index, token: Index) -> Verdict:
    depth = jnp.asarray(draft.topology.depth)
    steps = draft.topology.height + 1
    slots = jnp.where(visited, depth, steps)  # beyond the end: dropped
    nodes = jnp.arange(depth.shape[0], dtype=jnp.int32)
    path = jnp.full(steps, NO_NODE, jnp.int32).at[slots].set(nodes, mode="drop")
    accepted = jnp.append(path[1:], NO_NODE)
    drafts = draft.tokens[accepted].astype(jnp.int32)
    last = depth[end].astype(jnp.int32)
    rows = jnp.arange(steps)
    ending = jnp.where(rows == last, token, 0)
    tokens = jnp.where(rows < last, drafts, ending)
    return Verdict(tokens, last + 1, path)

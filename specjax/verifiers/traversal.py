"""Traversal verification: a tree is verified from its leaves to its root."""

from collections.abc import Callable
from typing import ClassVar, NamedTuple

import jax
import jax.numpy as jnp

from specjax._types import Claims, Index, Law, NodeLaws, Scalar
from specjax.numerics import acceptance_probability, divide, tiny, total
from specjax.trees import ROOT, Draft
from specjax.verifiers._base import check_scheme, register
from specjax.verifiers._leaf_first import Ends, LeafFirst, after_failure
from specjax.verifiers._nodes import Node, PerSlot, node_view


@register
class Traversal(LeafFirst):
    """Tries every subtree before its root, and passes what is left to the next sibling.

    A child x starts with weight min(1, w r(x) / d(x)). If x and all nodes below it fail, r ~ (w r -
    d)+. A node starts with the weight w that its parent gave it, with r = p, and with the law d of
    its next draft. d is q, or, without replacement, q without the drafts before. A failed child
    leaves w = S / (S + 1 - w), S = sum (w r - d)+. Once all children failed, the node is accepted
    with probability w, and r is the law of the next token. On one path this is block verification.

    No weight depends on what happens below, and every residual has the form (p - c q)+. So only
    scalars travel, from parents to children: c grows by Z / (w left), Z = sum (p - c q)+. `left` is
    the q mass that is not yet drafted (1 with replacement).

    The verifier is sequential: a leaf x drawn as the last child of a node splits what the node
    emits, min(d, w r)(x) + (w r - d)+(x) = w r(x). So a tree that is grown draw by draw emits the
    target. The condition is that the place of the next draw is settled before its token is known.

    Cost: one pass over p_i and q_i for each child of node i, and one row at the end; without
    replacement one more pass over each q_i. Source: weng2025traversal.

    Raises:
      ValueError: the scheme's drafts are not drawn one by one from q, or q without those before.

    Example:
      >>> import jax.numpy as jnp
      >>> from specjax import trees, verifiers
      >>> p, q = jnp.array([[0.5, 0.3, 0.2]] * 3), jnp.array([[0.2, 0.3, 0.5]] * 3)
      >>> draft = trees.Draft(trees.star(2), jnp.array([0, 2, 1]), q, "iid")
      >>> round(float(verifiers.Traversal().law(draft, p).sum()), 3)
      1.0
    """

    name: ClassVar[str]
    claims = Claims(
        lossless=True,
        drafting=frozenset({"iid", "without_replacement"}),
        source="weng2025traversal",
        sequential=True,
    )

    def ends(self, draft: Draft, p: NodeLaws) -> Ends:
        """The weight of each node after all of its children failed, and its c then."""
        at_node = check_scheme("traversal", self.claims, draft.scheme)
        left_of = _LEFT[at_node]

        def visit(node: Index, ends: Ends) -> Ends:
            view = node_view(draft, node)
            q = draft.q[node]
            left = left_of(view, q)
            tried = _try_children(view, p[node], q, left, ends.accept[node])
            own = tried.state
            accept = ends.accept.at[node].set(own.weight)
            accept = accept.at[view.children].set(tried.given, mode="drop")
            scale = ends.scale.at[node].set(own.scale)
            return Ends(accept, scale)

        nothing = jnp.zeros(p.shape[0], p.dtype)
        start = Ends(nothing.at[ROOT].set(1), nothing)
        # nothing hangs below the last level; a parent comes before its children
        inner = draft.topology.levels[-2]
        ends: Ends = jax.lax.fori_loop(0, inner, visit, start)
        return ends


class _State(NamedTuple):
    """A node between two of its children.

    Attributes:
      weight: its weight w.
      scale: the c of its residual r = (p - c q)+ / Z.
      mass: the Z of its residual.
    """

    weight: Scalar
    scale: Scalar
    mass: Scalar


class _Tried(NamedTuple):
    """A node after some of its children failed.

    Attributes:
      state: the state of the node.
      given: the weight with which each child starts.
    """

    state: _State
    given: PerSlot


def _try_children(
    view: Node,
    p: Law,
    q: Law,
    left: PerSlot,
    weight: Scalar,
) -> _Tried:
    """The node after all of its children failed."""
    highest = 1 / tiny(p)  # finite, so that scale * 0 = 0

    def fail(slot: Index, tried: _Tried) -> _Tried:
        weight, scale, mass = tried.state
        token = view.tokens[slot]
        rest = jnp.maximum(p[token] - scale * q[token], 0)
        drawn = mass * divide(q[token], left[slot])
        start = acceptance_probability(weight * rest, drawn)
        next_scale = scale + divide(mass, weight * left[slot])
        next_scale = jnp.minimum(next_scale, highest)
        next_mass = total(jnp.maximum(p - next_scale * q, 0))
        surplus = divide(weight * next_mass, mass)
        next_weight = after_failure(weight, surplus)
        failed = _State(next_weight, next_scale, next_mass)
        live = view.mask[slot]
        state = jax.tree.map(lambda new, old: jnp.where(live, new, old), failed, tried.state)
        return _Tried(state, tried.given.at[slot].set(start))

    slots = jnp.arange(view.mask.shape[0])
    state = _State(weight, jnp.zeros_like(weight), jnp.ones_like(weight))
    nothing = jnp.zeros(slots.shape, p.dtype)
    last = jnp.max(jnp.where(view.mask, slots + 1, 0))
    tried: _Tried = jax.lax.fori_loop(0, last, fail, _Tried(state, nothing))
    return tried


def _all(view: Node, q: Law) -> PerSlot:
    return jnp.ones(view.mask.shape, q.dtype)


def _undrafted(view: Node, q: Law) -> PerSlot:
    """The q mass before each draft, as the sum of what remains.

    The difference of 1 and the drafted mass would have no digits on a peaked q.
    """
    tokens = jnp.where(view.mask, view.tokens, q.shape[0])  # beyond the end: dropped
    others = q.at[tokens].set(0, mode="drop")
    drafted = jnp.where(view.mask, q[view.tokens], 0)
    from_slot = jnp.cumsum(drafted[::-1])[::-1]
    return total(others) + from_slot


_LEFT: dict[str, Callable[[Node, Law], PerSlot]] = {
    "iid": _all,
    "without_replacement": _undrafted,
}

"""Traversal verification: a tree from its leaves to its root."""

from collections.abc import Callable
from typing import ClassVar, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Float, Int

from specjax import numerics
from specjax._types import Claims, Law, RandomKey, Scalar
from specjax.numerics import acceptance_probability, divide, tiny, total
from specjax.trees import ROOT, Draft, Verdict
from specjax.verifiers import _leaf_first
from specjax.verifiers._base import Verifier, Walk, check_scheme, register
from specjax.verifiers._nodes import Node, node_view


@register
class Traversal(Verifier):
    """Tries every subtree before its root: a child x starts with weight min(1, w r(x) / d(x)); if
    all below it and it fail, r ~ (w r - d)+.

    A node starts with the weight w that its parent gave it, r = p, and the law d of its next draft:
    q, or, without replacement, q without the drafts before. A failed child leaves w = S / (S + 1 -
    w), S = sum (w r - d)+. Once all children failed the node is accepted with probability w, and r
    is the law of the next token. On one path this is block verification.

    No weight depends on what happens below, and residuals are (p - c q)+, so only scalars travel,
    from parents to children: c grows by Z / (w left), Z = sum (p - c q)+, left the q mass not yet
    drafted (1 with replacement). Cost: one pass over p_i and q_i for each child of node i, one row
    at the end; without replacement one more pass over each q_i. Source: weng2025traversal.

    Sequential: a leaf x drawn as the last child of a node splits what the node emits: min(d, w
    r)(x) + (w r - d)+(x) = w r(x). So a tree that is grown draw by draw emits the target, if it is
    settled where the next draw hangs before it is known what it is.

    Raises:
      ValueError: the scheme's drafts are not drawn one by one from q, or q without those before.
    """

    name: ClassVar[str]
    claims = Claims(
        lossless=True,
        drafting=frozenset({"iid", "without_replacement"}),
        source="weng2025traversal",
        sequential=True,
    )

    def ends(self, draft: Draft, p: Float[Array, "N V"]) -> _leaf_first.Ends:
        """Weight of each node after all of its children failed, and its c then."""
        left_of = _LEFT[check_scheme("traversal", self.claims, draft.scheme)]

        def visit(node: Int[Array, ""], ends: _leaf_first.Ends) -> _leaf_first.Ends:
            view = node_view(draft, node)
            q = draft.q[node]
            own, given = _try_children(view, p[node], q, left_of(view, q), ends.accept[node])
            children = jnp.where(view.mask, view.children, p.shape[0])  # beyond the end: dropped
            accept = ends.accept.at[node].set(own.weight).at[children].set(given, mode="drop")
            return _leaf_first.Ends(accept, ends.scale.at[node].set(own.scale))

        nothing = jnp.zeros(p.shape[0], p.dtype)
        start = _leaf_first.Ends(nothing.at[ROOT].set(1), nothing)
        # nothing hangs below the last level; a parent comes before its children
        inner = draft.topology.levels[-2]
        return jax.lax.fori_loop(0, inner, visit, start)

    def law(self, draft: Draft, p: Float[Array, "N V"]) -> Float[Array, "N V"]:
        return _leaf_first.law(self.ends(draft, p), draft, p)

    def walk(self, uniforms: Float[Array, "U 2"], draft: Draft, p: Float[Array, "N V"]) -> Walk:
        """The walk that N + 1 uniforms select: one for each node, the last for the token of the
        target.
        """
        return _leaf_first.walk(uniforms, self.ends(draft, p), draft, p)

    def verify(self, key: RandomKey, draft: Draft, p: Float[Array, "N V"]) -> Verdict:
        return self.walk(
            numerics.uniforms(key, (draft.topology.nodes + 1,), p.dtype), draft, p
        ).verdict


class _State(NamedTuple):
    """A node between two of its children: its weight w, its residual r = (p - scale q)+ / mass."""

    weight: Scalar
    scale: Scalar
    mass: Scalar


def _try_children(
    view: Node,
    p: Law,
    q: Law,
    left: Float[Array, " W"],
    weight: Scalar,
) -> tuple[_State, Float[Array, " W"]]:
    """The state of a node after all of its children failed, and the weight with which each of them
    starts.
    """
    highest = 1 / tiny(p)  # finite, so that scale * 0 = 0

    def fail(
        slot: Int[Array, ""], carry: tuple[_State, Float[Array, " W"]]
    ) -> tuple[_State, Float[Array, " W"]]:
        (weight, scale, mass), given = carry
        token = view.tokens[slot]
        live = view.mask[slot]
        rest = jnp.maximum(p[token] - scale * q[token], 0)
        start = acceptance_probability(weight * rest, mass * divide(q[token], left[slot]))
        next_scale = jnp.minimum(scale + divide(mass, weight * left[slot]), highest)
        next_mass = total(jnp.maximum(p - next_scale * q, 0))
        next_weight = _leaf_first.after_failure(weight, divide(weight * next_mass, mass))
        failed = _State(next_weight, next_scale, next_mass)
        kept = jax.tree.map(lambda new, old: jnp.where(live, new, old), failed, carry[0])
        return kept, given.at[slot].set(start)

    slots = jnp.arange(view.mask.shape[0])
    state = _State(weight, jnp.zeros_like(weight), jnp.ones_like(weight))
    tried = jnp.max(jnp.where(view.mask, slots + 1, 0))
    return jax.lax.fori_loop(0, tried, fail, (state, jnp.zeros(slots.shape, p.dtype)))


def _all(view: Node, q: Law) -> Float[Array, " W"]:
    return jnp.ones(view.mask.shape, q.dtype)


def _undrafted(view: Node, q: Law) -> Float[Array, " W"]:
    """q mass before each draft, as the sum of what remains: 1 minus what is gone has no digits on a
    peaked q.
    """
    others = q.at[jnp.where(view.mask, view.tokens, q.shape[0])].set(0, mode="drop")
    drafted = jnp.where(view.mask, q[view.tokens], 0)
    return total(others) + jnp.cumsum(drafted[::-1])[::-1]


_LEFT: dict[str, Callable[[Node, Law], Float[Array, " W"]]] = {
    "iid": _all,
    "without_replacement": _undrafted,
}

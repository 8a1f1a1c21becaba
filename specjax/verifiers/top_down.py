"""Verification from the root down, with one node rule at a time."""

from typing import ClassVar, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Bool

from specjax._types import (
    Claims,
    DepthFloats,
    DepthInts,
    Index,
    Law,
    NodeLaws,
    PerNode,
    Rule,
    Sees,
    SlotLaws,
    Uniforms,
)
from specjax.numerics import draw
from specjax.rules._stated import law_and_acceptance
from specjax.trees import NO_NODE, ROOT, Draft, Verdict
from specjax.verifiers._base import Verifier, Walk, register
from specjax.verifiers._nodes import Node, draft_mass, first_hit, node_view


@register
class TopDown(Verifier):
    """Runs a node rule at the root, then at the accepted child, until no child is hit.

    The verifier is lossless if the rule is lossless, under every scheme that the rule covers. Its
    claims are those of the rule.

    Cost: one law for each accepted token and one more. Under vmap a walk takes as long as its
    longest row.

    Example:
      >>> import jax.numpy as jnp
      >>> from specjax import rules, trees, verifiers
      >>> p, q = jnp.array([[0.5, 0.3, 0.2]] * 2), jnp.array([[0.2, 0.3, 0.5]] * 2)
      >>> draft = trees.Draft(trees.chain(1), jnp.array([0, 2]), q, "iid")
      >>> ends = verifiers.TopDown(rules.Single()).law(draft, p).sum(1)
      >>> [round(chance, 3) for chance in ends.tolist()]
      [0.6, 0.4]
    """

    rule: Rule
    name: ClassVar[str]

    @property
    def claims(self) -> Claims:
        """The claims of the rule."""
        return self.rule.claims

    def law(self, draft: Draft, p: NodeLaws) -> NodeLaws:
        topology = draft.topology
        nodes = jnp.arange(topology.nodes)
        views = jax.vmap(node_view, (None, 0))(draft, nodes)

        def at(view: Node, p: Law, q: SlotLaws) -> Law:
            return _seeing(self.rule, draft, view).law(view.tokens, p, q, view.mask)

        laws = jax.vmap(at)(views, p, draft.q)
        branches = jax.vmap(draft_mass)(views, laws)

        def descend(node: Index, reach: PerNode) -> PerNode:
            given = reach[node] * branches[node]
            return reach.at[views.children[node]].set(given, mode="drop")

        start = jnp.zeros(topology.nodes, p.dtype).at[ROOT].set(1)
        # nothing hangs below the last level; a parent comes before its children
        inner = topology.levels[-2]
        reach: PerNode = jax.lax.fori_loop(0, inner, descend, start)
        drafted = jnp.where(views.mask, views.tokens, p.shape[1])  # beyond the end: dropped
        ends = laws.at[nodes[:, None], drafted].set(0, mode="drop")
        return reach[:, None] * ends

    def walk(self, uniforms: Uniforms, draft: Draft, p: NodeLaws) -> Walk:
        """The walk that the first D + 1 uniforms select, one for each depth.

        The walk brings the law's mass on the drafts of every visited node.
        """

        def visit(state: _State) -> _State:
            node = state.node
            view = node_view(draft, node)
            law, accepted = law_and_acceptance(
                _seeing(self.rule, draft, view), view.tokens, p[node], draft.q[node], view.mask
            )
            token = draw(law, uniforms[state.depth])
            hit, slot = first_hit(view, token)
            row = _Rows(
                tokens=token,
                path=node,
                proposed=jnp.sum(view.mask, dtype=jnp.int32),
                law_mass=jnp.sum(draft_mass(view, law)),
                acceptance=jnp.where(jnp.any(view.mask), accepted, jnp.nan),
            )
            rows = jax.tree.map(
                lambda table, value: table.at[state.depth].set(value), state.rows, row
            )
            below = jnp.where(hit, view.children[slot], node)
            return _State(rows, state.depth + 1, below, hit)

        steps = draft.topology.height + 1
        start = _Rows(
            tokens=jnp.zeros(steps, jnp.int32),
            path=jnp.full(steps, NO_NODE, jnp.int32),
            proposed=jnp.zeros(steps, jnp.int32),
            law_mass=jnp.zeros(steps, p.dtype),
            acceptance=jnp.full(steps, jnp.nan, p.dtype),
        )
        root = _State(start, jnp.int32(0), jnp.int32(ROOT), jnp.bool_(True))
        end: _State = jax.lax.while_loop(lambda state: state.alive, visit, root)
        rows = end.rows
        verdict = Verdict(rows.tokens, end.depth, rows.path)
        return Walk(verdict, rows.proposed, rows.law_mass, rows.acceptance)


def _seeing(rule: Rule, draft: Draft, view: Node) -> Rule:
    """The rule with the evidence of a node's children, if the rule reads evidence and there is."""
    if draft.evidence is None or not isinstance(rule, Sees):
        return rule
    return rule.seeing(draft.evidence[view.children])


class _Rows(NamedTuple):
    """The rows [D + 1] of a walk, one for each depth."""

    tokens: DepthInts
    path: DepthInts
    proposed: DepthInts
    law_mass: DepthFloats
    acceptance: DepthFloats


class _State(NamedTuple):
    """A walk before it visits `node`; it ends once no draft was hit."""

    rows: _Rows
    depth: Index
    node: Index
    alive: Bool[Array, ""]

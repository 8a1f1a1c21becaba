"""From the root down, one node rule at a time."""

from typing import ClassVar, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Bool, Float, Int

from specjax import numerics
from specjax._types import Claims, RandomKey, Rule
from specjax.numerics import draw
from specjax.rules import law_and_acceptance
from specjax.trees import NO_NODE, ROOT, Draft, Verdict
from specjax.verifiers._base import Verifier, Walk, register
from specjax.verifiers._nodes import draft_mass, first_hit, node_view


@register
class TopDown(Verifier):
    """Runs a node rule at the root, then at the accepted child, until no child is hit: lossless
    wherever the rule is.

    Cost: one law per accepted token and one more; a walk under vmap takes as long as its longest
    row.
    """

    rule: Rule
    name: ClassVar[str]

    @property
    def claims(self) -> Claims:
        """The rule's."""
        return self.rule.claims

    def law(self, draft: Draft, p: Float[Array, "N V"]) -> Float[Array, "N V"]:
        topology = draft.topology
        views = jax.vmap(node_view, (None, 0))(draft, jnp.arange(topology.nodes))
        laws = jax.vmap(self.rule.law)(views.tokens, p, draft.q, views.mask)
        branches = jax.vmap(draft_mass)(views, laws)

        def descend(node: Int[Array, ""], reach: Float[Array, " N"]) -> Float[Array, " N"]:
            children = jnp.where(views.mask[node], views.children[node], topology.nodes)
            return reach.at[children].set(reach[node] * branches[node], mode="drop")

        # nothing hangs below the last level; a parent comes before its children
        inner = topology.levels[-2]
        reach = jax.lax.fori_loop(
            0, inner, descend, jnp.zeros(topology.nodes, p.dtype).at[ROOT].set(1)
        )
        drafted = jnp.where(views.mask, views.tokens, p.shape[1])
        ends = jax.vmap(lambda law, tokens: law.at[tokens].set(0, mode="drop"))(laws, drafted)
        return reach[:, None] * ends

    def walk(self, uniforms: Float[Array, "U 2"], draft: Draft, p: Float[Array, "N V"]) -> Walk:
        """The walk that the first D + 1 uniforms select, one for each depth, with the law's mass on
        the drafts of every visited node.
        """
        steps = draft.topology.height + 1

        def visit(state: _State) -> _State:
            (verdict, proposed, mass, acceptance), node, _ = state
            assert acceptance is not None  # so `start` says
            depth = verdict.length
            view = node_view(draft, node)
            law, accepted = law_and_acceptance(
                self.rule, view.tokens, p[node], draft.q[node], view.mask
            )
            token = draw(law, uniforms[depth])
            hit, slot = first_hit(view, token)
            verdict = Verdict(
                verdict.tokens.at[depth].set(token), depth + 1, verdict.path.at[depth].set(node)
            )
            walk = Walk(
                verdict,
                proposed.at[depth].set(jnp.sum(view.mask, dtype=jnp.int32)),
                mass.at[depth].set(jnp.sum(draft_mass(view, law))),
                acceptance.at[depth].set(jnp.where(jnp.any(view.mask), accepted, jnp.nan)),
            )
            return _State(walk, jnp.where(hit, view.children[slot], node), hit)

        verdict = Verdict(
            jnp.zeros(steps, jnp.int32), jnp.int32(0), jnp.full(steps, NO_NODE, jnp.int32)
        )
        start = Walk(
            verdict,
            jnp.zeros(steps, jnp.int32),
            jnp.zeros(steps, p.dtype),
            jnp.full(steps, jnp.nan, p.dtype),
        )
        return jax.lax.while_loop(
            lambda state: state.alive, visit, _State(start, jnp.int32(ROOT), jnp.bool_(True))
        ).walk

    def verify(self, key: RandomKey, draft: Draft, p: Float[Array, "N V"]) -> Verdict:
        return self.walk(
            numerics.uniforms(key, (draft.topology.nodes + 1,), p.dtype), draft, p
        ).verdict


class _State(NamedTuple):
    walk: Walk
    node: Int[Array, ""]
    alive: Bool[Array, ""]

"""What happened at the nodes of a walk, beside what theory expects there."""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Bool, Float, Int

from specjax import bounds
from specjax._types import Count, Law, Rule
from specjax.rules import certificate, expected_acceptance
from specjax.trees import NO_NODE, Draft
from specjax.verifiers._base import Verifier, Walk


class NodeReport(NamedTuple):
    """One row per depth; where the walk proposed nothing, the law mass is 0 and what theory says is nan.

    Of a verifier without a node rule only `proposed` and `hit` are known: all else is nan.

    Attributes:
      proposed, law_mass: as in `Walk`.
      hit: [D + 1], whether one of the drafts was accepted.
      expected: [D + 1], the rule's exact acceptance at this (p, q); nan where it offers none.
      alpha_star: [D + 1], the optimum of the scheme at this (p, q); nan where no bound is known.
      gap: [D + 1], how far the rule's certificate says that it may be below the optimum; nan where it offers none.
    """

    proposed: Int[Array, " D+1"]
    hit: Bool[Array, " D+1"]
    law_mass: Float[Array, " D+1"]
    expected: Float[Array, " D+1"]
    alpha_star: Float[Array, " D+1"]
    gap: Float[Array, " D+1"]


def node_rule(verifier: Verifier) -> Rule | None:
    """The rule that a verifier lifts to the tree; None if it sees whole paths."""
    return getattr(verifier, "rule", None)


def report(
    verifier: Verifier, draft: Draft, p: Float[Array, "N V"], walk: Walk, alpha_star: Float[Array, " N"], emitted: Count
) -> NodeReport:
    """A walk beside theory, up to its last emitted token: a node below is as one never reached.

    Args:
      alpha_star: as `optimum` gives it.
      emitted: tokens kept of the walk's verdict.

    Cost: one expectation and certificate for each visited node.
    """
    path, rule, rows = walk.verdict.path, node_rule(verifier), jnp.arange(walk.proposed.shape[0])
    kept = rows < emitted
    proposed, hit = jnp.where(kept, walk.proposed, 0), kept & (rows + 1 < walk.verdict.length)
    if rule is None:
        unknown = jnp.full(path.shape, jnp.nan, p.dtype)
        return NodeReport(proposed, hit, unknown, unknown, unknown, unknown)
    values = [functools.partial(_stated, rule, draft.scheme, n) for n in _arities(draft)]

    def look(depth: Int[Array, ""], stated: Float[Array, "S 2"]) -> Float[Array, "S 2"]:
        node = path[depth]
        return stated.at[depth].set(jax.lax.switch(_arity_index(draft, node), values, p[node], draft.q[node]))

    unknown = jnp.full((path.shape[0], 2), jnp.nan, p.dtype)
    expected, gap = jax.lax.fori_loop(0, jnp.sum(proposed > 0), look, unknown).T
    best = jnp.where(proposed > 0, alpha_star[path], jnp.nan)
    return NodeReport(proposed, hit, jnp.where(kept, walk.law_mass, 0), expected, best, gap)


def optimum(draft: Draft, p: Float[Array, "N V"], visited: Bool[Array, " N"]) -> Float[Array, " N"]:
    """alpha* of the draft's scheme at the visited nodes that have children; nan elsewhere, and where no bound is known."""
    unknown = jnp.full(p.shape[0], jnp.nan, p.dtype)
    if draft.scheme not in bounds.schemes():
        return unknown
    values = [functools.partial(bounds.optimal_acceptance, n=n, scheme=draft.scheme) for n in _arities(draft)]

    def look(node: Int[Array, ""], table: Float[Array, " N"]) -> Float[Array, " N"]:
        value = jax.lax.switch(_arity_index(draft, node), values, p[node], draft.q[node])
        return table.at[node].set(value)

    wanted = jnp.asarray(visited & (_children(draft) > 0))
    inner = draft.topology.levels[-2]  # nothing hangs below the last level
    return jax.lax.fori_loop(0, inner, lambda i, table: jax.lax.cond(wanted[i], look, lambda _, t: t, i, table), unknown)


def _stated(rule: Rule, scheme: str, n: int, p: Law, q: Law) -> Float[Array, " 2"]:
    """The rule's exact acceptance and its certificate's gap, nan for what it does not offer."""
    expected, proof = expected_acceptance(rule, p, q, n, scheme), certificate(rule, p, q, n, scheme)
    return jnp.stack([jnp.asarray(jnp.nan if x is None else x, p.dtype) for x in (expected, None if proof is None else proof.gap)])


def _children(draft: Draft) -> Int[Array, " N"]:
    return jnp.sum(jnp.asarray(draft.topology.children) != NO_NODE, -1)


def _arities(draft: Draft) -> list[int]:
    return [n for n in draft.topology.arities if n > 0]


def _arity_index(draft: Draft, node: Int[Array, ""]) -> Int[Array, ""]:
    return jnp.searchsorted(np.array(_arities(draft)), _children(draft)[node])

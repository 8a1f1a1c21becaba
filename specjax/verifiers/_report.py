"""What happened at the nodes of a walk, beside what theory expects there."""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Bool, Float, Int

from specjax import bounds
from specjax._types import Law, Rule, Scalar
from specjax.rules import expected_acceptance
from specjax.trees import NO_NODE, Draft, Verdict


class Walk(NamedTuple):
    """A verdict with what the rule saw on the way, one row per visited node; rows from `verdict.length` on are 0.

    Attributes:
      proposed: [D + 1], live drafts at the node; 0 where nothing hangs below it.
      law_mass: [D + 1], the rule's mass on the distinct drafts: the probability of a hit given the drafts.
    """

    verdict: Verdict
    proposed: Int[Array, " D+1"]
    law_mass: Float[Array, " D+1"]


class NodeReport(NamedTuple):
    """One row per depth; where the walk proposed nothing, the law mass is 0 and what theory says is nan.

    Attributes:
      proposed, law_mass: as in `Walk`.
      hit: [D + 1], whether one of the drafts was accepted.
      expected: [D + 1], the rule's exact acceptance at this (p, q); nan where it offers none.
      alpha_star: [D + 1], the optimum of the scheme at this (p, q); nan where no bound is known.
    """

    proposed: Int[Array, " D+1"]
    hit: Bool[Array, " D+1"]
    law_mass: Float[Array, " D+1"]
    expected: Float[Array, " D+1"]
    alpha_star: Float[Array, " D+1"]


def report(rule: Rule, draft: Draft, p: Float[Array, "N V"], walk: Walk, alpha_star: Float[Array, " N"]) -> NodeReport:
    """A walk beside theory; `alpha_star` as `optimum` gives it. Cost: one expectation for each visited node."""
    path, proposed = walk.verdict.path, walk.proposed
    steps = jnp.arange(path.shape[0])
    values = [functools.partial(_expected, rule, draft.scheme, n) for n in _arities(draft)]

    def look(depth: Int[Array, ""], expected: Float[Array, " S"]) -> Float[Array, " S"]:
        node = path[depth]
        return expected.at[depth].set(jax.lax.switch(_arity_index(draft, node), values, p[node], draft.q[node]))

    unknown = jnp.full(path.shape[0], jnp.nan, p.dtype)
    expected = jax.lax.fori_loop(0, jnp.sum(proposed > 0), look, unknown)
    best = jnp.where(proposed > 0, alpha_star[path], jnp.nan)
    return NodeReport(proposed, steps + 1 < walk.verdict.length, walk.law_mass, expected, best)


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


def _expected(rule: Rule, scheme: str, n: int, p: Law, q: Law) -> Scalar:
    value = expected_acceptance(rule, p, q, n, scheme)
    return jnp.asarray(jnp.nan if value is None else value, p.dtype)


def _children(draft: Draft) -> Int[Array, " N"]:
    return jnp.sum(jnp.asarray(draft.topology.children) != NO_NODE, -1)


def _arities(draft: Draft) -> list[int]:
    return [n for n in draft.topology.arities if n > 0]


def _arity_index(draft: Draft, node: Int[Array, ""]) -> Int[Array, ""]:
    return jnp.searchsorted(np.array(_arities(draft)), _children(draft)[node])

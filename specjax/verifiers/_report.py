"""What happened at the nodes of a walk, beside what theory expects there."""

import functools
from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Bool, Float, Int

from specjax import bounds
from specjax._types import Count, Law, Rule, Solves
from specjax.rules import certificate, expected_acceptance
from specjax.trees import NO_NODE, Draft
from specjax.verifiers._base import Verifier, Walk


class NodeReport(NamedTuple):
    """One row per depth; where the walk proposed nothing, the law mass is 0 and what theory says is
    nan.

    Of a verifier without a node rule only `proposed` and `hit` are known: all else is nan.

    Attributes:
      proposed, law_mass: as in `Walk`.
      hit: [D + 1], whether one of the drafts was accepted.
      expected: [D + 1], the rule's exact acceptance at this (p, q); nan where it offers none.
      alpha_star: [D + 1], the optimum of the scheme at this (p, q); nan where no bound is known.
      gap: [D + 1], how far the rule's certificate says that it may be below the optimum; nan where
        it offers none.
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


def node_report(
    verifier: Verifier,
    draft: Draft,
    p: Float[Array, "N V"],
    walk: Walk,
    emitted: Count,
) -> NodeReport:
    """A walk beside theory, up to its last emitted token: a node below is as one never reached.

    Args:
      p: target laws after each node.
      emitted: tokens kept of the walk's verdict.

    Cost: one bracket of the optimum for each visited node, and an expectation and a certificate
    where the walk does not bring them.
    """
    return jax.tree.map(
        lambda rows: rows[0], node_reports((verifier,), draft, p, [walk], [emitted])
    )


def node_reports(
    verifiers: Sequence[Verifier],
    draft: Draft,
    p: Float[Array, "N V"],
    walks: Sequence[Walk],
    emitted: Sequence[Count],
) -> NodeReport:
    """`node_report` of R verifiers, [R, D + 1]; the optimum of a node is sought once for all of
    them.
    """
    steps = jnp.arange(walks[0].proposed.shape[0])
    seen = [
        jnp.where(steps < length, walk.verdict.path, NO_NODE)
        for walk, length in zip(walks, emitted, strict=True)
    ]
    best = _brackets(draft, p, visited(jnp.stack(seen), draft.topology.nodes))
    rows = [
        _report(*one, draft=draft, p=p, best=best)
        for one in zip(verifiers, walks, emitted, strict=True)
    ]
    return jax.tree.map(lambda *rows: jnp.stack(rows), *rows)


def visited(paths: Int[Array, "..."], nodes: int) -> Bool[Array, " N"]:
    """Which of the tree's nodes lie on any of the paths."""
    return jnp.zeros(nodes, bool).at[paths].max(paths != NO_NODE)


class _Best(NamedTuple):
    """alpha* and the upper end of its bracket, [N] each: nan where nothing is drafted, was visited,
    or is known.
    """

    value: Float[Array, " N"]
    upper: Float[Array, " N"]


def _brackets(draft: Draft, p: Float[Array, "N V"], wanted: Bool[Array, " N"]) -> _Best:
    """The optimum of the draft's scheme at the wanted nodes that have children."""
    unknown = jnp.full((p.shape[0], 2), jnp.nan, p.dtype)
    if draft.scheme not in bounds.schemes():
        return _Best(*unknown.T)

    def value(n: int, p: Law, q: Law) -> Float[Array, " 2"]:
        found = bounds.bracket(p, q, n, draft.scheme)
        return jnp.stack([found.value, found.upper]).astype(p.dtype)

    def look(node: Int[Array, ""], table: Float[Array, "N 2"]) -> Float[Array, "N 2"]:
        return table.at[node].set(_by_arity(draft, node, value)(p[node], draft.q[node]))

    wanted = jnp.asarray(wanted & (_children(draft) > 0))
    inner = draft.topology.levels[-2]  # nothing hangs below the last level
    table = jax.lax.fori_loop(
        0, inner, lambda i, table: jax.lax.cond(wanted[i], look, lambda _, t: t, i, table), unknown
    )
    return _Best(*table.T)


def _report(
    verifier: Verifier,
    walk: Walk,
    emitted: Count,
    draft: Draft,
    p: Float[Array, "N V"],
    best: _Best,
) -> NodeReport:
    path = walk.verdict.path
    rule = node_rule(verifier)
    rows = jnp.arange(walk.proposed.shape[0])
    kept = rows < emitted
    proposed = jnp.where(kept, walk.proposed, 0)
    hit = kept & (rows + 1 < walk.verdict.length)
    if rule is None:
        unknown = jnp.full(path.shape, jnp.nan, p.dtype)
        return NodeReport(proposed, hit, unknown, unknown, unknown, unknown)
    value, upper = (jnp.where(proposed > 0, ends[path], jnp.nan) for ends in best)
    if walk.acceptance is not None and isinstance(rule, Solves):
        stated = [rule.claims.stated_at(draft.scheme, n) for n in _arities(draft)]
        expected = jnp.where(
            (proposed > 0) & _per_arity(draft, path, stated), walk.acceptance, jnp.nan
        )
        gap = upper - expected if hasattr(rule, "certificate") else jnp.full_like(expected, jnp.nan)
    else:
        expected, gap = _stated(rule, draft, p, path, jnp.sum(proposed > 0))
    return NodeReport(proposed, hit, jnp.where(kept, walk.law_mass, 0), expected, value, gap)


def _stated(
    rule: Rule,
    draft: Draft,
    p: Float[Array, "N V"],
    path: Int[Array, " S"],
    depths: Count,
) -> tuple[Float[Array, " S"], Float[Array, " S"]]:
    """The rule's exact acceptance and its certificate's gap at the first nodes of a path, nan for
    what it does not offer.
    """

    def value(n: int, p: Law, q: Law) -> Float[Array, " 2"]:
        expected = expected_acceptance(rule, p, q, n, draft.scheme)
        proof = certificate(rule, p, q, n, draft.scheme)
        known = (expected, None if proof is None else proof.gap)
        return jnp.stack([jnp.asarray(jnp.nan if x is None else x, p.dtype) for x in known])

    def look(depth: Int[Array, ""], stated: Float[Array, "S 2"]) -> Float[Array, "S 2"]:
        node = path[depth]
        return stated.at[depth].set(_by_arity(draft, node, value)(p[node], draft.q[node]))

    found = jax.lax.fori_loop(0, depths, look, jnp.full((path.shape[0], 2), jnp.nan, p.dtype))
    return found[:, 0], found[:, 1]


def _by_arity(
    draft: Draft, node: Int[Array, ""], value: Callable[[int, Law, Law], Array]
) -> Callable[[Law, Law], Array]:
    """The function of (p, q) for as many drafts as the node has."""
    return functools.partial(
        jax.lax.switch,
        _arity_index(draft, node),
        [functools.partial(value, n) for n in _arities(draft)],
    )


def _per_arity(draft: Draft, path: Int[Array, " S"], stated: list[bool]) -> Bool[Array, " S"]:
    return jnp.asarray(stated)[_arity_index(draft, path)]


def _children(draft: Draft) -> Int[Array, " N"]:
    return jnp.sum(jnp.asarray(draft.topology.children) != NO_NODE, -1)


def _arities(draft: Draft) -> list[int]:
    return [n for n in draft.topology.arities if n > 0]


def _arity_index(draft: Draft, node: Int[Array, "..."]) -> Int[Array, "..."]:
    return jnp.searchsorted(np.array(_arities(draft)), _children(draft)[node])

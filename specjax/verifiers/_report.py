"""What happened at the nodes of a walk, together with the theory there."""

import functools
from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Bool, Float, Int

from specjax import bounds, rules
from specjax._types import (
    Count,
    DepthFloats,
    DepthInts,
    Index,
    Law,
    NodeLaws,
    PerNode,
    Rule,
    Solves,
)
from specjax.numerics import relative_entropy, total_variation
from specjax.rules import certificate, expected_acceptance
from specjax.trees import NO_NODE, Draft
from specjax.verifiers._base import Verifier, Walk


class NodeReport(NamedTuple):
    """What a walk saw at each depth, and what theory expects there.

    If the walk proposed nothing, the law mass is 0 and the theory is nan. If the verifier does not
    decide by a node rule's law of p, only `proposed` and `hit` are known; the rest is nan.

    Attributes:
      proposed: as in `Walk`.
      hit: [D + 1], whether one of the drafts was accepted.
      law_mass: as in `Walk`.
      expected: [D + 1], the rule's exact acceptance at this (p, q); nan if it offers none.
      alpha_star: [D + 1], the optimum of the scheme at this (p, q); nan if no bound is known.
      gap: [D + 1], how far the rule may be below the optimum by its certificate; nan if it offers
        none.
      tv, kl: [D + 1], TV(e, p) and KL(e || p) of the law e that the rule emits at this (p, q); 0 of
        a lossless rule, nan of a lossy one that states no such law.
    """

    proposed: DepthInts
    hit: Bool[Array, " D+1"]
    law_mass: DepthFloats
    expected: DepthFloats
    alpha_star: DepthFloats
    gap: DepthFloats
    tv: DepthFloats
    kl: DepthFloats


def node_rule(verifier: Verifier) -> Rule | None:
    """The rule that a verifier lifts to the tree.

    Args:
      verifier: any verifier.

    Returns:
      The rule, or None if the verifier sees whole paths.

    Example:
      >>> from specjax import rules, verifiers
      >>> verifiers.node_rule(verifiers.TopDown(rules.Single())).name
      'single'
    """
    return getattr(verifier, "rule", None)


def node_report(
    verifier: Verifier,
    draft: Draft,
    p: NodeLaws,
    walk: Walk,
    emitted: Count,
) -> NodeReport:
    """Report a walk beside theory, up to its last emitted token.

    A node below that token counts as not reached.

    Args:
      verifier: the verifier that made the walk.
      draft: the drawn tree.
      p: target laws after each node, [N, V].
      walk: the walk.
      emitted: number of tokens kept of the walk's verdict.

    Returns:
      One row for each depth, [D + 1].

    Cost: one bracket of the optimum for each visited node, and an expectation and a certificate if
    the walk does not bring them.
    """
    reports = node_reports((verifier,), draft, p, [walk], [emitted])
    first: NodeReport = jax.tree.map(lambda rows: rows[0], reports)
    return first


def node_reports(
    verifiers: Sequence[Verifier],
    draft: Draft,
    p: NodeLaws,
    walks: Sequence[Walk],
    emitted: Sequence[Count],
) -> NodeReport:
    """Report the walks of R verifiers; the optimum at a node is computed once for all of them.

    Args:
      verifiers: the R verifiers.
      draft: the drawn tree, which they share.
      p: target laws after each node, [N, V].
      walks: the walk of each verifier.
      emitted: for each verifier, the number of tokens kept of its verdict.

    Returns:
      The rows of each verifier, [R, D + 1].
    """
    steps = jnp.arange(walks[0].proposed.shape[0])
    seen = [
        jnp.where(steps < length, walk.verdict.path, NO_NODE)
        for walk, length in zip(walks, emitted, strict=True)
    ]
    wanted = visited(jnp.stack(seen), draft.topology.nodes)
    best = _brackets(draft, p, wanted)
    rows = [
        _report(verifier, walk, length, draft, p, best)
        for verifier, walk, length in zip(verifiers, walks, emitted, strict=True)
    ]
    reports: NodeReport = jax.tree.map(lambda *rows: jnp.stack(rows), *rows)
    return reports


def visited(paths: Int[Array, "..."], nodes: int) -> Bool[Array, " N"]:
    """Which of the tree's nodes lie on any of the paths.

    Args:
      paths: nodes, padded with NO_NODE, in any shape.
      nodes: the number N of nodes.

    Returns:
      A mask [N].

    Example:
      >>> import jax.numpy as jnp
      >>> from specjax import verifiers
      >>> verifiers.visited(jnp.array([[0, 2, -1]]), 4).tolist()
      [True, False, True, False]
    """
    return jnp.zeros(nodes, bool).at[paths].max(paths != NO_NODE)


class _Best(NamedTuple):
    """alpha* and the upper end of its bracket at each node.

    Attributes:
      value: [N], alpha*; nan if the node has no drafts, was not visited, or has no known optimum.
      upper: [N], the upper end; nan in the same cases.
    """

    value: PerNode
    upper: PerNode


def _brackets(draft: Draft, p: NodeLaws, wanted: Bool[Array, " N"]) -> _Best:
    """The optimum of the draft's scheme at the wanted nodes that have children."""
    unknown = jnp.full((p.shape[0], 2), jnp.nan, p.dtype)
    if draft.scheme not in bounds.schemes():
        return _Best(unknown[:, 0], unknown[:, 1])

    def value(n: int, p: Law, q: Law) -> Float[Array, " 2"]:
        found = bounds.bracket(p, q, n, draft.scheme)
        return jnp.stack([found.value, found.upper]).astype(p.dtype)

    def look(node: Index, table: Float[Array, "N 2"]) -> Float[Array, "N 2"]:
        found = _by_arity(draft, node, value)(p[node], draft.q[node])
        return table.at[node].set(found)

    wanted = wanted & (_children(draft) > 0)

    def visit(node: Index, table: Float[Array, "N 2"]) -> Array:
        seen: Array = jax.lax.cond(wanted[node], look, lambda _, table: table, node, table)
        return seen

    inner = draft.topology.levels[-2]  # nothing hangs below the last level
    table = jax.lax.fori_loop(0, inner, visit, unknown)
    return _Best(table[:, 0], table[:, 1])


def _report(
    verifier: Verifier,
    walk: Walk,
    emitted: Count,
    draft: Draft,
    p: NodeLaws,
    best: _Best,
) -> NodeReport:
    path = walk.verdict.path
    rule = node_rule(verifier)
    rows = jnp.arange(walk.proposed.shape[0])
    kept = rows < emitted
    proposed = jnp.where(kept, walk.proposed, 0)
    hit = kept & (rows + 1 < walk.verdict.length)
    if rule is None or walk.acceptance is None:  # it decides by what it saw elsewhere
        unknown = jnp.full(path.shape, jnp.nan, p.dtype)
        return NodeReport(
            proposed=proposed,
            hit=hit,
            law_mass=unknown,
            expected=unknown,
            alpha_star=unknown,
            gap=unknown,
            tv=unknown,
            kl=unknown,
        )
    drafted = proposed > 0
    if isinstance(rule, Solves):
        stated = [rule.claims.stated_at(draft.scheme, n) for n in _arities(draft)]
        known = drafted & jnp.asarray(stated)[_arity_index(draft, path)]
        expected = jnp.where(known, walk.acceptance, jnp.nan)
        certified = drafted if hasattr(rule, "certificate") else jnp.zeros_like(drafted)
        gap = jnp.where(certified, best.upper[path] - expected, jnp.nan)
    else:
        expected, gap = _at_nodes(_acceptance(rule, draft), draft, p, path, jnp.sum(drafted)).T
    if rule.claims.lossless:
        tv = kl = jnp.where(drafted, jnp.zeros((), p.dtype), jnp.nan)
    else:
        tv, kl = _at_nodes(_bias(rule, draft), draft, p, path, jnp.sum(drafted)).T
    return NodeReport(
        proposed=proposed,
        hit=hit,
        law_mass=jnp.where(kept, walk.law_mass, 0),
        expected=expected,
        alpha_star=jnp.where(drafted, best.value[path], jnp.nan),
        gap=gap,
        tv=tv,
        kl=kl,
    )


AtNode = Callable[[int, Law, Law], Float[Array, " 2"]]  # two numbers, given n, p and q


def _acceptance(rule: Rule, draft: Draft) -> AtNode:
    """The rule's exact acceptance and its certificate's gap, nan if it offers none."""

    def value(n: int, p: Law, q: Law) -> Float[Array, " 2"]:
        expected = expected_acceptance(rule, p, q, n, draft.scheme)
        proof = certificate(rule, p, q, n, draft.scheme)
        known = (expected, None if proof is None else proof.gap)
        filled = [jnp.nan if x is None else x for x in known]
        return jnp.stack([jnp.asarray(x, p.dtype) for x in filled])

    return value


def _bias(rule: Rule, draft: Draft) -> AtNode:
    """How far the rule's emitted law lies from p, nan if the rule does not state this law."""

    def value(n: int, p: Law, q: Law) -> Float[Array, " 2"]:
        emitted = rules.emitted(rule, n, draft.scheme)
        law = emitted(p, q) if emitted else jnp.full_like(p, jnp.nan)
        return jnp.stack([total_variation(law, p), relative_entropy(law, p)])

    return value


def _at_nodes(
    value: AtNode,
    draft: Draft,
    p: NodeLaws,
    path: Int[Array, " S"],
    depths: Count,
) -> Float[Array, "S 2"]:
    """What is wanted of the first nodes of a path; nan at the others."""

    def look(depth: Index, stated: Float[Array, "S 2"]) -> Float[Array, "S 2"]:
        node = path[depth]
        found = _by_arity(draft, node, value)(p[node], draft.q[node])
        return stated.at[depth].set(found)

    unknown = jnp.full((path.shape[0], 2), jnp.nan, p.dtype)
    table: Array = jax.lax.fori_loop(0, depths, look, unknown)
    return table


def _by_arity(
    draft: Draft, node: Index, value: Callable[[int, Law, Law], Array]
) -> Callable[[Law, Law], Array]:
    """The function of (p, q) for the number of drafts that the node has."""
    branches = [functools.partial(value, n) for n in _arities(draft)]
    return functools.partial(jax.lax.switch, _arity_index(draft, node), branches)


def _children(draft: Draft) -> Int[Array, " N"]:
    return jnp.sum(jnp.asarray(draft.topology.children) != NO_NODE, -1)


def _arities(draft: Draft) -> list[int]:
    # a tree without drafts is looked at nowhere, but a switch needs a branch
    return [n for n in draft.topology.arities if n > 0] or [1]


def _arity_index(draft: Draft, node: Int[Array, "..."]) -> Int[Array, "..."]:
    arities = np.array(_arities(draft))
    return jnp.searchsorted(arities, _children(draft)[node])

"""Layer verification over a node rule."""

from typing import ClassVar, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Bool, Float

from specjax._types import Claims, Index, Law, NodeLaws, PerNode, Rule, Uniforms
from specjax.numerics import block_size, coin, divide, draw, normalise, total
from specjax.rules import accepting, states_mass
from specjax.trees import ROOT, Draft
from specjax.verifiers._base import Verifier, Walk, check_scheme, register
from specjax.verifiers._leaf_first import after_failure, walk_to
from specjax.verifiers._nodes import PerSlot, node_view


@register
class Layer(Verifier):
    """Shares what a tree accepts among the nodes of each layer, with a node rule at every node.

    The nodes a of a layer hold weights w_a, the root 1; W <= 1 is their sum. Each node runs the
    rule with the target W p_a; the missing 1 - W lies on a token that is never drafted. A child x
    has the weight (w_a / W) c(x). Here c(x) is the probability that the rule accepts x, given the
    drafts, and F(x) is its mean over the drafts. The node keeps R_a = w_a p_a - (w_a / W) F, and
    the layer r = sum R_a.

    From the deepest layer up, a layer succeeds with probability r / (r + 1 - W). The first success
    ends the walk at (a, y) in proportion to R_a(y). In the last layer F = 0. The expected number of
    accepted drafts is the sum of E[W] over the layers below the root.

    The verifier is lossless if the rule is, for any split among equal siblings; here the first has
    all. On one path it is block verification with the one-draft rule, and on one layer it is the
    rule. With `optimal` it attains the joint optimum of every tree in which only the last layer
    branches.

    Cost: a law and an accepted mass of the rule for each live node, two passes over p and q, and
    one row for each node that branches. Source: specjax2026.

    Raises:
      ValueError: the rule does not state its accepted mass for this scheme and tree.

    Example:
      >>> import jax.numpy as jnp
      >>> from specjax import rules, trees, verifiers
      >>> p, q = jnp.array([[0.5, 0.3, 0.2]] * 3), jnp.array([[0.2, 0.3, 0.5]] * 3)
      >>> draft = trees.Draft(trees.star(2), jnp.array([0, 2, 1]), q, "iid")
      >>> ends = verifiers.Layer(rules.Optimal()).law(draft, p)
      >>> round(float(ends.sum()), 3)
      1.0
    """

    rule: Rule
    name: ClassVar[str]

    @property
    def claims(self) -> Claims:
        """The claims of the rule, but that drafts are not taken one by one."""
        return self.rule.claims._replace(sequential=False)

    def law(self, draft: Draft, p: NodeLaws) -> NodeLaws:
        shares = self._shares(draft, p)
        chance, part = _layers(shares, draft)
        reached = jnp.append(jnp.cumprod(1 - chance[:0:-1])[::-1], 1)
        ends = (reached * chance)[jnp.asarray(draft.topology.depth)] * part

        def ends_at(node: Index) -> Law:
            return ends[node] * _row(shares, draft, p, node)

        rows: NodeLaws = jax.lax.map(ends_at, jnp.arange(p.shape[0]))
        return rows

    def walk(self, uniforms: Uniforms, draft: Draft, p: NodeLaws) -> Walk:
        """The walk that N + 1 uniforms select.

        The first D are for the layers below the root, the next is for the node, and the last is for
        the token.
        """
        shares = self._shares(draft, p)
        chance, part = _layers(shares, draft)
        height = draft.topology.height
        hits = coin(uniforms[:height], chance[1:])
        layer = jnp.max(jnp.where(hits, jnp.arange(1, height + 1), 0), initial=0)
        here = jnp.asarray(draft.topology.depth) == layer
        node = draw(jnp.where(here, part, 0), uniforms[height])
        token = draw(_row(shares, draft, p, node), uniforms[-1])
        return walk_to(draft, node, token, p.dtype)

    def _shares(self, draft: Draft, p: NodeLaws) -> "_Shares":
        """What every node holds and keeps."""
        topology = draft.topology
        at_node = check_scheme(f"layer:{self.rule.name}", self.claims, draft.scheme)
        arity = max(topology.arities)
        if arity and not states_mass(self.rule, at_node, arity):
            raise ValueError(
                f"verifier layer: the rule {self.rule.name} does not state its accepted mass for "
                f"{arity} drafts of the scheme {at_node}"
            )
        depth = jnp.asarray(topology.depth)

        def visit(node: Index, shares: _Shares) -> _Shares:
            view = node_view(draft, node)
            weight = shares.weight[node]
            whole = _whole(shares.weight, depth == depth[node])

            def verify() -> _Node:
                target = _with_a_missing_token(whole * p[node], 1 - whole)
                drafts = _with_a_missing_token(draft.q[node], jnp.zeros_like(whole))
                found = accepting(self.rule, view.tokens, target, drafts, view.mask)
                part = divide(weight, whole)
                mass = found.mass[: p.shape[1]]
                rest = jnp.maximum(weight * p[node] - part * mass, 0)
                return _Node(part * found.drafts, rest, total(rest))

            def stop() -> _Node:
                return _Node(jnp.zeros(view.mask.shape, p.dtype), weight * p[node], weight)

            found = jax.lax.cond(jnp.any(view.mask) & (weight > 0), verify, stop)
            return _Shares(
                shares.weight.at[view.children].set(found.given, mode="drop"),
                shares.kept.at[node].set(found.kept),
                shares.rest.at[node].set(found.rest),
            )

        inner = topology.levels[-2]  # nothing hangs below the last level
        weight = jnp.zeros(topology.nodes, p.dtype).at[ROOT].set(1)
        rest = jnp.zeros((max(inner, 1), p.shape[1]), p.dtype)
        start = _Shares(weight, jnp.zeros_like(weight), rest)
        shares: _Shares = jax.lax.fori_loop(0, inner, visit, start)
        last = jnp.arange(topology.nodes) >= inner
        return shares._replace(kept=jnp.where(last, shares.weight, shares.kept))


class _Node(NamedTuple):
    """What a node gives and keeps.

    Attributes:
      given: the weight of each child.
      rest: R of every token.
      kept: the sum of R.
    """

    given: PerSlot
    rest: Law
    kept: Array


class _Shares(NamedTuple):
    """What every node holds and keeps.

    Attributes:
      weight: [N], w.
      kept: [N], the sum of R.
      rest: [I, V], R of the nodes before the last layer.
    """

    weight: PerNode
    kept: PerNode
    rest: Float[Array, "I V"]


def _whole(weight: PerNode, here: Bool[Array, " N"]) -> Array:
    """W of a layer; all nodes above it were visited."""
    return jnp.minimum(jnp.sum(jnp.where(here, weight, 0)), 1)


def _layers(shares: _Shares, draft: Draft) -> tuple[Float[Array, " L"], PerNode]:
    """The chance that each layer succeeds once all below it failed, and each node's part of it."""
    depth = jnp.asarray(draft.topology.depth)
    nothing = jnp.zeros(draft.topology.height + 1, shares.weight.dtype)
    held = nothing.at[depth].add(shares.weight)
    kept = nothing.at[depth].add(shares.kept)
    chance = after_failure(jnp.minimum(held, 1).at[ROOT].set(1), kept)
    # if nothing is kept, rounding alone decides that the layer succeeds
    part = jnp.where(kept[depth] > 0, shares.kept, shares.weight)
    return chance, divide(part, jnp.where(kept > 0, kept, held)[depth])


def _row(shares: _Shares, draft: Draft, p: NodeLaws, node: Index) -> Law:
    """The law of the token that a node emits."""
    inner = draft.topology.levels[-2]
    rest = shares.rest[jnp.minimum(node, shares.rest.shape[0] - 1)]
    return normalise(jnp.where(node < inner, rest, p[node]), p[node])


def _with_a_missing_token(law: Law, missing: Array) -> Float[Array, " more"]:
    """The law with one token more; a vocabulary in whole blocks stays one, for exact sums."""
    block = block_size(law.shape[0])
    more = 1 if law.shape[0] % block else block
    return jnp.concatenate([law, jnp.zeros(more, law.dtype).at[0].set(missing)])

"""Greedy multi-path block verification: block verification of the best of several paths."""

import dataclasses
from typing import ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Bool, Float, Int

from specjax import exact_sums
from specjax._types import (
    Claims,
    Count,
    DepthFloats,
    DepthInts,
    Index,
    Law,
    NodeLaws,
    Scalar,
    Uniforms,
)
from specjax.numerics import acceptance_probability, coin, divide, fixed, total
from specjax.trees import NO_NODE, ROOT, Draft, Topology
from specjax.verifiers import _leaf_first
from specjax.verifiers._base import Verifier, Walk, check_scheme, register
from specjax.verifiers._leaf_first import Ends, after_failure, postorder

Numbers = Float[Array, "*numbers"]

BELOW = 19  # bits of a float32 below the sign, the exponent and the first 4 of the mantissa
BINS = 1 << (31 - BELOW)  # fewer tokens are sorted at once


@register
class GreedyMultiPathBlock(Verifier):
    """Selects the best of n independent paths, and verifies it as a block against its own law.

    Paths are compared by p/q and token at depth 1, then by p/q and token at depth 2, and so on; the
    largest path is selected. Let L be the q mass of the prefixes below the selected one, Q the mass
    of that prefix, and F(x) the q mass of the tokens before x in the next row. The next token then
    has the law r(x) = [(L + Q (F + q)(x))^n - (L + Q F(x))^n] / [(L + Q)^n - L^n]. Block
    verification runs with r in place of q, and so stays lossless. For n = 1 it is block
    verification.

    L + Q is scaled to 1 in every row, and differences of powers are sums: no digits are lost on
    long paths. Where nodes are missing, the paths that go deepest are compared.

    The verifier loses where p is near q. For p = q, flat on two tokens, it accepts 3/4 of one level
    of two drafts; a single draft is accepted always.

    Cost: a few passes over one row of p and q for each depth. A walk that ends before the last
    depth sorts one row, seldom two; in a batch it sorts one for each prefix that it tries, and
    `law` one for each depth. Source: thomas2026greedy.

    Raises:
      ValueError: the tree is not made of independent paths of one length, or the scheme is not
        `iid`. Where the children of a tree are traced, its levels alone are looked at.

    Example:
      >>> import jax.numpy as jnp
      >>> from specjax import trees, verifiers
      >>> p, q = jnp.array([[0.5, 0.3, 0.2]] * 3), jnp.array([[0.2, 0.3, 0.5]] * 3)
      >>> draft = trees.Draft(trees.star(2), jnp.array([0, 2, 1]), q, "iid")
      >>> ends = verifiers.GreedyMultiPathBlock().law(draft, p).sum(1)
      >>> [round(chance, 3) for chance in ends.tolist()]
      [0.231, 0.0, 0.769]
    """

    name: ClassVar[str]
    claims = Claims(lossless=True, drafting=frozenset({"iid"}), source="thomas2026greedy")

    def law(self, draft: Draft, p: NodeLaws) -> NodeLaws:
        _check(self, draft)
        best = _select(draft, p)

        def visit(depth: Index) -> tuple[Scalar, Law]:
            row = _own_law(best, depth, draft, p)
            return _chance(best, depth, row, p), row

        chances, rows = jax.lax.map(visit, jnp.arange(best.path.shape[0]))
        slots = jnp.where(best.path == NO_NODE, p.shape[0], best.path)  # beyond the end: dropped
        nothing = jnp.zeros(p.shape[0], p.dtype)
        accept = nothing.at[slots].set(chances, mode="drop")
        scale = nothing.at[slots].set(_scales(best), mode="drop")
        laws = jnp.zeros_like(p).at[slots].set(rows, mode="drop")
        return _leaf_first.law(Ends(accept, scale), dataclasses.replace(draft, q=laws), p)

    def walk(self, uniforms: Uniforms, draft: Draft, p: NodeLaws) -> Walk:
        """The walk that N + 1 uniforms select.

        There is one uniform for each node, and the last is for the token of the target. Nodes off
        the selected path leave theirs unread. A prefix is tried once all longer ones failed. Its
        row is sorted only if the uniform lies below an upper end of its chance.
        """
        _check(self, draft)
        best = _select(draft, p)
        depths = jnp.arange(best.path.shape[0], dtype=best.last.dtype)
        # no chance is above the weight: S / (S + 1 - w) <= w, for S <= w
        possible = coin(uniforms[best.path], best.weight)

        def failed(state: _Trial) -> Bool[Array, ""]:
            return ~state.accepted

        def shorten(state: _Trial) -> _Trial:
            depth = jnp.max(jnp.where(possible & (depths < state.depth), depths, 0))
            uniform = uniforms[best.path[depth]]
            nothing = _Trial(depth, state.row, jnp.zeros_like(state.accepted))

            def weigh() -> _Trial:
                row = _own_law(best, depth, draft, p)
                return _Trial(depth, row, coin(uniform, _chance(best, depth, row, p)))

            likely = coin(uniform, _highest_chance(best, depth, draft, p))
            tried: _Trial = jax.lax.cond(likely, weigh, lambda: nothing)
            return tried

        start = _Trial(best.last, jnp.zeros_like(p[ROOT]), possible[best.last])
        end: _Trial = jax.lax.while_loop(failed, shorten, start)
        only = jnp.arange(p.shape[0]) == best.path[end.depth]
        accept = only.astype(p.dtype)
        ends = Ends(accept, accept * _scales(best)[end.depth])
        rows = jnp.broadcast_to(end.row, p.shape)
        return _leaf_first.walk(uniforms, ends, dataclasses.replace(draft, q=rows), p)


class _Best(NamedTuple):
    """The selected path, by depth; rows beyond `last` are never read.

    Attributes:
      path: [D + 1], its nodes, then NO_NODE.
      weight: [D + 1], w of each prefix.
      lower: [D + 1], L / (L + Q), the share of the q mass of smaller prefixes.
      own: [D + 1], Q / (L + Q).
      last: the depth of its last node.
      paths: how many paths it was selected from.
    """

    path: DepthInts
    weight: DepthFloats
    lower: DepthFloats
    own: DepthFloats
    last: Index
    paths: Count


class _Trial(NamedTuple):
    """A walk up the selected path, after it tried one prefix.

    Attributes:
      depth: of the prefix.
      row: the law r of its next token; zeros if nothing was drawn below.
      accepted: whether the walk ends there.
    """

    depth: Index
    row: Law
    accepted: Bool[Array, ""]


class _Climb(NamedTuple):
    """A selection between two depths.

    Attributes:
      equal: [N], the nodes that hold the largest prefix so far.
      weight, lower, own: as in `_Best`, of this prefix.
    """

    equal: Bool[Array, " N"]
    weight: Scalar
    lower: Scalar
    own: Scalar


def _check(verifier: Verifier, draft: Draft) -> None:
    """Refuse a tree that is not made of independent paths of one length.

    The children of a tree that grows hang nowhere before it is drawn.
    """
    check_scheme(verifier.name, verifier.claims, draft.scheme)
    topology = draft.topology
    words = f"verifier {verifier.name}: takes independent paths of one length"
    widths = sorted(set(np.diff(topology.levels)[1:].tolist()))
    if len(widths) > 1:
        raise ValueError(f"{words}, got levels of {' and '.join(map(str, widths))} nodes")
    if isinstance(topology.children, np.ndarray):
        arity = max((topology.children[1:] != NO_NODE).sum(1), default=0)
        if arity > 1:
            raise ValueError(f"{words}, got a node below the root with {arity} children")


def _select(draft: Draft, p: NodeLaws) -> _Best:
    """The largest of the paths that go deepest.

    Paths that share a prefix may meet in one node, or hold a node each: what is compared is nodes
    that hold the largest prefix, and the nodes below these.
    """
    topology = draft.topology
    parents = jnp.asarray(topology.parents)
    depths = jnp.asarray(topology.depth)
    above = topology.ancestors()
    live = postorder(topology) < topology.nodes
    last = jnp.max(jnp.where(live, depths, 0))
    ends = live & (depths == last)
    count = jnp.sum(ends)
    whole = jnp.any(above & ends[:, None], 0)

    def descend(state: _Climb, depth: Index) -> tuple[_Climb, _Climb]:
        node = jnp.argmax(state.equal)
        below = whole & (depths == depth + 1) & state.equal[parents]
        place = _largest(below, draft.tokens, p[node], draft.q[node])
        p_token = p[node, place.token]
        q_token = draft.q[node, place.token]
        start = state.lower + state.own * place.before
        own = state.own * q_token
        end = start + own
        rate = _rate(end, start, state.lower, count, topology)
        deeper = _Climb(
            equal=below & (draft.tokens == place.token),
            weight=acceptance_probability(state.weight * p_token, q_token * rate),
            lower=divide(start, end),
            own=divide(own, end),
        )
        alive = depth < last
        state = jax.tree.map(lambda new, old: jnp.where(alive, new, old), deeper, state)
        return state, state

    one = jnp.ones((), p.dtype)
    root = _Climb(jnp.arange(topology.nodes) == ROOT, one, jnp.zeros_like(one), one)
    state, rows = jax.lax.scan(descend, root, jnp.arange(topology.height))
    by_depth = jax.tree.map(lambda first, rest: jnp.concatenate([first[None], rest]), root, rows)
    on_path = above[jnp.argmax(state.equal)]
    steps = topology.height + 1
    slots = jnp.where(on_path, depths, steps)  # beyond the end: dropped
    path = jnp.full(steps, NO_NODE, jnp.int32)
    path = path.at[slots].set(jnp.arange(topology.nodes, dtype=jnp.int32), mode="drop")
    return _Best(
        path=path,
        weight=by_depth.weight,
        lower=by_depth.lower,
        own=by_depth.own,
        last=last,
        paths=count,
    )


class _Place(NamedTuple):
    """A token, and the q mass of the tokens before it."""

    token: Index
    before: Scalar


def _largest(
    candidates: Bool[Array, " N"],
    tokens: Int[Array, " N"],
    p: Law,
    q: Law,
) -> _Place:
    """The largest of the tokens at the candidates, by p/q and then by token; 0 if there is none."""
    ratio = _ratio(p, q)
    of_node = jnp.where(candidates, ratio[tokens], -1)
    highest = jnp.max(of_node)
    at_top = candidates & (of_node == highest)
    token = jnp.max(jnp.where(at_top, tokens, 0))
    tie = (ratio == highest) & (jnp.arange(q.shape[0]) < token)
    return _Place(token, total(jnp.where((ratio < highest) | tie, q, 0)))


def _ratio(p: Law, q: Law) -> Law:
    """p/q, computed once: readers that round it apart would not agree on the order.

    Tokens that are never drawn are put first, where their mass 0 moves nothing.
    """
    return fixed(divide(p, q))


def _own_law(best: _Best, depth: Index, draft: Draft, p: NodeLaws) -> Law:
    """The law r of the selected path's token below its node at `depth`."""
    node = best.path[depth]
    q = draft.q[node]
    if _is_path(draft.topology):
        return q
    ratio = _ratio(p[node], q)
    kind = np.dtype(f"int{8 * ratio.dtype.itemsize}")
    # integers order floats >= 0 alike, and sort in a fraction of the time
    keys = jax.lax.bitcast_convert_type(ratio, kind)
    order = jnp.argsort(keys)
    ascending = q[order]
    sums = jnp.cumsum(ascending)
    lower = best.lower[depth]
    start = lower + best.own[depth] * (sums - ascending)
    end = lower + best.own[depth] * sums
    own = ascending * _rate(end, start, lower, best.paths, draft.topology)
    return jnp.zeros_like(q).at[order].set(own, unique_indices=True)


def _highest_chance(best: _Best, depth: Index, draft: Draft, p: NodeLaws) -> Scalar:
    """At least the chance of the prefix of `depth`, without a sort.

    Every r / q is taken for that at the least ratio of its bin, 16 bins for each factor of 2. In a
    small vocabulary the weight is taken: a batch would hold a table of bins for each row.
    """
    node = best.path[depth]
    q = draft.q[node]
    if _is_path(draft.topology) or q.shape[0] < BINS:
        return best.weight[depth]
    ratio = _ratio(p[node], q).astype(jnp.float32)
    bins = jax.lax.bitcast_convert_type(ratio, jnp.int32) >> BELOW
    (mass,) = exact_sums.sums(bins, BINS, q)
    lower = best.lower[depth]
    start = lower + best.own[depth] * (jnp.cumsum(mass) - mass)
    rate = _rate(start, start, lower, best.paths, draft.topology)
    return _chance(best, depth, q * rate[bins], p)


def _is_path(topology: Topology) -> bool:
    return max(topology.arities) <= 1


def _rate(
    end: Numbers,
    start: Numbers,
    lower: Scalar,
    count: Count,
    topology: Topology,
) -> Numbers:
    """r / q of tokens that fill [start, end] of the mass [lower, 1] of a prefix."""
    bits = max(topology.arities).bit_length()
    return _powers(end, start, count, bits) / _powers(jnp.ones_like(lower), lower, count, bits)


def _powers(high: Numbers, low: Numbers, n: Count, bits: int) -> Numbers:
    """(high^n - low^n) / (high - low), as a sum that no difference rounds.

    The sum S(n) of n products obeys S(2 m) = S(m) (high^m + low^m), S(m + 1) = high S(m) + low^m.
    """
    sums = jnp.zeros_like(high)
    top = bottom = jnp.ones_like(high)
    for bit in reversed(range(bits)):
        sums = sums * (top + bottom)
        top = top * top
        bottom = bottom * bottom
        odd = (n >> bit) % 2 == 1
        sums = jnp.where(odd, high * sums + bottom, sums)
        top = jnp.where(odd, high * top, top)
        bottom = jnp.where(odd, low * bottom, bottom)
    return sums


def _chance(best: _Best, depth: Index, row: Law, p: NodeLaws) -> Scalar:
    """The chance of the prefix of `depth` once all longer ones failed."""
    weight = best.weight[depth]
    surplus = total(jnp.maximum(weight * p[best.path[depth]] - row, 0))
    return jnp.where(depth < best.last, after_failure(weight, surplus), weight)


def _scales(best: _Best) -> Numbers:
    """The c = 1 / w of each prefix's residual (p - c r)+."""
    inner = jnp.arange(best.path.shape[0]) < best.last
    return jnp.where(inner, divide(jnp.ones_like(best.weight), best.weight), 0)

"""The joint optimum of a draft tree: the most drafts that any lossless verifier accepts.

It is a linear program, solved with its dual and the gap.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy.sparse import coo_array, eye_array, hstack

from theory import _linear_program
from theory._arrays import Indices, Law, Mask, Values
from theory.trees import ABSENT, ROOT, Drawn, levels

ROWS = 100_000  # the most pairs of a path set and a context
CONTEXTS = 2_000  # the most contexts
# contexts that are passed more rarely are beneath the solver: in larger units it calls solvable
# programs unbounded
RARE = _linear_program.TOLERANCE


@dataclass(frozen=True, eq=False)
class PathSets:
    """A law over drawn trees merged by the set of their paths.

    Nodes that stand for one context are one to any verifier.

    Attributes:
      members: [G, S], whether context s is in set g; the root always is.
      mass: [G], sums to 1.
      index: [T], the set of each tree.
    """

    members: Mask
    mass: Law
    index: Indices


@dataclass(frozen=True, eq=False)
class TreeBound:
    """The joint optimum with its witnesses.

    The value is E_g[max_{s in g} c(s)]. Here c(s) = |s| - sum v over the steps to s + sum over the
    contexts r on the way, s included, of E_{y ~ p(r)} v(r y). It bounds E[ell] of every lossless
    verifier from above for any prices v >= 0, so it needs no trust in a solver.

    Attributes:
      value: the upper bound.
      gap: value minus E[ell] of the plan.
      prices: [S], v; 0 at the root.
      ends: [G, S], the plan: the mass of the walks on set g that end at context s, feasible up to
        rounding.
      sets: the path sets.
    """

    value: float
    gap: float
    prices: Values
    ends: Values
    sets: PathSets


def merge(drawn: Drawn) -> PathSets:
    """The law over drawn trees merged by path set.

    Cost: one sort of T rows of S bits.

    Args:
      drawn: T trees.

    Returns:
      The G path sets.
    """
    members = np.zeros((len(drawn.mass), len(drawn.target) + 1), np.bool_)
    np.put_along_axis(members, drawn.contexts, True, axis=1)  # ABSENT falls into the last column
    members = members[:, :ABSENT]
    kept, first, index = np.unique(
        np.packbits(members, axis=1),
        axis=0,
        return_index=True,
        return_inverse=True,
    )
    index = index.reshape(-1)
    mass = np.bincount(index, drawn.mass, len(kept))
    return PathSets(
        members=members[first],
        mass=np.asarray(mass, np.float64),
        index=index,
    )


def solve(drawn: Drawn) -> TreeBound:
    """The largest E[ell] of a lossless verifier of drawn trees.

    A walk on path set g ends at a context s of g. Let z(g, s) be its mass and F(s) the sum of z
    over the ends at or below s. Emitted sequences have the target's law iff what is emitted at the
    ends makes up p there. That is F(s y) <= p(y | s) F(s), and the walks that end at s draw the
    rest of p(s) F(s). So E[ell] = sum over s other than the root of F(s) is maximised over z >= 0
    with sum_s z(g, s) = Q(g). An end may emit a token which was drafted below it at no cost: going
    on there accepts more. The solver is given the dual, the least E_g[max_{s in g} c(s)] over the
    prices, which is faster; z are its marginals.

    Cost: a linear program of one row for each path set and context in it, and of G + 2 S variables;
    S^2 memory. Time and space are for all trees together.

    Args:
      drawn: the law over trees.

    Returns:
      The optimum with prices, a plan and the gap.

    Raises:
      ValueError: there are more than 1e5 pairs of a path set and a context, or more than 2000
        contexts.
      RuntimeError: the solver failed, with its status.
    """
    target = drawn.target
    sets = merge(drawn)
    rows, contexts = np.nonzero(sets.members)
    if len(rows) > ROWS or len(target) > CONTEXTS:
        limits = f"at most {ROWS} pairs of a path set and a context, and {CONTEXTS} contexts"
        raise ValueError(f"tree: expected {limits}, got {len(rows)} and {len(target)}")
    solution = _dual(sets, target, rows, contexts)
    prices = np.append(0.0, np.maximum(solution.prices, 0.0)[1:])
    ends = np.zeros(sets.members.shape)
    ends[rows, contexts] = solution.ends
    ends = _feasible(ends, sets, target)
    value = priced(sets, target, prices)
    accepted = float((ends @ _depth(target)).sum())
    return TreeBound(
        value=value,
        gap=value - accepted,
        prices=prices,
        ends=ends,
        sets=sets,
    )


def priced(sets: PathSets, target: Law, prices: Values) -> float:
    """The upper bound that any prices give: see `TreeBound`.

    Args:
      sets: the path sets.
      target: [S, V].
      prices: [S], at least 0.

    Returns:
      The bound.
    """
    worth = _depth(target) - prices @ _excess(target)
    best = np.where(sets.members, worth, -np.inf).max(axis=1)
    return float(sets.mass @ best)


def inclusion_bound(drawn: Drawn) -> float:
    """An upper bound of the joint optimum, with each path taken on its own.

    It takes F(s y) <= min(P(s y is in the tree), p(y | s) F(s)), and is the optimum on one path.
    Cost: the same as `merge`, for trees that are too many for the program.

    Args:
      drawn: the law over trees.

    Returns:
      The bound.
    """
    passable = _passable(merge(drawn), drawn.target)
    return float(passable[1:].sum())


def plan_laws(bound: TreeBound, drawn: Drawn) -> Law:
    """The optimal plan as a verifier's law.

    A walk that ends at s draws y in proportion to p(y | s) F(s) - F(s y).

    Args:
      bound: the optimum of `drawn`.
      drawn: T trees of N nodes.

    Returns:
      The laws [T, N, V].
    """
    target = drawn.target
    vocabulary = target.shape[1]
    ended = bound.ends.sum(axis=0)
    passed = _below(target) @ ended
    left = np.maximum(-(_excess(target) @ ended), 0.0)
    inner = levels(target)[-1].start
    above_leaves = left[1:].reshape(inner, vocabulary)
    at_leaves = target[inner:] * passed[inner:, None]
    tokens = np.concatenate((above_leaves, at_leaves))
    total = tokens.sum(axis=1, keepdims=True)
    tokens = np.divide(
        tokens,
        total,
        out=target.copy(),
        where=total > 0,
    )
    mass = bound.sets.mass[bound.sets.index, None]
    share = bound.ends[bound.sets.index] / mass
    laws = np.zeros((*drawn.contexts.shape, vocabulary))
    for tree, contexts in enumerate(drawn.contexts):
        found, node = np.unique(contexts, return_index=True)
        ending = np.where(found == ABSENT, 0.0, share[tree, found])
        laws[tree, node] = ending[:, None] * tokens[found]
    return laws


class _Solution(NamedTuple):
    prices: Values
    ends: Values


def _dual(sets: PathSets, target: Law, rows: Indices, contexts: Indices) -> _Solution:
    """min Q u over u[G], c[S], v[S] >= 0 with u_g >= c(s) for s in g, and c = depth - v excess.

    v is in units that suit rare contexts.
    """
    total, size = sets.members.shape
    unit = 1.0 / np.maximum(_passable(sets, target), RARE)
    below = hstack(
        (
            _units(rows, total, -1.0),
            _units(contexts, size, 1.0),
            coo_array((len(rows), size)),
        )
    )
    excess = _excess(target) * unit[:, None]
    worth = hstack(
        (
            coo_array((size, total)),
            eye_array(size),
            coo_array(excess.T),
        )
    )
    solution = _linear_program.minimise(
        costs=np.concatenate((sets.mass, np.zeros(2 * size))),
        below=below,
        limits=np.zeros(len(rows)),
        ranges=[(None, None)] * (total + size) + [(0.0, None)] * size,
        equal=(worth, _depth(target)),
    )
    return _Solution(solution.x[-size:] * unit, solution.prices)


def _units(columns: Indices, width: int, value: float) -> coo_array:
    """One entry in each row, in the given columns."""
    rows = len(columns)
    entries = np.arange(rows), columns
    return coo_array((np.full(rows, value), entries), shape=(rows, width))


def _passable(sets: PathSets, target: Law) -> Values:
    """[S], the largest mass of walks that can pass each context."""
    passed: Values = sets.mass @ sets.members
    for context in range(1, len(passed)):
        above, token = divmod(context - 1, target.shape[1])
        passed[context] = min(passed[context], passed[above] * target[above, token])
    return passed


def _depth(target: Law) -> Values:
    """[S], how many tokens each context has."""
    widths = [level.stop - level.start for level in levels(target)]
    return np.repeat(np.arange(float(len(widths))), widths)


def _below(target: Law) -> Values:
    """[S, S]: 1 if context s lies at or below context t."""
    below = np.eye(len(target))
    for context in range(len(target) - 1, ROOT, -1):
        above = (context - 1) // target.shape[1]
        below[above] += below[context]
    return below


def _excess(target: Law) -> Values:
    """[S, S]: what a walk that ends at s adds to F(t) - p(t | above t) F(above t).

    It is 0 if t is the root.
    """
    below = _below(target)
    excess = np.zeros(below.shape)
    above = np.arange(len(target) - 1) // target.shape[1]
    steps = target.ravel()[: len(above), None]
    excess[1:] = below[1:] - steps * below[above]
    return excess


def _feasible(ends: Values, sets: PathSets, target: Law) -> Values:
    """The plan nearest below one that a solver left feasible only up to its tolerance.

    Rows are cut at 0 and scaled to their mass. Then, from the root down, what passes a context
    beyond p(y | s) F(s) ends above it.
    """
    ends = np.where(sets.members, np.maximum(ends, 0.0), 0.0)
    ends[:, ROOT] += ends.sum(axis=1) == 0.0
    ends *= (sets.mass / ends.sum(axis=1))[:, None]
    below = _below(target) > 0
    for context in range(1, len(target)):
        above, token = divmod(context - 1, target.shape[1])
        here = ends[:, below[context]]
        passed = here.sum()
        limit = target[above, token] * ends[:, below[above]].sum()
        if passed > limit:
            kept = here * (limit / passed)
            ends[:, above] += (here - kept).sum(axis=1)
            ends[:, below[context]] = kept
    return ends

"""The joint optimum of a draft tree: the most drafts that any lossless verifier accepts, as a
linear program with its dual and the gap.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linprog
from scipy.sparse import coo_array, eye_array, hstack

from theory.trees import ABSENT, ROOT, Drawn, levels

Law = NDArray[np.float64]
Indices = NDArray[np.int64]

TOLERANCE = 1e-10
ROWS, CONTEXTS = 100_000, 2_000
# contexts that are passed more rarely are beneath the solver: in larger units it calls solvable
# programs unbounded
RARE = TOLERANCE


@dataclass(frozen=True, eq=False)
class PathSets:
    """A law over drawn trees merged by the set of their paths: nodes that stand for one context are
    one to any verifier.

    Arguments:
      members: [G, S], whether context s is in set g; the root always is.
      mass: [G], sums to 1.
      index: [T], the set of each tree.
    """

    members: NDArray[np.bool_]
    mass: Law
    index: NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class TreeBound:
    """The joint optimum with its witnesses.

    Arguments:
      value: E_g[max_{s in g} c(s)], c(s) = |s| - sum v over the steps to s + sum over the contexts
        r on the way, s included, of E_{y ~ p(r)} v(r y): an upper bound on E[ell] of every lossless
        verifier for any prices v >= 0, so it needs no trust in a solver.
      gap: value minus E[ell] of the plan.
      prices: [S], v; 0 at the root.
      ends: [G, S], the plan: the mass of the walks on set g that end at context s, feasible up to
        rounding.
      sets: the path sets.
    """

    value: float
    gap: float
    prices: Law
    ends: Law
    sets: PathSets


def merge(drawn: Drawn) -> PathSets:
    """The law over drawn trees merged by path set. Cost: one sort of T rows of S bits."""
    members = np.zeros((len(drawn.mass), len(drawn.target) + 1), np.bool_)
    np.put_along_axis(members, drawn.contexts, True, axis=1)  # ABSENT falls into the last column
    packed = np.packbits(members[:, :ABSENT], axis=1)
    kept, first, index = np.unique(packed, axis=0, return_index=True, return_inverse=True)[:3]
    index = index.reshape(-1)
    return PathSets(
        members[first, :ABSENT],
        np.asarray(np.bincount(index, drawn.mass, len(kept)), np.float64),
        index,
    )


def solve(drawn: Drawn) -> TreeBound:
    """The largest E[ell] of a lossless verifier of drawn trees, in time and space for all trees
    together.

    A walk on path set g ends at a context s of g. With z(g, s) its mass and F(s) = sum of z over
    the ends at or below s, emitted sequences have the target's law iff what is emitted at the ends
    makes up p there: F(s y) <= p(y | s) F(s), the rest of p(s) F(s) being drawn by the walks that
    end at s. So E[ell] = sum over s other than the root of F(s) is maximised over z >= 0 with sum_s
    z(g, s) = Q(g). That an end may emit a token which was drafted below it costs nothing: going on
    there accepts more. The solver is given the dual, the least E_g[max_{s in g} c(s)] over the
    prices, which is faster; z are its marginals.

    Raises:
      ValueError: there are more than 1e5 pairs of a path set and a context, or more than 2000
        contexts.
      RuntimeError: the solver failed, with its status.
    Cost: a linear program of one row per path set and context in it and of G + 2 S variables; S^2
    memory.
    """
    sets = merge(drawn)
    rows, contexts = np.nonzero(sets.members)
    if len(rows) > ROWS or len(drawn.target) > CONTEXTS:
        limits = f"at most {ROWS} pairs of a path set and a context, and {CONTEXTS} contexts"
        raise ValueError(f"tree: expected {limits}, got {len(rows)} and {len(drawn.target)}")
    solution = _dual(sets, drawn.target, rows, contexts)
    prices = np.append(0.0, np.maximum(solution.prices, 0.0)[1:])
    ends = np.zeros(sets.members.shape)
    ends[rows, contexts] = solution.ends
    ends = _feasible(ends, sets, drawn.target)
    value = priced(sets, drawn.target, prices)
    return TreeBound(value, value - float((ends @ _depth(drawn.target)).sum()), prices, ends, sets)


def priced(sets: PathSets, target: Law, prices: Law) -> float:
    """The upper bound that any prices [S] >= 0 give: see `TreeBound.value`."""
    worth = _depth(target) - prices @ _excess(target)
    return float(sets.mass @ np.where(sets.members, worth, -np.inf).max(axis=1))


def inclusion_bound(drawn: Drawn) -> float:
    """Of the joint optimum, each path taken on its own: F(s y) <= min(P(s y is in the tree), p(y |
    s) F(s)). Equal to it on one path.

    Cost: that of `merge`, for trees that are too many for the program.
    """
    return float(_passable(merge(drawn), drawn.target)[1:].sum())


def plan_laws(bound: TreeBound, drawn: Drawn) -> Law:
    """The optimal plan as a verifier's law [T, N, V]: a walk that ends at s draws y in proportion
    to p(y | s) F(s) - F(s y).
    """
    passed = _below(drawn.target) @ bound.ends.sum(axis=0)
    left = np.maximum(-(_excess(drawn.target) @ bound.ends.sum(axis=0)), 0.0)
    vocabulary = drawn.target.shape[1]
    inner = levels(drawn.target)[-1].start
    tokens = np.concatenate(
        (left[1:].reshape(inner, vocabulary), drawn.target[inner:] * passed[inner:, None])
    )
    total = tokens.sum(axis=1, keepdims=True)
    tokens = np.divide(tokens, total, out=drawn.target.copy(), where=total > 0)
    share = bound.ends[bound.sets.index] / bound.sets.mass[bound.sets.index, None]
    laws = np.zeros((*drawn.contexts.shape, vocabulary))
    for tree, contexts in enumerate(drawn.contexts):
        found, node = np.unique(contexts, return_index=True)
        laws[tree, node] = (
            np.where(found == ABSENT, 0.0, share[tree, found])[:, None] * tokens[found]
        )
    return laws


class _Solution(NamedTuple):
    prices: Law
    ends: Law


def _dual(
    sets: PathSets,
    target: Law,
    rows: Indices,
    contexts: Indices,
) -> _Solution:
    """min Q u over u[G], c[S], v[S] >= 0 with u_g >= c(s) for s in g, and c = depth - v excess; v
    in units that suit rare contexts.
    """
    (total, size), pairs = sets.members.shape, np.arange(len(rows))
    unit = 1.0 / np.maximum(_passable(sets, target), RARE)
    below = hstack(
        (_units(rows, total, -1.0), _units(contexts, size, 1.0), coo_array((len(pairs), size)))
    )
    worth = hstack(
        (coo_array((size, total)), eye_array(size), coo_array((_excess(target) * unit[:, None]).T))
    )
    solution = linprog(
        c=np.concatenate((sets.mass, np.zeros(2 * size))),
        A_ub=below,
        b_ub=np.zeros(len(pairs)),
        A_eq=worth,
        b_eq=_depth(target),
        bounds=[(None, None)] * (total + size) + [(0.0, None)] * size,
        method="highs",
        options={
            "primal_feasibility_tolerance": TOLERANCE,
            "dual_feasibility_tolerance": TOLERANCE,
        },
    )
    if solution.status != 0:
        raise RuntimeError(f"linprog failed with status {solution.status}: {solution.message}")
    return _Solution(solution.x[-size:] * unit, -solution.ineqlin.marginals)


def _units(columns: Indices, width: int, value: float) -> coo_array:
    """One entry per row, in the given columns."""
    return coo_array(
        (np.full(len(columns), value), (np.arange(len(columns)), columns)),
        shape=(len(columns), width),
    )


def _passable(sets: PathSets, target: Law) -> Law:
    """[S], the largest mass of walks that can pass each context."""
    passed = sets.mass @ sets.members
    for context in range(1, len(passed)):
        above, token = divmod(context - 1, target.shape[1])
        passed[context] = min(passed[context], passed[above] * target[above, token])
    return passed


def _depth(target: Law) -> Law:
    return np.concatenate(
        [np.full(level.stop - level.start, float(d)) for d, level in enumerate(levels(target))]
    )


def _below(target: Law) -> Law:
    """[S, S]: 1 where context s lies at or below context t."""
    below = np.eye(len(target))
    for context in range(len(target) - 1, ROOT, -1):
        below[(context - 1) // target.shape[1]] += below[context]
    return below


def _excess(target: Law) -> Law:
    """[S, S]: what a walk that ends at s adds to F(t) - p(t | above t) F(above t); 0 for t the
    root.
    """
    below = _below(target)
    excess = np.zeros((len(target), len(target)))
    above = np.arange(len(target) - 1) // target.shape[1]
    excess[1:] = below[1:] - target.ravel()[: len(above), None] * below[above]
    return excess


def _feasible(ends: Law, sets: PathSets, target: Law) -> Law:
    """The plan nearest below one that a solver left feasible only up to its tolerance.

    Rows are cut at 0 and scaled to their mass; then, from the root down, what passes a context
    beyond p(y | s) F(s) ends above it.
    """
    ends = np.where(sets.members, np.maximum(ends, 0.0), 0.0)
    ends[:, ROOT] += ends.sum(axis=1) == 0.0
    ends *= (sets.mass / ends.sum(axis=1))[:, None]
    below = _below(target) > 0
    for context in range(1, len(target)):
        above, token = divmod(context - 1, target.shape[1])
        passed = ends[:, below[context]].sum()
        limit = target[above, token] * ends[:, below[above]].sum()
        if passed > limit:
            kept = ends[:, below[context]] * (limit / passed)
            ends[:, above] += (ends[:, below[context]] - kept).sum(axis=1)
            ends[:, below[context]] = kept
    return ends

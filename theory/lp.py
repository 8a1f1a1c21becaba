"""The transport problem behind alpha*, solved as a linear program."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linprog
from scipy.sparse import coo_array

from theory.problem import Bound, Problem
from theory.transport import ABSENT, Coupling, DraftSets, feasible, merge

TOLERANCE = 1e-10
PLAN_CELLS = 100_000


def solve(problem: Problem) -> Bound:
    """alpha* = max sum f over f(x, y) >= 0, y in x, with sum_x f(x, y) <= p(y) and sum_y f(x, y) <=
    Q(x).

    Tuples are merged by set first. The value is the dual's, 1 + p(H) - Q(H), an upper bound for any
    H; the coupling is feasible in spite of the solver's tolerance, so its acceptance is a lower
    bound: the gap between the two certifies both.

    Raises:
      ValueError: the joint law is too large to enumerate.
      RuntimeError: the solver failed, with its status.
    Cost: an LP of n V^n / n! variables. Source: sun2023spectr.
    """
    coupling, subset = _transport(problem)
    if problem.p[subset].sum() > _inside(coupling.sets, subset):
        subset = np.zeros_like(subset)
    value = 1.0 + float(problem.p[subset].sum()) - _inside(coupling.sets, subset)
    return Bound(value, subset, coupling, value - coupling.acceptance)


def plan(problem: Problem) -> NDArray[np.float64]:
    """SpecTr's exact plan as a conditional law K[x_1, .., x_n, :], shape [V] * n + [V].

    K[x, y] = f(x, y) / Q(x) plus what is left of 1 by the residual p - sum_x f(x, .), normalised;
    tuples that are never drawn get p; masked slots are not read.

    Raises:
      ValueError: V^n exceeds 1e5.
      RuntimeError: the solver failed.
    Cost: the LP, and V^(n+1) numbers. Source: sun2023spectr.
    """
    vocabulary = len(problem.p)
    n = problem.n
    if vocabulary**n > PLAN_CELLS:
        raise ValueError(f"plan: expected V^n of at most {PLAN_CELLS}, got {vocabulary}^{n}")
    coupling, _ = _transport(problem)
    tokens = problem.joint().tokens
    live = tokens.shape[1]
    laws = np.tile(problem.p, (vocabulary,) * live + (1,))
    laws[tuple(tokens.T)] = coupling.laws()
    padded = laws.reshape((vocabulary,) * live + (1,) * (n - live) + (vocabulary,))
    return np.array(np.broadcast_to(padded, (vocabulary,) * (n + 1)))


def _transport(problem: Problem) -> tuple[Coupling, NDArray[np.bool_]]:
    """The optimal flow, made feasible, and the tokens whose constraint has a price above 1/2
    (prices are 0 or 1).
    """
    sets = merge(problem.joint())
    rows, slots = np.nonzero(sets.members != ABSENT)
    solution = linprog(
        c=-np.ones(len(rows)),
        A_ub=_incidence(rows, sets.members[rows, slots], len(sets.mass), len(problem.p)),
        b_ub=np.concatenate((sets.mass, problem.p)),
        method="highs",
        options={
            "primal_feasibility_tolerance": TOLERANCE,
            "dual_feasibility_tolerance": TOLERANCE,
        },
    )
    if solution.status != 0:
        raise RuntimeError(f"linprog failed with status {solution.status}: {solution.message}")
    flow = np.zeros(sets.members.shape)
    flow[rows, slots] = solution.x
    return feasible(flow, sets, problem.p), solution.ineqlin.marginals[len(sets.mass) :] < -0.5


def _incidence(
    rows: NDArray[np.int64],
    tokens: NDArray[np.int64],
    sets: int,
    vocabulary: int,
) -> coo_array:
    """The arcs' incidence with sets (first) and tokens (after them): one constraint per row."""
    arcs = np.arange(len(rows))
    entries = (np.concatenate((rows, sets + tokens)), np.concatenate((arcs, arcs)))
    return coo_array((np.ones(2 * len(rows)), entries), shape=(sets + vocabulary, len(rows)))


def _inside(sets: DraftSets, subset: NDArray[np.bool_]) -> float:
    """Q(H): the mass of the sets that lie in H."""
    return float(sets.mass[(subset[sets.members] | (sets.members == ABSENT)).all(axis=1)].sum())

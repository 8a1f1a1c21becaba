"""Different drafters at one node: each slot has its own law."""

from __future__ import annotations

import numpy as np
from scipy.optimize import linprog

from theory.drafting._base import Joint, Law, Subset, Tokens, chain

ORDERS, TOLERANCE, MEET = 500, 1e-10, 1e-9


def live(q: Law, n: int) -> int:
    """All n slots are drawn.

    Raises:
      ValueError: q is not n laws.
    """
    if q.ndim != 2 or len(q) != n:
        raise ValueError(
            f"q: scheme independent draws slot i from q[i], expected shape ({n}, V), got {q.shape}"
        )
    return n


def conditional(q: Law, tokens: Tokens, slots: int) -> Law:
    """Slot j is a draw from q[j]."""
    return q[tokens.shape[1]]


def joint(q: Law, n: int) -> Joint:
    """Q(x) = prod_j q_j(x_j). Cost: O(V^n)."""
    return chain(conditional, q, live(q, n))


def inclusion(q: Law, n: int) -> Law:
    """P(y among the drafts) = 1 - prod_j (1 - q_j(y)). Cost: O(V n)."""
    with np.errstate(divide="ignore"):
        return -np.expm1(np.log1p(-q).sum(axis=0))


def optimum(p: Law, q: Law, n: int) -> tuple[float, Subset]:
    """alpha* = 1 + min_H [p(H) - prod_j q_j(H)], by cutting planes on the Lovasz extension of this
    submodular function.

    Every order of the tokens gives a vertex y of the base polytope, and sum_i y_i x_i is below the
    extension for x in [0, 1]^V: the linear program over the orders met so far is a lower bound, and
    the prefixes of the order of its solution are upper bounds. They meet after finitely many
    orders. Cost: a linear program of V variables per order.

    Raises:
      RuntimeError: the linear program failed, or the bounds did not meet to 1e-9 within 500 orders.
    """
    live(q, n)
    vertices: list[Law] = []
    best = 0.0
    subset = np.zeros(len(p), np.bool_)
    lowest = -1.0
    scores = p / np.maximum(q.sum(axis=0), np.finfo(float).tiny)
    for _ in range(ORDERS):
        order = np.argsort(scores, kind="stable")
        slack = np.concatenate(
            ([0.0], np.cumsum(p[order]) - np.cumsum(q[:, order], axis=1).prod(axis=0))
        )
        if slack.min() < best:
            best = float(slack.min())
            subset = np.isin(np.arange(len(p)), order[: int(np.argmin(slack))])
        vertex = np.empty(len(p))
        vertex[order] = np.diff(slack)
        vertices.append(vertex)
        solution = linprog(
            c=np.append(np.zeros(len(p)), 1.0),
            A_ub=np.column_stack((np.array(vertices), -np.ones(len(vertices)))),
            b_ub=np.zeros(len(vertices)),
            bounds=[(0.0, 1.0)] * len(p) + [(-1.0, 0.0)],
            method="highs",
            options={
                "primal_feasibility_tolerance": TOLERANCE,
                "dual_feasibility_tolerance": TOLERANCE,
            },
        )
        if solution.status != 0:
            raise RuntimeError(f"linprog failed with status {solution.status}: {solution.message}")
        lowest = float(solution.fun)
        if best - lowest <= MEET:
            return 1.0 + best, subset
        scores = -solution.x[:-1]
    raise RuntimeError(
        f"optimum: bounds {lowest:.12g} and {best:.12g} did not meet within {ORDERS} orders"
    )

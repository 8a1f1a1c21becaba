"""Different drafters at one node: each slot has its own law."""

import numpy as np

from theory import _linear_program
from theory._arrays import Indices, Law, Mask, Values
from theory.drafting._base import Joint, chain

ORDERS = 500  # the most cutting planes
MEET = 1e-9  # how near the bounds must come


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


def conditional(q: Law, tokens: Indices, slots: int) -> Law:
    """Slot j is a draw from q[j]."""
    law: Law = q[tokens.shape[1]]
    return law


def joint(q: Law, n: int) -> Joint:
    """Q(x) = prod_j q_j(x_j).

    Cost: O(V^n).

    Example:
      >>> from theory import Problem
      >>> joint = Problem([0.5, 0.5], [[0.2, 0.8], [0.5, 0.5]], 2, "independent").joint()
      >>> joint.tokens.tolist(), joint.mass.round(6).tolist()
      ([[0, 0], [0, 1], [1, 0], [1, 1]], [0.1, 0.1, 0.4, 0.4])
    """
    return chain(conditional, q, live(q, n))


def inclusion(q: Law, n: int) -> Law:
    """P(y among the drafts) = 1 - prod_j (1 - q_j(y)). Cost: O(V n)."""
    with np.errstate(divide="ignore"):
        inside: Law = -np.expm1(np.log1p(-q).sum(axis=0))
    return inside


def optimum(p: Law, q: Law, n: int) -> tuple[float, Mask]:
    """alpha* = 1 + min_H [p(H) - prod_j q_j(H)], by cutting planes.

    They are planes of the Lovasz extension of this submodular function. Every order of the tokens
    gives a vertex y of the base polytope, and sum_i y_i x_i is below the extension for x in
    [0, 1]^V. So the linear program over the orders met so far is a lower bound. The prefixes of the
    order of its solution are upper bounds. They meet after finitely many orders. Cost: a linear
    program of V variables for each order.

    Raises:
      RuntimeError: the linear program failed, or the bounds did not meet to 1e-9 within 500 orders.
    """
    live(q, n)
    vertices: list[Values] = []
    best = 0.0
    subset = np.zeros(len(p), np.bool_)
    lowest = -1.0
    scores = p / np.maximum(q.sum(axis=0), np.finfo(float).tiny)
    for _ in range(ORDERS):
        order = np.argsort(scores, kind="stable")
        slack = _slack(p, q, order)
        if slack.min() < best:
            best = float(slack.min())
            prefix = order[: int(np.argmin(slack))]
            subset = np.isin(np.arange(len(p)), prefix)
        vertex = np.empty(len(p))
        vertex[order] = np.diff(slack)
        vertices.append(vertex)
        solution = _below_the_extension(np.array(vertices))
        lowest = solution.value
        if best - lowest <= MEET:
            return 1.0 + best, subset
        scores = -solution.x[:-1]
    raise RuntimeError(
        f"optimum: bounds {lowest:.12g} and {best:.12g} did not meet within {ORDERS} orders"
    )


def _slack(p: Law, q: Law, order: Indices) -> Values:
    """p(H_k) - prod_j q_j(H_k) for the prefixes H_k of `order`, k = 0..V."""
    target = np.cumsum(p[order])
    drawn = np.cumsum(q[:, order], axis=1).prod(axis=0)
    return np.concatenate(([0.0], target - drawn))


def _below_the_extension(vertices: Values) -> _linear_program.Solution:
    """min t over x in [0, 1]^V and t in [-1, 0] with vertices x <= t."""
    count, vocabulary = vertices.shape
    return _linear_program.minimise(
        costs=np.append(np.zeros(vocabulary), 1.0),
        below=np.column_stack((vertices, -np.ones(count))),
        limits=np.zeros(count),
        ranges=[(0.0, 1.0)] * vocabulary + [(-1.0, 0.0)],
    )

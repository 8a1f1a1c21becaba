"""The transport problem behind alpha*, solved as a linear program."""

import numpy as np
from scipy.sparse import coo_array, eye_array, hstack, vstack

from theory import _linear_program
from theory._arrays import Indices, Law, Mask
from theory.problem import Bound, Problem
from theory.transport import ABSENT, Coupling, DraftSets, feasible, merge

PLAN_CELLS = 100_000


def solve(problem: Problem) -> Bound:
    """alpha* by a linear program: the largest transport from the drafts to the output.

    It is max sum f over f(x, y) >= 0, y in x, with sum_x f(x, y) <= p(y) and sum_y f(x, y) <= Q(x).
    Tuples are merged by set first. The value is the dual's, 1 + p(H) - Q(H), an upper bound for any
    H. The coupling is feasible in spite of the solver's tolerance, so its acceptance is a lower
    bound. The gap between the two certifies both.

    Cost: a linear program of n V^n / n! variables. Source: sun2023spectr.

    Args:
      problem: the laws, the number of drafts and the scheme.

    Returns:
      alpha* with the subset, the coupling and the gap.

    Raises:
      ValueError: the joint law is too large to enumerate.
      RuntimeError: the solver failed, with its status.

    Example:
      >>> from theory import Problem, lp
      >>> bound = lp.solve(Problem([0.5, 0.3, 0.2], [0.2, 0.3, 0.5], 2, "iid"))
      >>> round(bound.value, 6), abs(bound.gap) < 1e-9
      (0.86, True)
    """
    coupling, subset = _transport(problem)
    if problem.p[subset].sum() > _inside(coupling.sets, subset):
        subset = np.zeros_like(subset)
    value = 1.0 + float(problem.p[subset].sum()) - _inside(coupling.sets, subset)
    return Bound(
        value=value,
        subset=subset,
        coupling=coupling,
        gap=value - coupling.acceptance,
    )


def within(problem: Problem, tv: float) -> float:
    """The largest acceptance of any rule whose emitted law lies within tv of p.

    The transport of `solve` goes to a law e = p + up - down that is a variable too, with sum up =
    sum down <= tv and down <= p. Cost: that of `solve`, with 2 V more variables.

    Args:
      problem: the laws, the number of drafts and the scheme.
      tv: TV(e, p), in [0, 1].

    Returns:
      The acceptance.

    Raises:
      ValueError: the joint law is too large to enumerate.
      RuntimeError: the solver failed, with its status.

    Example:
      >>> from theory import Problem, lp
      >>> round(lp.within(Problem([0.5, 0.3, 0.2], [0.2, 0.3, 0.5], 2, "iid"), 0.05), 6)
      0.91
    """
    size = len(problem.p)
    sets = merge(problem.joint())
    rows, slots = np.nonzero(sets.members != ABSENT)
    arcs = _incidence(
        rows,
        sets.members[rows, slots],
        len(sets.mass),
        size,
    )
    nothing = coo_array((len(sets.mass), size))
    moved = vstack((nothing, eye_array(size)))
    of_arcs = np.zeros(len(rows))
    ones = np.ones(size)
    spent = np.concatenate((of_arcs, ones, 0.0 * ones))
    balance = np.concatenate((of_arcs, ones, -ones))
    transport = hstack((arcs, -moved, moved))
    most = np.concatenate((of_arcs + 1.0, ones, problem.p))
    solution = _linear_program.minimise(
        costs=np.concatenate((of_arcs - 1.0, 0.0 * ones, 0.0 * ones)),
        below=vstack((transport, coo_array(spent[None]))),
        limits=np.concatenate((sets.mass, problem.p, [tv])),
        ranges=[(0.0, float(limit)) for limit in most],
        equal=(balance[None], np.zeros(1)),
    )
    return -solution.value


def plan(problem: Problem) -> Law:
    """SpecTr's exact plan as a conditional law K[x_1, .., x_n, :].

    K[x, y] is f(x, y) / Q(x) plus the residual's part: what is left of 1 times the normalised
    p - sum_x f(x, .). Tuples that are never drawn get p; masked slots are not read. Cost: the
    linear program, and V^(n+1) numbers. Source: sun2023spectr.

    Args:
      problem: V^n is at most 1e5.

    Returns:
      The laws, shape [V] * n + [V].

    Raises:
      ValueError: V^n exceeds 1e5.
      RuntimeError: the solver failed.
    """
    vocabulary = len(problem.p)
    n = problem.n
    if vocabulary**n > PLAN_CELLS:
        raise ValueError(f"plan: expected V^n of at most {PLAN_CELLS}, got {vocabulary}^{n}")
    coupling, _ = _transport(problem)
    tokens = problem.joint().tokens
    live = (vocabulary,) * tokens.shape[1]
    laws = np.tile(problem.p, (*live, 1))
    laws[tuple(tokens.T)] = coupling.laws()
    masked = (1,) * (n - len(live))
    padded = laws.reshape(live + masked + (vocabulary,))
    return np.array(np.broadcast_to(padded, (vocabulary,) * (n + 1)))


def _transport(problem: Problem) -> tuple[Coupling, Mask]:
    """The optimal flow, made feasible, and the tokens with a price above 1/2.

    Prices are 0 or 1.
    """
    sets = merge(problem.joint())
    rows, slots = np.nonzero(sets.members != ABSENT)
    tokens = sets.members[rows, slots]
    below = _incidence(
        rows,
        tokens,
        len(sets.mass),
        len(problem.p),
    )
    solution = _linear_program.minimise(
        costs=-np.ones(len(rows)),
        below=below,
        limits=np.concatenate((sets.mass, problem.p)),
    )
    flow = np.zeros(sets.members.shape)
    flow[rows, slots] = solution.x
    token_prices = solution.prices[len(sets.mass) :]
    return feasible(flow, sets, problem.p), token_prices > 0.5


def _incidence(rows: Indices, tokens: Indices, sets: int, vocabulary: int) -> coo_array:
    """The incidence of arcs with sets (first) and tokens (after them), one constraint a row."""
    arcs = np.arange(len(rows))
    constraints = np.concatenate((rows, sets + tokens))
    columns = np.concatenate((arcs, arcs))
    return coo_array(
        (np.ones(2 * len(rows)), (constraints, columns)),
        shape=(sets + vocabulary, len(rows)),
    )


def _inside(sets: DraftSets, subset: Mask) -> float:
    """Q(H): the mass of the sets that lie in H."""
    inside = subset[sets.members] | (sets.members == ABSENT)
    return float(sets.mass[inside.all(axis=1)].sum())

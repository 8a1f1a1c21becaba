"""Linear programs, solved to a tolerance of 1e-10."""

from collections.abc import Sequence
from typing import NamedTuple, TypeAlias

from scipy.optimize import linprog
from scipy.sparse import sparray

from theory._arrays import Values

TOLERANCE = 1e-10

Range = tuple[float | None, float | None]
Matrix: TypeAlias = Values | sparray


class Solution(NamedTuple):
    """The minimum of a linear program.

    Attributes:
      value: the minimum.
      x: [N], a point that attains it.
      prices: [M], of the upper limits: how much the minimum falls for a unit more of each.
    """

    value: float
    x: Values
    prices: Values


def minimise(
    costs: Values,
    below: Matrix,
    limits: Values,
    ranges: Range | Sequence[Range] = (0.0, None),
    equal: tuple[Matrix, Values] | None = None,
) -> Solution:
    """min costs . x over below x <= limits and matrix x = values.

    Args:
      costs: [N].
      below: [M, N].
      limits: [M].
      ranges: of each variable, or of all.
      equal: the matrix [L, N] and the values [L], if there are equations.

    Raises:
      RuntimeError: the solver failed, with its status.
    """
    matrix, values = equal or (None, None)
    solution = linprog(
        c=costs,
        A_ub=below,
        b_ub=limits,
        A_eq=matrix,
        b_eq=values,
        bounds=ranges,
        method="highs",
        options={
            "primal_feasibility_tolerance": TOLERANCE,
            "dual_feasibility_tolerance": TOLERANCE,
        },
    )
    if solution.status != 0:
        raise RuntimeError(f"linprog failed with status {solution.status}: {solution.message}")
    return Solution(float(solution.fun), solution.x, -solution.ineqlin.marginals)

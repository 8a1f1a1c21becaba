"""The optimum of SpecHub's pairs: that of greedy drafts, since both draft the same sets at n =
2.
"""

from specjax._types import Law, Scalar
from specjax.bounds import greedy
from specjax.bounds._base import Bracket, rounded


def bracket(p: Law, q: Law, n: int) -> Bracket:
    """`acceptance`, to rounding."""
    value = acceptance(p, q, n)
    return rounded(value, value)


def acceptance(p: Law, q: Law, n: int) -> Scalar:
    """That of `greedy`.

    Raises:
      ValueError: n is not 2.
    """
    if n != 2:
        raise ValueError(f"hub: drafts pairs, expected n = 2, got n = {n}")
    return greedy.acceptance(p, q, n)

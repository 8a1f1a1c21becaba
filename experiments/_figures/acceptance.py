"""Acceptance against the number of drafts, with the optimum of the scheme above it."""

from typing import TYPE_CHECKING

from experiments._figures import _lines
from experiments._rows import Row

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def points(rows: list[Row]) -> list[Row]:
    """The mean acceptance of each rule, and that of the optimum, by n."""
    known = [row for row in rows if row.get("alpha_star") is not None]
    return _lines.points(rows, "acceptance", "n", _n) + _lines.points(_lines.optima(known), "alpha_star", "n", _n)


def draw(points: list[Row]) -> "Figure":
    """Lines by rule."""
    return _lines.draw(points, "n", "acceptance", "drafts n at a node", "acceptance (± 2 se)")


def _n(row: Row) -> int:
    return int(row["n"])

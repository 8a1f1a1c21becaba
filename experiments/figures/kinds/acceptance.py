"""Acceptance against the number of drafts, with the optimum of the scheme above it."""

from typing import TYPE_CHECKING

from experiments.figures import lines
from experiments.figures.stored_rows import Row

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def points(rows: list[Row]) -> list[Row]:
    """The mean acceptance of each rule, and that of the optimum, by n."""
    known = [row for row in rows if row.get("alpha_star") is not None]
    return lines.points(rows, "acceptance", "n", _n) + lines.points(
        lines.optima(known), "alpha_star", "n", _n
    )


def draw(points: list[Row]) -> "Figure":
    """Lines by rule."""
    return lines.draw(points, "n", "acceptance", "drafts n at a node", "acceptance (± 2 se)")


def _n(row: Row) -> int:
    return int(row["n"])

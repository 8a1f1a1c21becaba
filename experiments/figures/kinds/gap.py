"""The gap to the optimum, alpha* less acceptance, against the number of drafts."""

from typing import TYPE_CHECKING

from experiments.figures import lines
from experiments.figures.stored_rows import Row

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def points(rows: list[Row]) -> list[Row]:
    """The mean gap of each rule by n."""
    return lines.points(rows, "gap", "n", lambda row: int(row["n"]))


def draw(points: list[Row]) -> "Figure":
    """Lines by rule."""
    figure = lines.draw(
        points, "n", "gap to the optimum", "drafts n at a node", "alpha* - acceptance (± 2 se)"
    )
    for panel in figure.axes:
        panel.axhline(0, color="k", linewidth=0.8)
    return figure

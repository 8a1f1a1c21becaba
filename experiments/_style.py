"""The look that all figures share."""

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

STYLE = {
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.alpha": 0.25,
    "legend.frameon": False,
    "lines.markersize": 4,
}


def panels(count: int, title: str) -> tuple[Figure, list[Axes]]:
    """A figure with `count` panels side by side."""
    figure, (axes,) = board(1, count, title)
    return figure, axes


def board(rows: int, columns: int, title: str, width: float = 3.2) -> tuple[Figure, list[list[Axes]]]:
    """A figure with rows of panels, each so many inches wide."""
    with rc_context(STYLE):  # type: ignore[arg-type]
        figure = Figure(figsize=(width * columns + 0.4, 3.2 * rows + 0.8), layout="constrained", dpi=160)
        axes = figure.subplots(rows, columns, squeeze=False)
    figure.suptitle(title)
    return figure, [list(row) for row in axes]

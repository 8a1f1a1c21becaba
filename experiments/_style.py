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
    with rc_context(STYLE):  # type: ignore[arg-type]
        figure = Figure(figsize=(3.2 * count + 0.4, 4), layout="constrained", dpi=160)
        axes = figure.subplots(1, count, squeeze=False)[0]
    figure.suptitle(title)
    return figure, list(axes)

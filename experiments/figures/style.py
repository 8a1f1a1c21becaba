"""The look that all figures share: one style, and a colour for each rule and verifier that is the
same in every figure.
"""

import zlib

from matplotlib import colormaps, rc_context
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from specjax import rules, verifiers

STYLE = {
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.alpha": 0.25,
    "legend.frameon": False,
    "lines.markersize": 4,
}

DARK_AND_LIGHT = colormaps["tab20"].colors  # type: ignore[attr-defined]
COLOURS = [to_hex(colour) for colour in (*DARK_AND_LIGHT[::2], *DARK_AND_LIGHT[1::2])]


def colour(judge: str) -> str:
    """The colour of a rule or verifier, by its place among all names; that of a file's hangs on its
    name alone.
    """
    name, known = judge.removeprefix("top_down:"), (*rules.names(), *verifiers.names())
    return COLOURS[
        (known.index(name) if name in known else zlib.crc32(name.encode())) % len(COLOURS)
    ]


def panels(count: int, title: str) -> tuple[Figure, list[Axes]]:
    """A figure with `count` panels side by side."""
    figure, (axes,) = board(1, count, title)
    return figure, axes


def board(
    rows: int, columns: int, title: str, width: float = 3.2
) -> tuple[Figure, list[list[Axes]]]:
    """A figure with rows of panels, each so many inches wide."""
    with rc_context(STYLE):  # type: ignore[arg-type]
        figure = Figure(
            figsize=(width * columns + 0.4, 3.2 * rows + 0.8), layout="constrained", dpi=160
        )
        axes = figure.subplots(rows, columns, squeeze=False)
    figure.suptitle(title)
    return figure, [list(row) for row in axes]

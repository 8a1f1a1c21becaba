"""The look that all figures share: one style, and a colour for each rule and verifier that is the
same in every figure.
"""

import zlib

from matplotlib import colormaps, rc_context
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from experiments.inputs import named_verifiers
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
FIVE_BY_FOUR = colormaps["tab20c"].colors  # type: ignore[attr-defined]
LOSSY = [to_hex(colour) for shade in range(4) for colour in FIVE_BY_FOUR[shade::4]]
LIFTED = [to_hex(colour) for colour in colormaps["tab20b"].colors]  # type: ignore[attr-defined]


def colour(name: str) -> str:
    """The colour of a rule or verifier, by its place among all of its sort; that of a file's hangs
    on its name alone. A rule that another verifier lifts has a colour of other ones, and so has a
    lossy rule or verifier.
    """
    lift, _, rule = name.removeprefix("top_down:").rpartition(":")
    lossy = [make.name for make in rules.all() if not make.claims.lossless]
    lossy += [one.name for one in named_verifiers.alone() if not one.claims.lossless]
    sound = [name for name in (*rules.names(), *verifiers.names()) if name not in lossy]
    known = lossy if rule in lossy else sound
    colours = LIFTED if lift else LOSSY if rule in lossy else COLOURS
    place = known.index(rule) if rule in known else zlib.crc32(rule.encode())
    return colours[place % len(colours)]


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


def lanes(labels: list[str], title: str) -> tuple[Figure, tuple[Axes, Axes]]:
    """Two panels side by side with a lane for each label; one without an indent heads a group."""
    with rc_context(STYLE):  # type: ignore[arg-type]
        figure = Figure(figsize=(9.6, 0.23 * len(labels) + 1.3), layout="constrained", dpi=160)
        left, right = figure.subplots(1, 2, sharey=True, width_ratios=(1.25, 1))
    left.set_yticks(range(len(labels)), [label.strip() for label in labels])
    left.set_ylim(len(labels) - 0.4, -0.6)
    for place, label in enumerate(labels):
        if not label.startswith(" "):
            left.get_yticklabels()[place].set_fontweight("bold")
        for panel in (left, right):
            panel.tick_params(axis="y", length=0)
            panel.grid(visible=False, axis="y")
    figure.suptitle(title)
    return figure, (left, right)


def dot(
    panel: Axes,
    place: int,
    value: float,
    spread: float,
    colour: str,
    shade: float,
) -> None:
    """A value with its interval on a lane; `shade` runs from 0, invisible, to 1."""
    panel.errorbar(
        value, place, xerr=spread, color=colour, alpha=0.25 + 0.75 * shade, marker="o", capsize=2
    )


def tick(panel: Axes, place: int, value: float, shade: float) -> None:
    """A black mark across a lane."""
    panel.plot(value, place, "k|", alpha=0.25 + 0.75 * shade, markersize=11, markeredgewidth=1.3)


def legend(figure: Figure, columns: int) -> None:
    """One legend of all panels, below them: every label once."""
    handles: dict[str, Artist] = {}
    for panel in figure.axes:
        found, labels = panel.get_legend_handles_labels()
        handles.update(zip(labels, found, strict=True))
    figure.legend(
        list(handles.values()),
        list(handles),
        loc="outside lower center",
        ncols=columns,
        fontsize="small",
        frameon=False,
    )


def entry(
    panel: Axes,
    label: str,
    colour: str = "0.4",
    mark: str = "",
    line: str = "",
) -> None:
    """What a look means, for the legend alone: nothing is drawn."""
    panel.plot([], [], label=label, color=colour, marker=mark, linestyle=line)

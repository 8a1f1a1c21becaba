"""Lines of means with intervals: a row of panels for each setting, a panel for each scheme, a
colour for each rule.
"""

import itertools
import textwrap
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from experiments.figures import style
from experiments.figures.stored_rows import Row, groups, pooled, setting

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

OPTIMUM = "alpha*, the optimum"
ON_A = " on a "
MARKS = "os^Dv<>p*h"
WIDTH, LETTERS = 4.4, 50  # of a panel: inches, and letters of its title in one line


def points(rows: list[Row], name: str, axis: str, at: Callable[[Row], int]) -> list[Row]:
    """The mean of a column for each rule and kind of tree at each place of the axis; cells that do
    not have it are left out.

    What is pooled are cells of other seeds and, off stars, trees of one kind at one place.
    """
    held = [
        {**row, axis: at(row), "rule": row["rule"] + _shape(row)}
        for row in rows
        if row.get(name) is not None
    ]
    means = {
        key: pooled(group, name) for key, group in groups(held, "scheme", "rule", axis).items()
    }
    return [
        {
            "setting": str(where),
            "scheme": scheme,
            "rule": rule,
            axis: place,
            "value": value,
            "error": error,
        }
        for (where, scheme, rule, place), (value, error) in sorted(means.items())
    ]


def optima(rows: list[Row]) -> list[Row]:
    """One row for each optimum: rules of one scheme at the same laws share it."""
    distinct = {(setting(row), *map(row.get, ("scheme", "n", "tree", "seed"))): row for row in rows}
    return [row | {"rule": OPTIMUM} for row in distinct.values()]


def draw(
    points: list[Row],
    axis: str,
    title: str,
    label: str,
    name: str,
) -> "Figure":
    """The points along an axis, with two standard errors: a colour for each rule, a mark for each
    kind of tree.
    """
    figure, panels = board(points, "scheme", title)
    rules = list(dict.fromkeys(point["rule"] for point in points))
    shapes = sorted({rule.partition(ON_A)[2] for rule in rules})
    mark = dict(zip(shapes, itertools.cycle(MARKS), strict=False))
    for (where, scheme), panel in panels.items():
        mine = [p for p in points if (p["setting"], p["scheme"]) == (where, scheme)]
        for rule in rules:
            line = [p for p in mine if p["rule"] == rule]
            marks = [[p[axis], p["value"], p["error"]] for p in line]
            x, y, error = np.reshape(marks, (-1, 3)).T
            maker, _, shape = rule.partition(ON_A)
            colour = "k" if rule == OPTIMUM else style.colour(maker)
            look = "_--" if rule == OPTIMUM else f"{mark[shape]}-"
            if line:
                panel.errorbar(x, y, 2 * error, color=colour, fmt=look, capsize=2, label=maker)
        panel.set_xscale("log", base=2)
        ticks = sorted({p[axis] for p in points if p["scheme"] == scheme})
        panel.set_xticks(ticks, [str(tick) for tick in ticks])
        panel.set_xlabel(label)
        panel.set_ylabel(name)
    for shape in shapes if len(shapes) > 1 else ():
        style.entry(figure.axes[-1], shape or "star", mark=mark[shape])
    legend(figure)
    return figure


def _wrapped(setting: str) -> list[str]:
    """Lines of a title, broken between its parts."""
    whole = ", ".join(part.replace(" ", "\u00a0") for part in setting.split(", "))
    return textwrap.wrap(whole, LETTERS)


def _shape(row: Row) -> str:
    """What is added to the name of a rule that ran on another tree than one node's."""
    shape = (row.get("tree") or "star:").partition(":")[0]
    return "" if shape == "star" else f"{ON_A}{shape}"


def board(
    points: list[Row], column: str, title: str
) -> "tuple[Figure, dict[tuple[str, str], Axes]]":
    """An empty panel for each setting and each value of a column that the setting has."""
    settings = list(dict.fromkeys(point["setting"] for point in points))
    values = list(dict.fromkeys(point[column] for point in points))
    figure, axes = style.board(len(settings), len(values), title, WIDTH)
    held = {(point["setting"], point[column]) for point in points}
    panels = {}
    for row, where in zip(axes, settings, strict=True):
        for panel, value in zip(row, values, strict=True):
            panel.set_visible((where, value) in held)
            panel.set_title("\n".join([*_wrapped(where), value]), fontsize="small")
            panels[where, value] = panel
    return figure, {key: panel for key, panel in panels.items() if key in held}


def legend(figure: "Figure") -> None:
    """One legend of all panels, as wide as the figure allows."""
    style.legend(figure, max(1, round(figure.get_figwidth() / WIDTH)))

"""Phase diagram: acceptance, or its share of the optimum where that is known, over temperature and
the number of drafts.
"""

import itertools
from typing import TYPE_CHECKING

import numpy as np

from experiments.figures import lines
from experiments.figures.stored_rows import Row, groups, pooled

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def points(rows: list[Row]) -> list[Row]:
    """The mean acceptance of each rule at each temperature and n, and the share of alpha* that it
    is; none for a single temperature.
    """
    if len({row.get("temperature") for row in rows}) < 2:
        return []
    held = [row for row in rows if row["acceptance"] is not None]
    return [
        {
            "setting": f"{setting.source}, {setting.cuts}",
            "scheme": scheme,
            "rule": rule,
            "temperature": setting.temperature,
            "n": n,
            "acceptance": pooled(group, "acceptance")[0],
            "share": _share(group),
        }
        for (setting, scheme, rule, n), group in groups(held, "scheme", "rule", "n").items()
    ]


def _share(rows: list[Row]) -> float | None:
    if any(row.get("alpha_star") is None for row in rows):
        return None
    reached = sum(row["acceptance"] for row in rows)
    return float(reached / sum(row["alpha_star"] for row in rows))


def draw(points: list[Row]) -> "Figure":
    """A panel for each rule: the colour is the share of the optimum, the number the acceptance."""
    name = "acceptance" if any(point["share"] is None for point in points) else "share"
    titled = [{**point, "panel": f"{point['rule']}, {point['scheme']}"} for point in points]
    figure, panels = lines.board(
        titled,
        "panel",
        "acceptance; colour: " + ("the same" if name == "acceptance" else "share of alpha*"),
    )
    low = min(0.99, *(point[name] for point in points))  # a scale even where all attain the optimum
    for key, panel in panels.items():
        cells = {(p["temperature"], p["n"]): p for p in titled if (p["setting"], p["panel"]) == key}
        temperatures = sorted({temperature for temperature, _ in cells})
        ns = sorted({n for _, n in cells})
        absent = {name: np.nan}
        shares = [cells.get(cell, absent)[name] for cell in itertools.product(temperatures, ns)]
        colours = np.reshape(shares, (-1, len(ns)))
        image = panel.imshow(colours, vmin=low, vmax=1, aspect="auto", origin="lower")
        for (temperature, n), point in cells.items():
            place = ns.index(n), temperatures.index(temperature)
            panel.annotate(
                f"{point['acceptance']:.3f}",
                place,
                ha="center",
                va="center",
                color="w" if point[name] < (1 + low) / 2 else "k",
            )
        panel.set_xticks(range(len(ns)), [str(n) for n in ns])
        panel.set_yticks(range(len(temperatures)), [f"{t:g}" for t in temperatures])
        panel.set_xlabel("drafts n at a node")
        panel.set_ylabel("temperature")
        panel.grid(visible=False)
    figure.colorbar(image, ax=list(panels.values()))
    return figure

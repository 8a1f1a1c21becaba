"""Block efficiency, emitted tokens per target call with the bonus token, against the budget of
drafted tokens.
"""

from typing import TYPE_CHECKING

from experiments.figures import lines
from experiments.figures.stored_rows import Row
from specjax.trees import growth

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def points(rows: list[Row]) -> list[Row]:
    """The mean block efficiency of each rule by the nodes that its tree drafts."""
    return lines.points(rows, "block_efficiency", "budget", _budget)


def draw(points: list[Row]) -> "Figure":
    """Lines by rule."""
    return lines.draw(
        points,
        "budget",
        "block efficiency",
        "drafted tokens per target call",
        "emitted tokens per target call (± 2 se)",
    )


def _budget(row: Row) -> int:
    if not row.get("tree"):
        return int(row["n"])
    return next(iter(growth.drawable(row["tree"]).values())).topology.nodes - 1

"""Block efficiency, emitted tokens per target call with the bonus token, against the budget of drafted tokens."""

from typing import TYPE_CHECKING

from experiments._figures import _lines
from experiments._rows import Row
from specjax import trees

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def points(rows: list[Row]) -> list[Row]:
    """The mean block efficiency of each rule by the nodes that its tree drafts; trees that grow while drafting are left out."""
    held = [row for row in rows if _budget(row) is not None]
    return _lines.points(held, "block_efficiency", "budget", _budget)


def draw(points: list[Row]) -> "Figure":
    """Lines by rule."""
    return _lines.draw(points, "budget", "block efficiency", "drafted tokens per target call", "emitted tokens per target call (± 2 se)")


def _budget(row: Row) -> int | None:
    try:
        return trees.parse(row["tree"]).nodes - 1 if row.get("tree") else int(row["n"])
    except ValueError:
        return None

"""Kinds of figures of measured rows, one file each.

points(rows) gives what is drawn, one row for each mark, each naming its `setting`; none where the
rows cannot show it. draw(points) is the figure; the first line of the file's documentation is its
caption.
"""

from types import ModuleType
from typing import TYPE_CHECKING, Protocol, cast

from experiments.figures.stored_rows import Row
from specjax._registry import discover, find

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST = 6  # settings that one figure can show


class Kind(Protocol):
    """A kind of figure: a module of this folder."""

    def points(self, rows: list[Row]) -> list[Row]:
        """What is drawn, one row for each mark; none if the rows cannot show it."""
        ...

    def draw(self, points: list[Row]) -> "Figure":
        """The figure."""
        ...


def kinds() -> dict[str, ModuleType]:
    """All kinds by the names of their files."""
    return {**discover(__name__)}


def get(name: str) -> Kind:
    """The kind of figure called `name`.

    Raises:
      ValueError: there is none.
    """
    return cast(Kind, find(kinds(), "kind of figure", name))


def pages(points: list[Row]) -> list[list[Row]]:
    """The points in parts of at most `MOST` settings, one figure each."""
    settings = list(dict.fromkeys(point["setting"] for point in points))
    found = []
    for start in range(0, len(settings), MOST):
        part = settings[start : start + MOST]
        found.append([point for point in points if point["setting"] in part])
    return found

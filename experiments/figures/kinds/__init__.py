"""Kinds of figures of measured rows, one file each.

points(rows) gives what is drawn, one row for each mark, each naming its `setting`; none where the
rows cannot show it. draw(points) is the figure; the first line of the file's documentation is its
caption.
"""

from types import ModuleType

from experiments.figures.stored_rows import Row
from specjax._registry import discover, find

MOST = 6  # settings that one figure can show


def kinds() -> dict[str, ModuleType]:
    """All kinds by the names of their files."""
    return {**discover(__name__)}


def get(name: str) -> ModuleType:
    """The kind of figure called `name`.

    Raises:
      ValueError: there is none.
    """
    return find(kinds(), "kind of figure", name)


def pages(points: list[Row]) -> list[list[Row]]:
    """The points in parts of at most `MOST` settings, one figure each."""
    settings = list(dict.fromkeys(point["setting"] for point in points))
    parts = [set(settings[i : i + MOST]) for i in range(0, len(settings), MOST)]
    return [[point for point in points if point["setting"] in part] for part in parts]

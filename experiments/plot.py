"""Draws stored rows: those of a merged sweep, or what an experiment wrote with --json.

Rows of an experiment are drawn as the experiment draws them, unless a kind is named; rows of a
sweep by kind.
"""

import dataclasses
import itertools
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro
from rich.console import Console

from experiments.cli.experiment import Draws, Experiment
from experiments.cli.tables import Table, number
from experiments.figures import kinds, origins, stored_rows

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PLAIN = "acceptance"


@dataclasses.dataclass(frozen=True)
class Config:
    """What to draw.

    Attributes:
      file: a merged sweep (.parquet, .json), or the JSON of an experiment.
      kind: of figure; if not given the experiment's own, for sweeps `PLAIN`.
      where: conditions COLUMN=VALUE or COLUMN=VALUE,VALUE,.. that rows must meet.
    """

    file: tyro.conf.Positional[Path]
    kind: Annotated[str | None, tyro.conf.arg(help=f"of figure: {', '.join(kinds.kinds())}")] = None
    where: tuple[str, ...] = ()


def run(config: Config) -> stored_rows.Row:
    """{"kind", "points", "varies"}, or the stored content where it is drawn by its own experiment.

    Raises:
      ValueError: a file without rows, an unknown kind, a condition that no row meets, or rows that
        this kind cannot show.
    """
    if config.kind is not None:
        kinds.get(config.kind)
    content = stored_rows.read(config.file)
    rows = stored_rows.chosen(content["rows"], config.where)
    owner = origins.origin(content) if config.kind is None else None
    if owner:
        if not isinstance(owner, Draws):
            name = content["provenance"]["command"]
            raise ValueError(
                f"{config.file}: written by {name}, which draws no figure; name a --kind"
            )
        return {**content, "rows": rows}
    kind = config.kind or PLAIN
    points = kinds.get(kind).points(stored_rows.measured(rows))
    if not points:
        raise ValueError(f"{config.file}: these rows cannot show {kind}")
    if len(kinds.pages(points)) > 1:
        count = len({point["setting"] for point in points})
        raise ValueError(
            f"expected at most {kinds.MOST} settings in a figure, got {count}: choose with "
            f"--where; what varies: {_varying(rows)}"
        )
    return {"kind": kind, "points": points, "varies": _varying(rows)}


def _varying(rows: list[stored_rows.Row]) -> str:
    return (
        "; ".join(
            f"{column} = {', '.join(values)}"
            for column, values in stored_rows.varying(rows).items()
        )
        or "nothing"
    )


def show(content: stored_rows.Row, console: Console) -> None:
    """The numbers that are drawn, and the columns that vary."""
    if "kind" not in content:
        _owner(content).show(content, console)
        return
    for setting, group in itertools.groupby(content["points"], key=lambda point: point["setting"]):
        console.print(f"{content['kind']}: {setting}", markup=False, highlight=False)
        console.print(_table(list(group)))
    console.print(f"what varies: {content['varies']}", markup=False, highlight=False)


def _table(points: list[stored_rows.Row]) -> Table:
    """The points of one setting, columns of text first."""
    heads = [name for name in points[0] if name != "setting"]
    texts = [name for name in heads if isinstance(points[0][name], str)]
    names = list(dict.fromkeys(texts + heads))
    table = Table(names, len(texts))
    for point in points:
        table.add(*(_stated(point[name]) for name in names))
    return table


def _stated(value: object) -> str:
    return number(value) if isinstance(value, float) else str(value)


def plot(content: stored_rows.Row) -> "Figure":
    """The figure."""
    if "kind" in content:
        return kinds.get(content["kind"]).draw(content["points"])
    owner = _owner(content)
    assert isinstance(owner, Draws)
    return owner.plot(content)


def _owner(content: stored_rows.Row) -> Experiment:
    owner = origins.origin(content)
    assert owner is not None
    return owner

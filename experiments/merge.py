"""One table of the finished cells of a sweep, a row a cell in the order of the grid: nothing in it
depends on when or where a cell ran.

Timings and hosts stay in the cells' files. Where cells are missing or failed, the table holds the
others: a line on stderr says how many are not there, and the exit code is 1.
"""

import dataclasses
import io
import json
import math
from pathlib import Path
from typing import Annotated, TypedDict

import numpy as np
import tyro
from rich.console import Console

from experiments.cli import whole_files
from experiments.cli.console import say
from experiments.cli.rows import Record
from experiments.sweeps.folder import Arrays, Folder, Header

MEASURED = (
    "acceptance",
    "alpha_star",
    "gap",
    "first_try_alpha",
    "block_efficiency",
    "acceptance_count",
    "expected",
    "tv",
    "kl",
    "efficiency",
)
TYPES = {  # of the columns, in their order, as pyarrow names them
    **dict.fromkeys(("cell", "pair", "family", "parameters"), "string"),
    "vocabulary": "int64",
    **dict.fromkeys(("rule", "scheme"), "string"),
    "n": "int64",
    "tree": "string",
    "temperature": "float64",
    "top_k": "int64",
    **dict.fromkeys(("top_p", "min_p"), "float64"),
    "order": "string",
    "draft_temperature": "float64",
    "draft_top_k": "int64",
    **dict.fromkeys(("draft_top_p", "draft_min_p"), "float64"),
    "draft_order": "string",
    "seed": "int64",
    **{column: "float64" for name in MEASURED for column in (name, f"{name}_se")},
    "contexts": "int64",
    **dict.fromkeys(("exact", "consistent"), "bool"),
    "alpha_token": "float64",
    **dict.fromkeys(("acceptance_values", "alpha_star_values", "weights"), "float64"),
}
LISTS = ("alpha_token", "acceptance_values", "alpha_star_values", "weights")


@dataclasses.dataclass(frozen=True)
class Config:
    """What to merge.

    Attributes:
      folder: where `specjax sweep` put its cells.
      out: the Parquet file to write.
    """

    folder: Annotated[Path, tyro.conf.Positional]
    out: Path


class Content(TypedDict):
    """The table with the grids and the code's version, and how many cells it lacks."""

    rows: list[Record]
    config: list[Record]
    code: str
    absent: int
    out: str


def run(config: Config) -> Content:
    """Write the table and return its rows; see `TYPES` for the columns.

    Raises:
      ValueError: it is no folder of a sweep, no cell is finished, a cell's file is broken, or the
        table cannot be written.
    """
    import pyarrow  # needs the extra `results`
    import pyarrow.parquet

    whole_files.check_writable(config.out)
    folder = Folder(config.folder)
    plan = folder.plan()
    finished = folder.finished()
    rows = [_row(cell, *folder.read(cell)) for cell in plan.cells if cell in finished]
    if not rows:
        raise ValueError(f"{config.folder}: none of its {len(plan.cells)} cells is finished")
    types = {name: pyarrow.type_for_alias(kind) for name, kind in TYPES.items()}
    kinds = [(name, pyarrow.list_(kind) if name in LISTS else kind) for name, kind in types.items()]
    about = {"specjax": json.dumps({"config": plan.grids, "code": plan.code})}
    buffer = io.BytesIO()
    pyarrow.parquet.write_table(
        pyarrow.Table.from_pylist(rows, pyarrow.schema(kinds, metadata=about)), buffer
    )
    whole_files.write(config.out, buffer.getvalue())
    absent = len(plan.cells) - len(rows)
    if absent:
        failed = len(folder.failed() & set(plan.cells) - finished)
        say(
            f"note: {absent} of {len(plan.cells)} cells are not in the table: {failed} failed, "
            f"{absent - failed} missing"
        )
    return {
        "rows": rows,
        "config": plan.grids,
        "code": plan.code,
        "absent": absent,
        "out": str(config.out),
    }


def _row(name: str, header: Header, arrays: Arrays) -> Record:
    """A cell's row with every column; None where one does not apply."""
    cell = header["config"]
    family, _, parameters = str(cell["family"] or "").partition(":")
    named: Record = {
        "cell": name,
        "family": family or None,
        "parameters": parameters or None,
        "rule": Path(str(cell["rule"])).stem,
    }
    values: Record = {
        column: [] if np.isnan(arrays[column]).all() else arrays[column].tolist()
        for column in LISTS[1:]
    }
    found = cell | header["row"] | named | values
    return {column: _known(found.get(column)) for column in TYPES}


def _known(value: object) -> object:
    return None if isinstance(value, float) and math.isnan(value) else value


def document(content: Content) -> Record:
    """The rows, the grids and the code's version."""
    return {"rows": content["rows"], "config": content["config"], "code": content["code"]}


def show(content: Content, console: Console) -> None:
    """One line."""
    console.print(f"{content['out']}: {len(content['rows'])} rows", markup=False, soft_wrap=True)


def status(content: Content) -> int:
    """1 if cells are missing."""
    return int(content["absent"] > 0)

"""Rows that were stored: read back, chosen, and put into groups that belong into one panel."""

import dataclasses
import json
import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from experiments.inputs import sampling_options
from experiments.sweeps.grids import Cell

# of a merged sweep, or of an experiment's JSON: only the file knows the columns and their types
Row = dict[str, Any]

LAW_MASS = "acceptance_law_mass"  # what `compare` stores is what a sweep of a pair calls acceptance
NEEDED = {"rule", "scheme", "n", "acceptance", "acceptance_se"}


class Setting(NamedTuple):
    """What cells share that may be drawn in one panel: the laws. Seeds are pooled."""

    source: str
    temperature: float
    cuts: str

    def __str__(self) -> str:
        return f"{self.source}, temperature {self.temperature:g}, {self.cuts}"


def read(path: Path) -> Row:
    """What a file holds: {"rows": [...], ...}, from Parquet as `specjax merge` writes it or from
    JSON as any experiment does.

    Raises:
      ValueError: the file cannot be read, or holds no rows.
    """
    content = _parquet(path) if path.suffix == ".parquet" else _json(path)
    if (
        not isinstance(content, dict)
        or not isinstance(content.get("rows"), list)
        or not content["rows"]
    ):
        raise ValueError(
            f"{path}: expected rows, as specjax merge or an experiment's --json writes them, found "
            "none"
        )
    if not all(isinstance(row, dict) for row in content["rows"]):
        raise ValueError(f"{path}: expected rows of named columns")
    return content


def _json(path: Path) -> object:
    try:
        return json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise ValueError(f"{path}: cannot be read as JSON: {error}") from None


def _parquet(path: Path) -> object:
    import pyarrow.parquet  # needs the extra `results`

    try:
        table = pyarrow.parquet.read_table(path)
    except (OSError, ValueError) as error:
        raise ValueError(f"{path}: cannot be read as Parquet: {error}") from None
    return {"rows": table.to_pylist()}


def measured(rows: list[Row]) -> list[Row]:
    """The rows of measured rules, their acceptance under one name.

    Raises:
      ValueError: there are none.
    """
    named = [_of_compare(row) if LAW_MASS in row else row for row in rows]
    found = [row for row in named if row.keys() >= NEEDED]
    if not found:
        raise ValueError(
            f"expected rows with {', '.join(sorted(NEEDED))}, got {', '.join(rows[0])}"
        )
    return found


def _of_compare(row: Row) -> Row:
    """A row of `compare` with the names of a sweep."""
    units = row.get("by_prompt", {})
    named = {"acceptance": row[LAW_MASS], "acceptance_se": row[f"{LAW_MASS}_se"]}
    return (
        row
        | named
        | {"acceptance_values": units.get("acceptance", []), "weights": units.get("nodes", [])}
    )


def chosen(rows: list[Row], conditions: Iterable[str]) -> list[Row]:
    """The rows that meet all conditions COLUMN=VALUE or COLUMN=VALUE,VALUE,..

    Raises:
      ValueError: a condition of another form, a column that is not there, or no row left.
    """
    for condition in conditions:
        column, equals, text = condition.partition("=")
        if not equals or column not in rows[0]:
            raise ValueError(
                f"where: expected COLUMN=VALUE,.. with a column of {', '.join(rows[0])}, got "
                f"{condition!r}"
            )
        known = _values(rows, column)
        wanted = _listed(text, known)
        if not wanted:
            raise ValueError(f"where: no row has {condition}; there are {', '.join(sorted(known))}")
        rows = [row for row in rows if _text(row[column]) in wanted]
    return rows


def _listed(text: str, known: list[str]) -> set[str]:
    """The values of a list, none if one is not known; a value may hold commas, as trees do: the
    longest that fits is taken.
    """
    found = set()
    while text:
        value = max(
            (value for value in known if f"{text},".startswith(f"{value},")), key=len, default=None
        )
        if value is None:
            return set()
        found.add(value)
        text = text[len(value) + 1 :]
    return found


def _text(held: object) -> str:
    return f"{held:g}" if isinstance(held, float) else str(held)


def _values(rows: list[Row], column: str) -> list[str]:
    """The different values of a column, in the order in which they first come."""
    return list(dict.fromkeys(_text(row[column]) for row in rows))


def varying(rows: list[Row]) -> dict[str, list[str]]:
    """The columns of a cell in which rows differ, with their values."""
    columns = (field.name for field in dataclasses.fields(Cell) if field.name in rows[0])
    values = {column: _values(rows, column) for column in columns}
    return {column: texts for column, texts in values.items() if len(texts) > 1}


def setting(row: Row) -> Setting:
    """Where a row belongs."""
    family = f"{row.get('family')}({row.get('parameters') or ''}), V = {row.get('vocabulary')}"
    return Setting(
        row.get("pair") or family, row.get("temperature", 1.0), sampling_options.cuts(row)
    )


def groups(rows: list[Row], *columns: str) -> dict[tuple[Any, ...], list[Row]]:
    """The rows by their setting and some columns, in the order in which they first come."""
    found: dict[tuple[Any, ...], list[Row]] = {}
    for row in rows:
        found.setdefault((setting(row), *(row[column] for column in columns)), []).append(row)
    return found


def pooled(rows: list[Row], name: str) -> tuple[float, float]:
    """Mean and standard error of a measured column over cells with streams of their own; nan where
    a cell has none.
    """
    marks = [(row.get(name), row.get(f"{name}_se")) for row in rows]
    values, errors = np.array(marks, float).T  # None becomes nan
    return math.fsum(values) / len(rows), math.hypot(*errors) / len(rows)

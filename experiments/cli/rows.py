"""What commands give: rows of named columns, and where their numbers come from."""

import math
from collections.abc import Mapping
from typing import Generic, TypedDict, TypeVar

Record = dict[str, object]  # of an open JSON document
Row = TypeVar("Row")


class Rows(TypedDict, Generic[Row]):
    """The rows of a command, and their provenance."""

    rows: list[Row]
    provenance: Record


def numeric(row: Mapping[str, object], name: str) -> float:
    """A column that holds numbers; nan if this row has none."""
    value = row[name]
    assert value is None or isinstance(value, int | float), name
    return math.nan if value is None else value

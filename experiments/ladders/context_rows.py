"""The values of every context of a study as a table: a row for each context and n, written block by
block.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import numpy as np

from experiments.cli import whole_files
from experiments.ladders.ladder import Ladder, Study
from experiments.ladders.top_k import Interval, TopKStudy
from experiments.stats.means import Values

if TYPE_CHECKING:
    import pyarrow

BLOCK = 2**14  # contexts that are turned into rows at once
SUFFIXES = (".csv", ".parquet")
Columns = dict[str, np.ndarray]


def check(path: Path) -> None:
    """Refuse a path that the table cannot be written to, before any long work.

    Raises:
      ValueError: its name ends in no known format, or it cannot be written.
      ModuleNotFoundError: Parquet needs the extra `results`.
    """
    if path.suffix not in SUFFIXES:
        raise ValueError(f"{path}: expected a file that ends in {' or '.join(SUFFIXES)}")
    whole_files.check_writable(path)
    if path.suffix == ".parquet":
        import pyarrow  # noqa: F401


def write(path: Path, study: Study | TopKStudy) -> None:
    """Put the table at path, or leave what was there. Values that do not exist are empty."""
    with whole_files.replaced(path) as file:
        (_csv if path.suffix == ".csv" else _parquet)(file, _blocks(study))


def _blocks(study: Study | TopKStudy) -> Iterator[Columns]:
    for start in range(0, study.contexts, BLOCK):
        rows = np.arange(start, min(start + BLOCK, study.contexts))
        if isinstance(study, TopKStudy):
            yield from (_ends(study, interval, rows) for interval in study.intervals)
        else:
            yield from (_columns(study, ladder, rows) for ladder in study.ladders)


def _columns(study: Study, ladder: Ladder, rows: np.ndarray) -> Columns:
    """Some contexts, counted through the texts, with n drafts."""
    every = study.entropy.shape[-1]
    values: dict[str, Values | None] = {
        "first_try_alpha": study.first_try,
        "entropy": study.entropy,
        "singleton": ladder.singleton,
    }
    values |= {f"alpha_star_{scheme}": found for scheme, found in ladder.alpha_star.items()}
    values |= {f"acceptance_{rule}": found for rule, found in ladder.acceptance.items()}
    values |= {f"tv_{rule}": found for rule, found in ladder.tv.items()}
    values |= {f"kl_{rule}": found for rule, found in ladder.kl.items()}
    place = {"text": rows // every, "context": rows % every, "n": np.full(len(rows), ladder.n)}
    return place | {
        name: np.full(len(rows), np.nan) if held is None else held.reshape(-1)[rows]
        for name, held in values.items()
    }


def _ends(study: TopKStudy, interval: Interval, rows: np.ndarray) -> Columns:
    """Some contexts of top-k lists, with n drafts."""
    unknown_p, unknown_q = study.unknown
    return {
        "context": rows,
        "n": np.full(len(rows), interval.n),
        "alpha_star_iid_lower": interval.lower[rows],
        "alpha_star_iid_upper": interval.upper[rows],
        "unknown_target": unknown_p[rows],
        "unknown_draft": unknown_q[rows],
    }


def _csv(file: BinaryIO, blocks: Iterator[Columns]) -> None:
    for index, columns in enumerate(blocks):
        if index == 0:
            file.write((",".join(columns) + "\n").encode())
        lists = [column.tolist() for column in columns.values()]
        for row in zip(*lists, strict=True):
            cells = ["" if value != value else repr(value) for value in row]
            file.write((",".join(cells) + "\n").encode())


def _parquet(file: BinaryIO, blocks: Iterator[Columns]) -> None:
    import pyarrow.parquet

    first = _table(next(blocks))
    with pyarrow.parquet.ParquetWriter(file, first.schema) as writer:
        writer.write_table(first)
        for columns in blocks:
            writer.write_table(_table(columns))


def _table(columns: Columns) -> "pyarrow.Table":
    import pyarrow  # needs the extra `results`

    return pyarrow.table(
        {name: pyarrow.array(column, from_pandas=True) for name, column in columns.items()}
    )

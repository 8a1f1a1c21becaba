"""Compute the cells of a grid that are not finished yet; killed at any moment, it goes on where it
was.

Each cell is one file, written whole. Its random streams come from its own configuration, so that
shards, order and machines change no number. Its name hashes that configuration and the sources of
specjax and of what measures: after a change there, cells are computed again. `specjax status` says
how far a folder is, `specjax merge` makes one table of it.
"""

import dataclasses
import platform
import time
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypedDict

import jax
import numpy as np
import tyro
from rich.console import Console

from experiments.audits import file_audit
from experiments.cli import code_version, progress
from experiments.cli.rows import Record
from experiments.sweeps import family_cell, grids, pair_cell
from experiments.sweeps.folder import Begun, Failure, Folder, Header, Machine, Measured, Plan
from experiments.sweeps.grids import Cell, Grid
from specjax import sharding
from specjax.models import pairs

if TYPE_CHECKING:
    import submitit

__all__ = ["Config", "Grid", "run", "show", "status", "submit"]


@dataclasses.dataclass(frozen=True)
class Config:
    """What to compute, and where.

    Attributes:
      config: a TOML file of tables [[grid]], or a Python file with `grids`; the keys are those of
        experiments.sweep.Grid.
      out: the folder; it may hold finished cells of this or of another grid.
      shard: compute the i-th of n parts only, written i/n, i from 1 to n; each cell lies in one
        part.
      distributed: compute each cell on the devices of all processes of this job (SLURM, Kubernetes,
        Open MPI, TPU pod).
    """

    config: Annotated[Path, tyro.conf.Positional]
    out: Path
    shard: str = "1/1"
    distributed: bool = False


class Counts(TypedDict):
    """Counts of cells, and the rules that are not what they claim, with the audit's words."""

    folder: str
    cells: int
    in_shard: int
    found: int
    computed: int
    failed: int
    refuted: dict[str, str]


def run(config: Config) -> Counts:
    """Compute what is missing: counts of cells in all, in this shard, found finished, computed and
    failed; and which files were refuted.

    Raises:
      ValueError: a file, name, value, shard or folder that cannot be used; a disk that is full.
    """
    part, parts = _shard(config.shard)
    if config.distributed:
        sharding.connect()
    asked = grids.read(config.config)
    cells = grids.cells(asked)
    code = code_version.version(__name__)
    named = {cell.identity(code): cell for cell in cells}
    audits = file_audit.findings(cell.rule for cell in cells)
    folder = Folder(config.out)
    folder.create(Plan([_plain(grid) for grid in asked], code, list(named)))
    mine = list(named.items())[part - 1 :: parts]
    missing = _missing(folder, [name for name, _ in mine])
    failed = _compute(
        folder, [(name, cell) for name, cell in mine if name in missing], code, audits
    )
    return {
        "folder": str(config.out),
        "cells": len(named),
        "in_shard": len(mine),
        "found": len(mine) - len(missing),
        "computed": len(missing) - failed,
        "failed": failed,
        "refuted": {name: audits[name].words for name in file_audit.refuted(audits)},
    }


def _plain(grid: Grid) -> Record:
    """The grid as the plan holds it: models in folders go by name and weights."""
    named = dataclasses.replace(grid, pair=tuple(map(pairs.label, grid.pair)))
    return {
        name: list(value) if isinstance(value, tuple) else value
        for name, value in dataclasses.asdict(named).items()
    }


def _shard(text: str) -> tuple[int, int]:
    part, slash, parts = text.partition("/")
    if not (slash and part.isdecimal() and parts.isdecimal() and 1 <= int(part) <= int(parts)):
        raise ValueError(f"shard: expected i/n with i from 1 to n, got {text!r}")
    return int(part), int(parts)


def _missing(folder: Folder, names: list[str]) -> set[str]:
    """Which of these cells are not finished, as the first process sees it."""
    finished = folder.finished()
    if sharding.is_first_process():
        folder.sweep_up(set(names) - finished)
    flags = sharding.agreed(np.array([name not in finished for name in names], bool))
    return {name for name, flag in zip(names, flags, strict=True) if flag}


def _compute(
    folder: Folder, cells: list[tuple[str, Cell]], code: str, audits: file_audit.Findings
) -> int:
    """Compute and keep these cells; how many failed."""
    writes = sharding.is_first_process()
    with progress.tally(len(cells)) as tally:
        for name, cell in cells:
            start = time.time()
            begun: Begun = {
                "cell": name,
                "config": cell.record(),
                "code": code,
                "start": start,
                **_machine(),
            }
            try:
                measured = _measure(cell)
            except Exception as error:
                failure: Failure = {
                    **begun,
                    "error": f"{type(error).__name__}: {error}",
                    "traceback": traceback.format_exc(),
                }
                if writes:
                    folder.write_failure(name, failure)
                tally.add(1)
                continue
            rule = Path(cell.rule).stem
            row = measured.row | {"audit": audits[rule].words if rule in audits else None}
            header: Header = {**begun, "row": row, "seconds": time.time() - start}
            if writes:
                folder.write(name, header, measured.arrays)
            tally.add(0)
    return tally.failed


def _measure(cell: Cell) -> Measured:
    return pair_cell.measure(cell) if cell.pair else family_cell.measure(cell)


def _machine() -> Machine:
    return {
        "host": platform.node(),
        "backend": jax.default_backend(),
        "jax": jax.__version__,
        "python": platform.python_version(),
    }


def submit(
    executor: "submitit.Executor", config: Config, shards: int
) -> list["submitit.Job[Counts]"]:
    """Hand the sweep to a cluster as one job array, a shard a job; needs the extra `slurm`.

    The executor carries partition, time and memory, e.g. `submitit.AutoExecutor(folder="logs")`
    with `update_parameters`.
    """
    return executor.map_array(
        run, [dataclasses.replace(config, shard=f"{i}/{shards}") for i in range(1, shards + 1)]
    )


def show(content: Counts, console: Console) -> None:
    """One line."""
    console.print(
        f"{content['folder']}: {content['in_shard']} of {content['cells']} cells: "
        f"{content['found']} found, {content['computed']} computed, {content['failed']} failed",
        markup=False,
        soft_wrap=True,
    )
    for rule, words in content["refuted"].items():
        console.print(f"{rule}: {words}", style="bold red", markup=False, soft_wrap=True)


def status(content: Counts) -> int:
    """1 if a cell failed, or the rule of a file is not what it claims."""
    return int(content["failed"] > 0 or bool(content["refuted"]))

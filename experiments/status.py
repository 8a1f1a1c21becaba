"""How far a sweep's folder is: cells finished, failed and missing, the time that is left, and why
cells failed.
"""

import collections
import dataclasses
from pathlib import Path
from typing import Annotated, TypedDict

import numpy as np
import tyro
from rich.console import Console

from experiments.cli.rows import Record
from experiments.sweeps.folder import Failure, Folder


@dataclasses.dataclass(frozen=True)
class Config:
    """Which folder.

    Attributes:
      folder: where `specjax sweep` puts its cells.
    """

    folder: Annotated[Path, tyro.conf.Positional]


class Reason(TypedDict):
    """Why a cell failed, and where."""

    cell: str
    error: str
    host: str
    config: Record


class Content(TypedDict):
    """Counts of cells, the time that they take (None if none is finished), and the failures."""

    folder: str
    cells: int
    finished: int
    failed: int
    missing: int
    of_other_plans: int
    seconds_a_cell: float | None
    seconds_left: float | None
    failures: list[Reason]


def run(config: Config) -> Content:
    """The counts, the seconds of a cell, and the errors of the cells that failed.

    Raises:
      ValueError: it is no folder of a sweep, or a cell's file is broken.
    """
    folder = Folder(config.folder)
    planned = folder.plan().cells
    finished = folder.finished()
    failures = folder.failed()
    done = [cell for cell in planned if cell in finished]
    failed = [cell for cell in planned if cell in failures - finished]
    seconds = [folder.header(cell)["seconds"] for cell in done]
    left = len(planned) - len(done)
    return {
        "folder": str(config.folder),
        "cells": len(planned),
        "finished": len(done),
        "failed": len(failed),
        "missing": left - len(failed),
        "of_other_plans": len(finished - set(planned)),
        "seconds_a_cell": float(np.mean(seconds)) if seconds else None,
        "seconds_left": left * float(np.mean(seconds)) if seconds else None,
        "failures": [_reason(cell, folder.failure(cell)) for cell in failed],
    }


def _reason(cell: str, record: Failure) -> Reason:
    return {
        "cell": cell,
        "error": record["error"],
        "host": record["host"],
        "config": record["config"],
    }


def show(content: Content, console: Console) -> None:
    """A line of counts, one of time, and one for each kind of failure."""

    def say(text: str) -> None:
        console.print(text, markup=False, highlight=False, soft_wrap=True)

    say(
        f"{content['folder']}: {content['cells']} cells: {content['finished']} finished, "
        f"{content['failed']} failed, {content['missing']} missing"
    )
    if content["of_other_plans"]:
        say(f"{content['of_other_plans']} cells of other grids or of other code lie beside them")
    each = content["seconds_a_cell"]
    left = content["seconds_left"]
    if each is not None:
        say(
            f"{each:.3g} s a cell, {1 / max(each, 1e-9):.3g} a second; {left:.0f} s left for one "
            "process"
        )
    for error, count in collections.Counter(
        failure["error"] for failure in content["failures"]
    ).most_common():
        first = next(
            failure["cell"] for failure in content["failures"] if failure["error"] == error
        )
        say(f"{count} failed, first {first}: {' '.join(error.split())}")

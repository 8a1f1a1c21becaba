"""The folder of a sweep: its plan, one file for each finished cell, one record for each failed one.
Files are whole or absent.

plan.json            the grids, the code's version, and the cells' identities in the grids' order
cells/ID.npz         arrays by context, and `header`, a JSON text: configuration, row, timings, host
failed/ID.json       configuration, error, host
"""

import io
import json
import zipfile
from pathlib import Path
from typing import NamedTuple, TypedDict

import numpy as np
from numpy.typing import NDArray

from experiments.cli import whole_files
from experiments.cli.rows import Record

Arrays = dict[str, NDArray[np.float64]]


class Measured(NamedTuple):
    """A cell's figures by column, and its arrays: `acceptance_values`, `alpha_star_values` and
    `weights` by context or prompt, and more.
    """

    row: Record
    arrays: Arrays


class Machine(TypedDict):
    """Where a cell ran."""

    host: str
    backend: str
    jax: str
    python: str


class Begun(Machine):
    """What is known of a cell when it begins: its identity and configuration, the code's version,
    the time.
    """

    cell: str
    config: Record
    code: str
    start: float


class Header(Begun):
    """A finished cell: its row, and how long it took."""

    row: Record
    seconds: float


class Failure(Begun):
    """A failed cell: why."""

    error: str
    traceback: str


class Plan(NamedTuple):
    """What a folder is for."""

    grids: list[Record]
    code: str
    cells: list[str]


class Folder:
    """A sweep's folder; several processes may write to it, each its own cells."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def create(self, plan: Plan) -> None:
        """Make the folder and put the plan there; cells of an earlier plan stay.

        Raises:
          ValueError: the folder cannot be made, or its files cannot be written.
        """
        whole_files.check_writable(self.path / "plan.json")
        try:
            for name in ("cells", "failed"):
                (self.path / name).mkdir(parents=True, exist_ok=True)
            if not (self.path / "plan.json").exists() or self.plan() != plan:
                whole_files.write_json(self.path / "plan.json", plan._asdict())
        except OSError as error:
            raise ValueError(f"{self.path}: cannot be written: {error.strerror}") from None

    def plan(self) -> Plan:
        """What the folder is for.

        Raises:
          ValueError: it is no folder of a sweep.
        """
        path = self.path / "plan.json"
        try:
            return Plan(**json.loads(path.read_text("utf-8")))
        except OSError as error:
            raise ValueError(
                f"{self.path}: not the folder of a sweep: {path.name}: {error.strerror}"
            ) from None
        except (ValueError, TypeError):
            raise ValueError(f"{path}: not the plan of a sweep") from None

    def finished(self) -> set[str]:
        """The identities of all finished cells."""
        return {path.stem for path in (self.path / "cells").glob("[!.]*.npz")}

    def failed(self) -> set[str]:
        """The identities of all cells that failed when they last ran."""
        return {path.stem for path in (self.path / "failed").glob("[!.]*.json")}

    def sweep_up(self, cells: set[str]) -> None:
        """Remove what killed processes left half-written of these cells, which nobody else is
        writing.
        """
        for path in (self.path / "cells").glob(".*.npz.*"):
            if path.name[1:].partition(".")[0] in cells:
                path.unlink(missing_ok=True)

    def write(self, cell: str, header: Header, arrays: Arrays) -> None:
        """Keep a finished cell, and drop the record of an earlier failure.

        Raises:
          ValueError: it cannot be written; then nothing of it stays.
        """
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as held:  # as numpy.savez does it
            for name, values in {"header": np.array(json.dumps(header)), **arrays}.items():
                with held.open(f"{name}.npy", "w") as file:
                    np.lib.format.write_array(file, values, allow_pickle=False)
        self._put(self.path / "cells" / f"{cell}.npz", buffer.getvalue())
        (self.path / "failed" / f"{cell}.json").unlink(missing_ok=True)

    def write_failure(self, cell: str, record: Failure) -> None:
        """Keep the record of a failed cell.

        Raises:
          ValueError: it cannot be written.
        """
        self._put(
            self.path / "failed" / f"{cell}.json", (json.dumps(record, indent=1) + "\n").encode()
        )

    def _put(self, path: Path, data: bytes) -> None:
        try:
            whole_files.write(path, data)
        except OSError as error:
            raise ValueError(
                f"{path}: cannot be written: {error.strerror}; finished cells are whole, run the "
                "same again"
            ) from None

    def header(self, cell: str) -> Header:
        """The header of a finished cell.

        Raises:
          ValueError: the file is broken.
        """
        return self.read(cell)[0]

    def failure(self, cell: str) -> Failure:
        """The record of a failed cell."""
        text = (self.path / "failed" / f"{cell}.json").read_text("utf-8")
        record: Failure = json.loads(text)
        return record

    def read(self, cell: str) -> tuple[Header, Arrays]:
        """The header and the arrays of a finished cell.

        Raises:
          ValueError: the file is broken.
        """
        path = self.path / "cells" / f"{cell}.npz"
        try:
            with np.load(path, allow_pickle=False) as held:
                return json.loads(str(held["header"])), {
                    name: held[name] for name in held.files if name != "header"
                }
        except Exception as error:
            raise ValueError(
                f"{path}: not a finished cell: {error}; remove it and run the sweep again"
            ) from None

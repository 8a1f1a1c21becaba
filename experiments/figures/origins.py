"""Stored results: which command wrote a file, with which options, and so which figure belongs to
it.
"""

import dataclasses
from pathlib import Path

from experiments.cli import experiment
from experiments.cli.experiment import Experiment
from experiments.figures.stored_rows import Row

RESULTS = Path(__file__).parents[1] / "results"


def origin(content: Row) -> Experiment | None:
    """The command that wrote rows, by the name in their provenance; None if they have none.

    Raises:
      ValueError: no command has this name.
    """
    name = content.get("provenance", {}).get("command")
    return experiment.load(name) if name else None


def command(content: Row) -> str:
    """The command that measures stored rows again.

    Raises:
      ValueError: no command wrote them.
    """
    module = origin(content)
    if module is None:
        raise ValueError("expected rows with the provenance of an experiment")
    fields = {field.name: field for field in dataclasses.fields(module.Config)}
    if unknown := content["provenance"]["config"].keys() - fields.keys():
        name = content["provenance"]["command"]
        raise ValueError(f"provenance: {name} has no option {min(unknown)!r}")
    asked = {
        name: value
        for name, value in content["provenance"]["config"].items()
        if value != _plain(fields[name].default)
    }
    name = content["provenance"]["command"]
    return " ".join(
        [
            "specjax",
            name,
            *(f"--{option.replace('_', '-')} {_written(value)}" for option, value in asked.items()),
        ]
    )


def _plain(value: object) -> object:
    return list(value) if isinstance(value, tuple) else value


def _written(value: object) -> str:
    return " ".join(str(part) for part in value) if isinstance(value, list) else str(value)

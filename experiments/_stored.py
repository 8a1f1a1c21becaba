"""Stored results: which experiment wrote a file, by which command, and which figure belongs to it."""

import dataclasses
import importlib
import pkgutil
from pathlib import Path
from types import ModuleType

FOLDER = Path(__file__).parent
RESULTS = FOLDER / "results"


def origin(content: dict) -> ModuleType | None:
    """The experiment that wrote rows: the one whose options are those in the provenance; None if none has all of them."""
    asked = set(content.get("provenance", {}).get("config", {}))
    names = sorted(module.name for module in pkgutil.iter_modules([str(FOLDER)]) if not module.name.startswith("_"))
    modules = [importlib.import_module(f"experiments.{name}") for name in names] if asked else []
    fitting = [module for module in modules if hasattr(module, "Config") and asked <= _fields(module).keys()]
    return min(fitting, key=lambda module: len(_fields(module)), default=None)  # later versions may have added options


def command(content: dict) -> str:
    """The command that measures stored rows again.

    Raises:
      ValueError: no experiment wrote them.
    """
    module = origin(content)
    if module is None:
        raise ValueError("expected rows with the provenance of an experiment")
    fields = _fields(module)
    asked = {name: value for name, value in content["provenance"]["config"].items() if value != _plain(fields[name].default)}
    name = module.__name__.rpartition(".")[2]
    return " ".join(["specjax", name, *(f"--{option.replace('_', '-')} {_written(value)}" for option, value in asked.items())])


def _fields(module: ModuleType) -> dict[str, dataclasses.Field]:
    return {field.name: field for field in dataclasses.fields(module.Config)}


def _plain(value: object) -> object:
    return list(value) if isinstance(value, tuple) else value


def _written(value: object) -> str:
    return " ".join(str(part) for part in value) if isinstance(value, list) else str(value)

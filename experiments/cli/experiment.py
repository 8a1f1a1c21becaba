"""What a command is: a module with a `Config`, `run` and `show`; it may also draw, store otherwise,
or end with a code.
"""

import importlib
import pkgutil
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from rich.console import Console

if TYPE_CHECKING:
    from _typeshed import DataclassInstance
    from matplotlib.figure import Figure

FOLDER = Path(__file__).parents[1]


@runtime_checkable
class Experiment(Protocol):
    """A command.

    Attributes:
      Config: a dataclass; its fields are the options, their documentation is the help.
    """

    Config: type["DataclassInstance"]

    def run(self, config: "DataclassInstance") -> object:
        """What was asked for.

        Raises:
          ValueError: bad input, in one line.
        """
        ...

    def show(self, content: object, console: Console) -> None:
        """Print it."""
        ...


@runtime_checkable
class Draws(Protocol):
    """A command with a figure."""

    def plot(self, content: object) -> "Figure":
        """The figure."""
        ...


@runtime_checkable
class Stores(Protocol):
    """A command whose JSON is not what `run` gives."""

    def document(self, content: object) -> object:
        """What is written with --json."""
        ...


@runtime_checkable
class Ends(Protocol):
    """A command with an exit code of its own."""

    def status(self, content: object) -> int:
        """The exit code."""
        ...


def load(name: str) -> Experiment:
    """The command of this name.

    Raises:
      ValueError: there is none.
    """
    if name not in names():
        raise ValueError(f"unknown command {name!r}: expected one of {', '.join(names())}")
    module = importlib.import_module(f"experiments.{name}")
    assert isinstance(module, Experiment), name
    return module


def names() -> tuple[str, ...]:
    """The names of all commands, sorted: those of the files beside the rooms."""
    modules = [module for module in pkgutil.iter_modules([str(FOLDER)]) if not module.ispkg]
    return tuple(sorted(module.name for module in modules if module.name != "__main__"))

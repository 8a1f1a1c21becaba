"""Verifiers: how a whole draft tree is accepted. One per file."""

from specjax._registry import discover, load_file, registered
from specjax.verifiers._base import Verifier, register
from specjax.verifiers._report import NodeReport, Walk, optimum, report
from specjax.verifiers.block import Block
from specjax.verifiers.top_down import TopDown
from specjax.verifiers.traversal import Traversal

_CLASSES = {name: registered(module, "verify") for name, module in discover(__name__).items()}


def names() -> tuple[str, ...]:
    """The names of all verifiers, sorted: the names of their files."""
    return tuple(_CLASSES)


def get(name: str) -> type:
    """The verifier class called `name`, or the one in the Python file at that path.

    Raises:
      ValueError: there is no such verifier or file.
    """
    if name in _CLASSES:
        return _CLASSES[name]
    if name.endswith(".py"):
        return registered(load_file(name), "verify")
    raise ValueError(f"unknown verifier {name!r}: expected a path to a .py file or one of {', '.join(_CLASSES)}")


__all__ = ["Block", "NodeReport", "TopDown", "Traversal", "Verifier", "Walk", "get", "names", "optimum", "register", "report"]

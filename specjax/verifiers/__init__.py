"""Verifiers: how a whole draft tree is accepted. One per file."""

from specjax._registry import discover, registered
from specjax.verifiers._base import Verifier, register
from specjax.verifiers._report import NodeReport, Walk, optimum, report
from specjax.verifiers.block import Block
from specjax.verifiers.top_down import TopDown
from specjax.verifiers.traversal import Traversal

_CLASSES = {name: registered(module, "verify") for name, module in discover(__name__).items()}


def names() -> tuple[str, ...]:
    """The names of all verifiers, sorted: the names of their files."""
    return tuple(_CLASSES)


__all__ = ["Block", "NodeReport", "TopDown", "Traversal", "Verifier", "Walk", "names", "optimum", "register", "report"]

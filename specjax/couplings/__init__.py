"""Couplings of drafts and token without communication, one per file; a file dropped in here is a coupling everywhere."""

from specjax._registry import discover, find, registered
from specjax.couplings._base import Coupling, register

_COUPLINGS: dict[str, Coupling] = {name: registered(module, "couple")() for name, module in discover(__name__).items()}


def names() -> tuple[str, ...]:
    """The names of all couplings, sorted: the names of their files."""
    return tuple(_COUPLINGS)


def get(name: str) -> Coupling:
    """The coupling called `name`.

    Raises:
      ValueError: there is no such coupling.
    """
    return find(_COUPLINGS, "coupling", name)


__all__ = ["Coupling", "get", "names", "register"]

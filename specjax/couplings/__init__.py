"""Couplings of drafts and token without communication, one per file; a file dropped in here is a coupling everywhere."""

from specjax._registry import discover, registered
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
    if name not in _COUPLINGS:
        raise ValueError(f"unknown coupling {name!r}: expected one of {', '.join(_COUPLINGS)}")
    return _COUPLINGS[name]


__all__ = ["Coupling", "get", "names", "register"]

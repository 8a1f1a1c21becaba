"""Pairs of target and draft model, one per file; a file dropped in here can be named on the command line."""

from specjax._registry import discover
from specjax.models._base import Pair

_MODULES = discover(__name__)


def names() -> tuple[str, ...]:
    """The names of all pairs, sorted: the names of their files."""
    return tuple(_MODULES)


def load(name: str) -> Pair:
    """The pair called `name`.

    Raises:
      ValueError: there is no such pair, or its weights are not installed.
    """
    if name not in _MODULES:
        raise ValueError(f"unknown pair {name!r}: expected one of {', '.join(_MODULES)}")
    return _MODULES[name].load()

"""Pairs of target and draft model, one in each file.

A file that is dropped into this folder can be named on the command line.
"""

import importlib

from specjax._registry import find, public
from specjax.models._base import Pair

_NAMES = public(__path__)


def names() -> tuple[str, ...]:
    """The names of all pairs, sorted; a pair has the name of its file."""
    return _NAMES


def load(name: str) -> Pair:
    """The pair called `name`.

    Raises:
      ValueError: there is no such pair, or its weights are not installed.
    """
    module = importlib.import_module(
        find({held: f"{__name__}.{held}" for held in _NAMES}, "pair", name)
    )
    pair: Pair = module.load()
    return pair

"""Families of checkpoints, one in each file, named as `model_type` in a folder's config.json.

A file says what the family's fields mean (`config`), which weight is which (`KEYS`), and how an
array lies in the decoder (`laid`).
"""

import importlib
from types import ModuleType

from specjax._registry import find, public

_NAMES = public(__path__)


def names() -> tuple[str, ...]:
    """The names of all families, sorted."""
    return _NAMES


def get(name: str) -> ModuleType:
    """The family called `name`.

    Raises:
      ValueError: there is no such family.
    """
    places = {held: f"{__name__}.{held}" for held in _NAMES}
    return importlib.import_module(find(places, "model_type", name))

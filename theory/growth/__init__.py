"""Draft trees whose levels are coupled: the law of the drawn tree by enumeration, one scheme per
file.

The sampler of a scheme is specjax/trees/growth/<name>.py. A file defines `drawn(target, draft,
*sizes) -> Drawn`; target and draft are tables [S, V] of the laws after each context, as in
`theory.trees.TreeProblem`.
"""

from __future__ import annotations

import importlib
import pkgutil
from typing import Protocol, cast

from numpy.typing import ArrayLike

from theory.trees import Drawn

_NAMES = tuple(
    sorted(
        module.name for module in pkgutil.iter_modules(__path__) if not module.name.startswith("_")
    )
)


class Growth(Protocol):
    """What a scheme's file defines."""

    def drawn(self, target: ArrayLike, draft: ArrayLike, *sizes: int) -> Drawn:
        """The law over drawn trees; sizes as in the tree's name, e.g. width and depth."""


def names() -> tuple[str, ...]:
    """The names of all schemes, sorted: the names of their files."""
    return _NAMES


def get(name: str) -> Growth:
    """The scheme called `name`.

    Raises:
      ValueError: there is no such scheme.
    """
    if name not in _NAMES:
        raise ValueError(f"unknown tree scheme {name!r}: expected one of {', '.join(_NAMES)}")
    return cast(Growth, importlib.import_module(f"{__name__}.{name}"))


__all__ = ["Growth", "get", "names"]

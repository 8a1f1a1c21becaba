"""Drafting schemes: the joint law of the n drafts of a node. One scheme per file; its sampler is
specjax/drafting/<name>.py.
"""

from __future__ import annotations

import importlib
import pkgutil
from typing import Protocol, cast

from theory.drafting._base import Joint, Law, Subset

_NAMES = tuple(
    sorted(
        module.name for module in pkgutil.iter_modules(__path__) if not module.name.startswith("_")
    )
)


class Scheme(Protocol):
    """What a scheme's file defines."""

    def live(self, q: Law, n: int) -> int:
        """How many of the n slots are drawn; raises ValueError where q or n does not fit the
        scheme.
        """

    def joint(self, q: Law, n: int) -> Joint:
        """The joint law of the live drafts."""

    def inclusion(self, q: Law, n: int) -> Law:
        """P(y is among the drafts) for every token y."""


class Solved(Scheme, Protocol):
    """A scheme whose optimum has a formula."""

    def optimum(self, p: Law, q: Law, n: int) -> tuple[float, Subset]:
        """alpha* and a subset H* that attains 1 + min_H [p(H) - Q(H)]."""


def names() -> tuple[str, ...]:
    """The names of all schemes, sorted: the names of their files."""
    return _NAMES


def get(name: str) -> Scheme:
    """The scheme called `name`.

    Raises:
      ValueError: there is no such scheme.
    """
    if name not in _NAMES:
        raise ValueError(f"unknown drafting scheme {name!r}: expected one of {', '.join(_NAMES)}")
    return cast(Scheme, importlib.import_module(f"{__name__}.{name}"))


def solved(name: str) -> Solved:
    """The scheme called `name`, which must have a formula for its optimum.

    Raises:
      ValueError: there is no such scheme, or no such formula.
    """
    scheme = get(name)
    if not hasattr(scheme, "optimum"):
        raise ValueError(
            f"drafting scheme {name!r} has no formula for its optimum: expected a scheme with "
            "`optimum`; use theory.lp.solve"
        )
    return cast(Solved, scheme)


__all__ = ["Joint", "Scheme", "Solved", "get", "names", "solved"]

"""Draft trees whose levels are coupled: the law of the drawn tree by enumeration.

One scheme is one file; its sampler is specjax/trees/growth/<name>.py. A file defines `drawn(target,
draft, *sizes) -> Drawn`. target and draft are tables [S, V] of the laws after each context, as in
`theory.trees.TreeProblem`.
"""

from typing import Protocol, cast

from numpy.typing import ArrayLike

from theory import _scheme_files
from theory.trees import Drawn

_MODULES = _scheme_files.load(__name__, __path__)


class Growth(Protocol):
    """What a scheme's file defines."""

    def drawn(
        self,
        target: ArrayLike,
        draft: ArrayLike,
        *sizes: int,
    ) -> Drawn:
        """The law over drawn trees.

        Args:
          target: [S, V], the target law after each context.
          draft: [S, V], the draft law after each context.
          *sizes: as in the tree's name, e.g. width and depth.

        Returns:
          The trees with their probabilities.

        Raises:
          ValueError: a table is no table of laws or has too few rows, or there are more than 5e5
            trees.
        """


def names() -> tuple[str, ...]:
    """The names of all schemes, sorted: the names of their files.

    Returns:
      The names.
    """
    return tuple(_MODULES)


def get(name: str) -> Growth:
    """The scheme called `name`.

    Args:
      name: one of `names()`.

    Returns:
      The scheme's file, as a module.

    Raises:
      ValueError: there is no such scheme.
    """
    return cast(Growth, _scheme_files.find(_MODULES, "tree scheme", name))


__all__ = ["Growth", "get", "names"]


def __dir__() -> list[str]:
    return sorted((*__all__, *_MODULES))

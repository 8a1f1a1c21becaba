"""Drafting schemes: the joint law of the n drafts of a node.

One scheme is one file; its sampler is specjax/drafting/<name>.py.
"""

from typing import Protocol, cast

from theory import _scheme_files
from theory._arrays import Indices, Law, Mask, Values
from theory.drafting._base import Joint

_MODULES = _scheme_files.load(__name__, __path__)


class Scheme(Protocol):
    """What a scheme's file defines."""

    def live(self, q: Law, n: int) -> int:
        """How many of the n slots are drawn.

        Args:
          q: the draft law [V]; for scheme `independent` one law for each slot, [n, V].
          n: number of draft slots, at least 1.

        Returns:
          The number, at most n.

        Raises:
          ValueError: q or n does not fit the scheme.
        """

    def joint(self, q: Law, n: int) -> Joint:
        """The joint law of the live drafts.

        Args:
          q: as in `live`.
          n: number of draft slots.

        Returns:
          The tuples that can be drawn, with their probabilities.

        Raises:
          ValueError: q or n does not fit, or there are more than 2e6 tuples to enumerate.
        """

    def inclusion(self, q: Law, n: int) -> Law:
        """P(y is among the drafts) for every token y.

        Args:
          q: as in `live`.
          n: number of draft slots.

        Returns:
          The probabilities [V], each in [0, 1].

        Raises:
          ValueError: q or n does not fit the scheme.
        """


class Solved(Scheme, Protocol):
    """A scheme whose optimum has a formula."""

    def optimum(
        self,
        p: Law,
        q: Law,
        n: int,
    ) -> tuple[float, Mask]:
        """alpha* and a subset H* that attains 1 + min_H [p(H) - Q(H)].

        Args:
          p: target law [V].
          q: as in `live`.
          n: number of draft slots.

        Returns:
          alpha* in [0, 1], and H* [V].

        Raises:
          ValueError: q or n does not fit the scheme.
        """


class Ordered(Scheme, Protocol):
    """A scheme whose best sets are prefixes of one order of the tokens."""

    def prefixes(
        self,
        p: Law,
        q: Law,
        n: int,
    ) -> tuple[Indices, Values]:
        """The order, and Q of its prefixes.

        Args:
          p: target law [V].
          q: as in `live`.
          n: number of draft slots.

        Returns:
          The tokens [V], and P(all drafts are among the first k) for k = 0..V.

        Raises:
          ValueError: q or n does not fit the scheme.
        """


def names() -> tuple[str, ...]:
    """The names of all schemes, sorted: the names of their files.

    Returns:
      The names.
    """
    return tuple(_MODULES)


def get(name: str) -> Scheme:
    """The scheme called `name`.

    Args:
      name: one of `names()`.

    Returns:
      The scheme's file, as a module.

    Raises:
      ValueError: there is no such scheme.
    """
    return cast(Scheme, _scheme_files.find(_MODULES, "drafting scheme", name))


def solved(name: str) -> Solved:
    """The scheme called `name`, which must have a formula for its optimum.

    Args:
      name: one of `names()`.

    Returns:
      The scheme's file, as a module.

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


def has_order(name: str) -> bool:
    """Whether the best sets of this scheme are prefixes of one order of the tokens.

    Args:
      name: one of `names()`.

    Returns:
      Whether `ordered` takes it.

    Raises:
      ValueError: there is no such scheme.
    """
    return hasattr(get(name), "prefixes")


def ordered(name: str) -> Ordered:
    """The scheme called `name`, which must have an order of the tokens.

    Args:
      name: one of `names()`.

    Returns:
      The scheme's file, as a module.

    Raises:
      ValueError: there is no such scheme, or no such order.
    """
    if not has_order(name):
        raise ValueError(f"drafting scheme {name!r} has no order of the tokens: no `prefixes`")
    return cast(Ordered, get(name))


__all__ = [
    "Joint",
    "Ordered",
    "Scheme",
    "Solved",
    "get",
    "has_order",
    "names",
    "ordered",
    "solved",
]


def __dir__() -> list[str]:
    return sorted((*__all__, *_MODULES))

"""Definitions that all coupling files share."""

from abc import abstractmethod
from typing import ClassVar, Protocol, runtime_checkable

from specjax._registry import register
from specjax._types import Index, Law, RandomKey, Tokens


@runtime_checkable
class Coupling(Protocol):
    """A coupling draws drafts and a token from shared noise, without communication.

    `couple(key, p, q, n) -> (drafts[n], token)`: every draft has law q and the token has law p. For
    a fixed key the token does not change with q, and the drafts do not change with p. A hit is a
    token that is among the drafts. `n_range` has the same meaning as in a rule's claims, and
    `source` is a key in references.bib.
    """

    name: ClassVar[str] = ""
    n_range: ClassVar[tuple[int, int | None]]
    source: ClassVar[str]

    @abstractmethod
    def couple(self, key: RandomKey, p: Law, q: Law, n: int) -> tuple[Tokens, Index]:
        """The n drafts and the token that the noise of `key` selects."""
        ...


def check_one(name: str, n: int) -> None:
    """Refuse more than one draft.

    Raises:
      ValueError: n is not 1.
    """
    if n != 1:
        raise ValueError(f"coupling {name}: couples one draft, expected n = 1, got n = {n}")


__all__ = ["Coupling", "Law", "RandomKey", "Tokens", "check_one", "register"]

"""What coupling files share."""

from abc import abstractmethod
from typing import ClassVar, Protocol, runtime_checkable

from jax import Array
from jaxtyping import Int

from specjax._registry import register
from specjax._types import Law, RandomKey, Tokens


@runtime_checkable
class Coupling(Protocol):
    """Drafts and a token that share their noise, and nothing else: drafter and target need not
    speak to each other.

    `couple(key, p, q, n) -> (drafts[n], token)`: every draft has law q, the token has law p, and
    for a fixed key the token does not change with q, nor the drafts with p. A hit is a token among
    the drafts. `n_range` as in a rule's claims, `source` a key in references.bib.
    """

    name: ClassVar[str] = ""
    n_range: ClassVar[tuple[int, int | None]]
    source: ClassVar[str]

    @abstractmethod
    def couple(
        self,
        key: RandomKey,
        p: Law,
        q: Law,
        n: int,
    ) -> tuple[Tokens, Int[Array, ""]]: ...


def check_one(name: str, n: int) -> None:
    """Refuse more than one draft.

    Raises:
      ValueError: n is not 1.
    """
    if n != 1:
        raise ValueError(f"coupling {name}: couples one draft, expected n = 1, got n = {n}")


__all__ = ["Coupling", "Law", "RandomKey", "Tokens", "check_one", "register"]

"""Definitions that all family files share."""

import math
from abc import abstractmethod
from typing import ClassVar, NamedTuple, Protocol, runtime_checkable

from specjax._registry import register
from specjax._types import Law, RandomKey, Scalar


class Laws(NamedTuple):
    """A target law p and a draft law q, each [V] in float32."""

    p: Law
    q: Law


@runtime_checkable
class Family(Protocol):
    """A distribution over pairs of laws; numeric parameters are traced leaves and have defaults.

    `sample(key, vocabulary)` draws one pair, at any static V >= 2. `mean_tv(vocabulary)` is E TV(p,
    q). It is exact, or, if `limit` is true, the limit as V grows.
    """

    name: ClassVar[str] = ""
    limit: ClassVar[bool]

    @abstractmethod
    def sample(self, key: RandomKey, vocabulary: int) -> Laws:
        """One pair of laws on V = `vocabulary` tokens."""
        ...

    @abstractmethod
    def mean_tv(self, vocabulary: int) -> float:
        """E TV(p, q) on V = `vocabulary` tokens."""
        ...


def expect(name: str, value: float, low: float, high: float = math.inf) -> None:
    """Refuse a parameter out of its range.

    Raises:
      ValueError: value is not a number from low to high.
    """
    if not (low <= value <= high and math.isfinite(value)):
        raise ValueError(f"{name}: expected a number from {low:g} to {high:g}, got {value}")


def tail(distance: float) -> float:
    """2 Phi(-d / 2), the mass that two normal laws share.

    The laws have one variance, and their means lie d standard deviations apart.
    """
    return math.erfc(distance / 2 / math.sqrt(2))


__all__ = ["Family", "Law", "Laws", "RandomKey", "Scalar", "expect", "register", "tail"]

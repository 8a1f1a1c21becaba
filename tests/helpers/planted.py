"""What is planted, and who must find it."""

from collections.abc import Callable
from typing import NamedTuple


class Planted(NamedTuple):
    """A planted error: who must reject it, in which words, and on which tree.

    Attributes:
      check: the check that must reject it; None if there is nothing to check.
      reason: words of its reason.
      tree: on which a verifier is audited.
    """

    check: Callable | None
    reason: str
    tree: str = "chain:2"

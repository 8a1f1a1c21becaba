"""What an audit says of a rule or a verifier, and which check said so."""

from collections.abc import Callable, Iterable
from typing import TypeVar

Audited = TypeVar("Audited")
Reason = str  # for which a check fails; empty where it passes


class Outcome(str):
    """The verdict in words; it remembers the check behind it.

    Attributes:
      check: the check that failed; None if none did, or if nothing could be checked.
    """

    check: Callable[..., Reason] | None

    def __new__(cls, words: str, check: Callable[..., Reason] | None = None) -> "Outcome":
        outcome = super().__new__(cls, words)
        outcome.check = check
        return outcome


OK = Outcome("ok")
LOSSY = Outcome("ok, lossy")  # of what does not claim to be lossless, and keeps what it claims


def passes(verdict: str) -> bool:
    """Whether a verdict finds no fault."""
    return verdict in (OK, LOSSY)


def outcome(audited: Audited, checks: Iterable[Callable[[Audited], Reason]]) -> Outcome:
    """The reason of the first check that fails, else "ok"."""
    for check in checks:
        reason = check(audited)
        if reason:
            return Outcome(reason, check)
    return OK

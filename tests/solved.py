"""The rule whose every program compiles for ten seconds: what other tests show of it too is thorough."""

import pytest

SOLVED = "optimal_without_replacement"


def thorough(name: str) -> list[pytest.MarkDecorator]:
    """The marks of a case of this rule that need not run each time."""
    return [pytest.mark.thorough] * (name == SOLVED)

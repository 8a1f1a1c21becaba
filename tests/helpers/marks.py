"""Rules that search: each of their programs compiles for ten seconds, so what other tests show of
them too is thorough.
"""

import pytest

from specjax import rules


def thorough(name: str) -> list[pytest.MarkDecorator]:
    """The marks of a case of a rule: one that searches need not run each time."""
    return [pytest.mark.thorough] * rules.get(name).claims.searches

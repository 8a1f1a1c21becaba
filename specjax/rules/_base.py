"""Definitions that all rule files share."""

from specjax._laws import register
from specjax._types import (
    Accepting,
    Certificate,
    Claims,
    Count,
    Law,
    Loss,
    Mask,
    Rule,
    Scalar,
    Sees,
    Solves,
    Tokens,
)

__all__ = [
    "Accepting",
    "Certificate",
    "Claims",
    "Count",
    "Law",
    "Loss",
    "Mask",
    "Rule",
    "Scalar",
    "Sees",
    "Solves",
    "Tokens",
    "register",
]

"""What rule files share: registration, claims, and loading a rule by name or by path."""

from specjax._laws import register
from specjax._types import Certificate, Claims, Count, Law, Mask, Rule, Scalar, Solves, Tokens

__all__ = [
    "Certificate",
    "Claims",
    "Count",
    "Law",
    "Mask",
    "Rule",
    "Scalar",
    "Solves",
    "Tokens",
    "register",
]

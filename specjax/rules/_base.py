"""What rule files share: registration, claims, and loading a rule by name or by path."""

from specjax._registry import register
from specjax._types import Claims, Law, Mask, Rule, Scalar, Tokens

__all__ = ["Claims", "Law", "Mask", "Rule", "Scalar", "Tokens", "register"]

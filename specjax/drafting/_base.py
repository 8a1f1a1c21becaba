"""Definitions that all drafting files share."""

from specjax._registry import register
from specjax._types import Drafting, Law, Mask, RandomKey, Tokens

__all__ = ["Drafting", "Law", "Mask", "RandomKey", "Tokens", "register"]

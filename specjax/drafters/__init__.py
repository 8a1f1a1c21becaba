"""Drafters propose trees; a model, an early exit and dropped layers are all language models."""

from specjax.drafters._base import Drafter
from specjax.drafters.model import ModelDrafter
from specjax.drafters.no_draft import NoDraft

__all__ = ["Drafter", "ModelDrafter", "NoDraft"]


def __dir__() -> list[str]:
    return sorted(__all__)

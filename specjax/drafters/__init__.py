"""Drafters propose trees; a model, an early exit and dropped layers are all language models."""

from specjax.drafters._base import Drafter, Held
from specjax.drafters.model import ModelDrafter
from specjax.drafters.no_draft import NoDraft

__all__ = ["Drafter", "Held", "ModelDrafter", "NoDraft"]


def __dir__() -> list[str]:
    return sorted(__all__)

"""Who proposes: a model (whole, early exit or dropped layers: all are language models)."""

from specjax.drafters._base import Drafter
from specjax.drafters.model import ModelDrafter

__all__ = ["Drafter", "ModelDrafter"]


def __dir__() -> list[str]:
    return sorted(__all__)

"""Drafters propose trees: a language model, or parts of the target on its cache."""

from specjax.drafters._base import Drafter, Held
from specjax.drafters.model import ModelDrafter
from specjax.drafters.no_draft import NoDraft
from specjax.models import LanguageModel
from specjax.numerics import AS_IS, Sampling
from specjax.trees import TreeDrafting

__all__ = ["Drafter", "Held", "ModelDrafter", "NoDraft", "over"]


def over(model: LanguageModel, growth: TreeDrafting, sampling: Sampling = AS_IS) -> Drafter:
    """The drafter that grows trees from a model's law, on the cache that the model reads.

    Args:
      model: the draft model; an `OnTarget` reads the target's cache, any other its own.
      growth: the tree scheme.
      sampling: how logits become q.

    Returns:
      The drafter.

    Raises:
      ValueError: the tree has no drafts.
    """
    from specjax.drafters.subnetwork import Subnetwork  # needs flax
    from specjax.models.on_target import OnTarget

    if isinstance(model, OnTarget):
        return Subnetwork(model.model, growth, sampling)
    return ModelDrafter(model, growth, sampling)


def __dir__() -> list[str]:
    return sorted(__all__)

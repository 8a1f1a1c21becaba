"""The target's layers side by side, from the third on, on the target's cache: `groups:2`."""

from specjax.models import plan
from specjax.models._base import Pair
from specjax.models.drafts import _layers


def draft(pair: Pair, text: str) -> Pair:
    """The pair whose draft runs so many of the target's layers side by side.

    Raises:
      ValueError: the size is below 1.
    """
    size = _layers.numbers(text)[-1]
    if size < 1:
        raise ValueError(f"expected groups of at least 1 layer, got {size}")
    return _layers.planned(pair, [], lambda layers: plan.groups(layers, size))

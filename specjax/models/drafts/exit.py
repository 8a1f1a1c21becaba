"""The target's first layers: `exit:4` runs four."""

from specjax.models._base import Pair
from specjax.models.drafts import _layers


def draft(pair: Pair, text: str) -> Pair:
    """The pair whose draft runs so many of the target's first layers."""
    layers = [*range(_layers.numbers(text)[-1])]
    return _layers.drafting(pair, layers, lambda count: layers)

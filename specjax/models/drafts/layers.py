"""Some of the target's layers, in this order: `layers:0-5,9`."""

from specjax.models._base import Pair
from specjax.models.drafts import _layers


def draft(pair: Pair, text: str) -> Pair:
    """The pair whose draft runs these of the target's layers."""
    layers = _layers.numbers(text)
    return _layers.drafting(pair, layers, lambda count: layers)

"""Some of the target's layers in this order, on a cache of their own: `layers:0-5,9`."""

from specjax.models._base import Pair
from specjax.models.drafts import _layers


def draft(pair: Pair, text: str) -> Pair:
    """The pair whose draft runs these of the target's layers."""
    return _layers.drafting(pair, _layers.numbers(text))

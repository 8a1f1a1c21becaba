"""All of the target's layers but some: `skip:3,7`."""

from specjax.models._base import Pair
from specjax.models.drafts import _layers


def draft(pair: Pair, text: str) -> Pair:
    """The pair whose draft runs the target's layers without these."""
    layers = _layers.numbers(text)
    return _layers.drafting(
        pair, layers, lambda count: [layer for layer in range(count) if layer not in layers]
    )

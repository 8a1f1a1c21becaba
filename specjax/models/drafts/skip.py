"""All of the target's layers but some, on the target's cache: `skip:3,7`."""

from specjax.models import plan
from specjax.models._base import Pair
from specjax.models.drafts import _layers


def draft(pair: Pair, text: str) -> Pair:
    """The pair whose draft runs the target's layers without these."""
    skipped = _layers.numbers(text)
    return _layers.planned(pair, skipped, lambda layers: plan.without(layers, skipped))

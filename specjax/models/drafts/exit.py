"""The target's first layers, on the target's cache: `exit:4` runs four."""

from specjax.models import plan
from specjax.models._base import Pair
from specjax.models.drafts import _layers


def draft(pair: Pair, text: str) -> Pair:
    """The pair whose draft runs so many of the target's first layers."""
    count = _layers.numbers(text)[-1]
    return _layers.planned(pair, [*range(count)], lambda layers: plan.first(count))

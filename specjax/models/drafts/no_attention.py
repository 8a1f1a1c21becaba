"""All of the target but the attention of some layers, on its cache: `no_attention:8-15`."""

from specjax.models import plan
from specjax.models._base import Pair
from specjax.models.drafts import _layers


def draft(pair: Pair, text: str) -> Pair:
    """The pair whose draft runs the target without the attention of these layers."""
    dropped = _layers.numbers(text)
    return _layers.planned(pair, dropped, lambda layers: plan.dropping(layers, dropped, ()))

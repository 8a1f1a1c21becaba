"""All of the target but the MLPs of some layers, on the target's cache: `no_mlp:8-15`."""

from specjax.models import plan
from specjax.models._base import Pair
from specjax.models.drafts import _layers


def draft(pair: Pair, text: str) -> Pair:
    """The pair whose draft runs the target without the MLPs of these layers."""
    dropped = _layers.numbers(text)
    return _layers.planned(pair, dropped, lambda layers: plan.dropping(layers, (), dropped))

"""Layers of a target, by their numbers."""

import dataclasses
from collections.abc import Callable

from specjax.models import derived
from specjax.models._base import Pair
from specjax.models.on_target import OnTarget
from specjax.models.plan import Plan
from specjax.models.transformer import Transformer


def numbers(text: str) -> list[int]:
    """The numbers that `3,7` or `0-5,9` names.

    Raises:
      ValueError: the text has neither form.
    """
    try:
        return [number for part in text.split(",") for number in _range(part)]
    except ValueError:
        raise ValueError("expected numbers such as 3,7 or 0-5") from None


def _range(part: str) -> range:
    first, _, last = part.partition("-")
    return range(int(first), int(last or first) + 1)


def drafting(pair: Pair, layers: list[int]) -> Pair:
    """The pair whose draft runs some layers of the target, in any order, on a cache of its own.

    Args:
      pair: the pair.
      layers: the numbers of the layers.

    Returns:
      The pair.

    Raises:
      ValueError: a number is none of the target's layers, no layer is left, or the target has none.
    """
    target = _with_layers(pair, layers)
    model, params = derived.subset(target, pair.target_params, tuple(layers))
    return pair._replace(draft=model, draft_params=params)


def planned(pair: Pair, named: list[int], plan: Callable[[int], Plan]) -> Pair:
    """The pair whose draft runs parts of the target on the target's cache.

    Args:
      pair: the pair.
      named: the layers that were named.
      plan: the function from the number of layers to what runs.

    Returns:
      The pair.

    Raises:
      ValueError: a number is none of the target's layers, nothing is left, or the target has none.
    """
    target = _with_layers(pair, named)
    layers = target.config.layers
    runs = plan(layers)
    if not runs.groups:
        raise _refused(layers)
    model = dataclasses.replace(target, plan=runs)
    return pair._replace(draft=OnTarget(model), draft_params=pair.target_params)


def _with_layers(pair: Pair, named: list[int]) -> Transformer:
    """The target, after a check that it has the layers."""
    target = pair.target
    if not isinstance(target, Transformer):
        raise ValueError(f"the target has no layers; it is a {type(target).__name__}")
    if not {*named} <= {*range(target.config.layers)}:
        raise _refused(target.config.layers)
    return target


def _refused(layers: int) -> ValueError:
    return ValueError(f"the target has the layers 0 to {layers - 1}")

"""Layers of a target, by their numbers."""

from collections.abc import Callable

from specjax.models import derived
from specjax.models._base import Pair
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


def drafting(pair: Pair, named: list[int], kept: Callable[[int], list[int]]) -> Pair:
    """The pair whose draft runs some layers of the target.

    Args:
      pair: the pair.
      named: the numbers that were named.
      kept: the function from the number of layers to those that draft.

    Returns:
      The pair.

    Raises:
      ValueError: a number is none of the target's layers, no layer is left, or the target has none.
    """
    target = pair.target
    if not isinstance(target, Transformer):
        raise ValueError(f"the target has no layers; it is a {type(target).__name__}")
    count = target.config.layers
    layers = kept(count)
    if not layers or not {*named, *layers} <= {*range(count)}:
        raise ValueError(f"the target has the layers 0 to {count - 1}")
    model, params = derived.subset(target, pair.target_params, tuple(layers))
    return pair._replace(draft=model, draft_params=params)

"""Evenly spaced layers on the target's cache: `unified:1.5` runs two thirds.

The first and the last layer run (Unified Layer Skipping).
"""

import functools

import numpy as np

from specjax.models import plan
from specjax.models._base import Pair
from specjax.models.drafts import _layers


def draft(pair: Pair, text: str) -> Pair:
    """The pair whose draft runs one in so many of the target's layers.

    Raises:
      ValueError: the text is no number of at least 1.
    """
    try:
        ratio = float(text)
    except ValueError:
        raise ValueError(f"expected a number such as 1.5, got {text}") from None
    if not ratio >= 1:
        raise ValueError(f"expected a number of at least 1, got {text}")
    return _layers.planned(pair, [], functools.partial(_spaced, ratio))


def _spaced(ratio: float, layers: int) -> plan.Plan:
    count = max(round(layers / ratio), 2)
    runs = np.linspace(0, layers - 1, count).round().astype(int)
    skipped = {*range(layers)} - {*runs.tolist()}
    return plan.without(layers, skipped)

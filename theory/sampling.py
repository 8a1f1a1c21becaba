"""How logits become a distribution: temperature, top-k, top-p and min-p in a stated order.

Every step is a function of one vector of probabilities. Temperature is a power of them; the others
drop tokens and renormalise. Equal probabilities are kept or dropped together.
"""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import ArrayLike

from theory._arrays import Law
from theory.transport import normalised


def temperature(law: Law, value: float) -> Law:
    """The distribution proportional to law^(1 / value); at 0 one-hot at the first maximum."""
    if value == 0:
        return np.where(np.arange(len(law)) == np.argmax(law), 1.0, 0.0)
    with np.errstate(divide="ignore"):
        logs = np.log(law / law.max()) / value
    return normalised(np.exp(logs))


def top_k(law: Law, value: float) -> Law:
    """The tokens that fewer than `value` tokens exceed; all of them at 0."""
    exceeded_by = len(law) - np.searchsorted(np.sort(law), law, side="right")
    return law if value == 0 else normalised(np.where(exceeded_by < value, law, 0))


def top_p(law: Law, value: float) -> Law:
    """The tokens whose likelier ones hold less than `value` together; all of them at 1."""
    levels, place = np.unique(law, return_inverse=True)
    of_level = np.bincount(place) * levels
    above = np.append(np.cumsum(of_level[:0:-1])[::-1], 0.0)
    return law if value == 1 else normalised(np.where(above[place] < value, law, 0))


def min_p(law: Law, value: float) -> Law:
    """The tokens with at least `value` times the largest probability."""
    return normalised(np.where(law >= value * law.max(), law, 0))


STEPS: dict[str, Callable[[Law, float], Law]] = {
    "temperature": temperature,
    "top_k": top_k,
    "top_p": top_p,
    "min_p": min_p,
}


def law(logits: ArrayLike, steps: Sequence[tuple[str, float]]) -> Law:
    """The distribution of logits [V] after some steps, (name, value), in this order.

    A logit of -inf has the probability 0.

    Raises:
      ValueError: the logits have NaN or +inf, or no finite number.
    """
    values = np.asarray(logits, np.float64)
    if np.isnan(values).any() or not np.isfinite(values.max()):
        raise ValueError("logits: expected a finite number, and neither NaN nor +inf")
    found = normalised(np.exp(values - values.max()))
    for name, value in steps:
        found = STEPS[name](found, value)
    return found

"""Logits that depend on the text so far: bias, repetition, presence, bad words, in this order."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Logits = NDArray[np.float64]


@dataclass(frozen=True)
class Penalties:
    """What changes logits.

    Attributes:
      bias: pairs (token, what is added to its logit).
      repetition: divides positive logits of tokens in the text, and multiplies negative ones.
      presence: subtracted once from the logits of tokens in the text.
      bad_words: sequences of tokens that the text may not end with.
    """

    bias: tuple[tuple[int, float], ...] = ()
    repetition: float = 1.0
    presence: float = 0.0
    bad_words: tuple[tuple[int, ...], ...] = ()


def penalised(logits: ArrayLike, text: Sequence[int], penalties: Penalties) -> Logits:
    """The logits of what follows a text, the prompt included, token by token."""
    found = [float(value) for value in np.asarray(logits, np.float64)]
    for token, value in penalties.bias:
        found[token] += value
    for token in sorted(set(text)):
        factor = 1 / penalties.repetition if found[token] > 0 else penalties.repetition
        found[token] = found[token] * factor - penalties.presence
    for token in range(len(found)):
        after = (*text, token)
        if any(after[-len(word) :] == word for word in penalties.bad_words):
            found[token] = -np.inf
    return np.array(found)

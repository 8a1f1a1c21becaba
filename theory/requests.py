"""The law that a request asks for, from the raw law of a model."""

import numpy as np

from theory._arrays import Law
from theory.transport import normalised


def tempered(p: Law, temperature: float) -> Law:
    """p^(1/T), scaled to sum to 1.

    Args:
      p: a law [V].
      temperature: T, positive.

    Returns:
      The law at that temperature [V].
    """
    return normalised((p / p.max()) ** (1.0 / temperature))


def nucleus(p: Law, top_p: float) -> Law:
    """p on its nucleus: a token stays if the likelier ones have less than `top_p` together.

    Args:
      p: a law [V].
      top_p: in (0, 1].

    Returns:
      The law on the nucleus [V]; of equal tokens the first come first.
    """
    order = np.argsort(-p, kind="stable")
    before = np.cumsum(p[order]) - p[order]
    kept = np.zeros_like(p)
    stays = order[before < top_p]
    kept[stays] = p[stays]
    return normalised(kept)


def requested(p: Law, temperature: float, top_p: float) -> Law:
    """The law that a request asks for: the temperature first, then the nucleus.

    Args:
      p: the raw law of the model [V].
      temperature: T, positive.
      top_p: in (0, 1].

    Returns:
      The law [V].
    """
    return nucleus(tempered(p, temperature), top_p)

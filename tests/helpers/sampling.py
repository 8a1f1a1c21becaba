"""Tests of laws by sampling that state their error."""

import numpy as np

from experiments.stats import frequencies
from experiments.stats.frequencies import DELTA as DELTA


def allowance(outcomes: int, draws: int) -> float:
    """What the total variation between a law on so many outcomes, whatever it is, and the
    frequencies of N draws stays below.
    """
    return frequencies.allowance(np.full(outcomes, 1 / outcomes), draws)


def distance(outcomes, law) -> tuple[float, float]:
    """Total variation between the frequencies of drawn outcomes (integers) and a law, and its
    allowance; prints both.
    """
    outcomes, law = np.asarray(outcomes).reshape(-1), np.asarray(law, np.float64)
    seen = np.bincount(outcomes, minlength=len(law)) / len(outcomes)
    error, allowed = np.abs(seen - law).sum() / 2, allowance(np.count_nonzero(law), len(outcomes))
    print(
        f"total variation {error:.4f}, allowed {allowed:.4f}: an error of {2 * allowed:.4f} would "
        "be caught"
    )
    return error, allowed


def assert_drawn_from(outcomes, law) -> None:
    """Fail if the outcomes were not drawn from the law; outcomes of probability 0 never come."""
    drawn = np.bincount(np.asarray(outcomes).reshape(-1), minlength=len(law))
    assert not drawn[np.asarray(law) == 0].any(), "an outcome of probability 0 was drawn"
    error, allowed = distance(outcomes, law)
    assert error <= allowed

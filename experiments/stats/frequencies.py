"""How far the frequencies of draws may lie from a law by chance."""

import math

import numpy as np
from numpy.typing import NDArray

DELTA = 1e-6  # chance that draws from the law itself exceed one allowance


def allowance(law: NDArray[np.float64], draws: int) -> float:
    """What the total variation between a law l and the mean of N independent laws of mean l stays
    below with probability 1 - DELTA.

    A drawn outcome is such a law, a point mass. The total variation has a mean of at most sum
    sqrt(l (1 - l) / N) / 2, which is largest where all are equally likely; one draw moves it by at
    most 1 / N, so McDiarmid bounds the rest.
    """
    mean = float(np.sqrt(np.maximum(law * (1 - law), 0) / draws).sum()) / 2
    return mean + math.sqrt(math.log(1 / DELTA) / (2 * draws))


def mean_allowance(values: NDArray[np.floating]) -> float:
    """What the mean of independent numbers from [0, 1] lies away from its expectation with
    probability below DELTA (Maurer and Pontil).
    """
    log = math.log(4 / DELTA)
    count = len(values)
    return math.sqrt(
        2 * float(np.var(values, ddof=1, dtype=np.float64)) * log / count
    ) + 7 * log / (3 * (count - 1))

"""Does what a rule was seen to do agree with what theory says it does? A verdict of stated
error.
"""

import numpy as np
from numpy.typing import NDArray

ROUNDING = 1e-5  # of an exact expectation in float32: the tests hold every rule to it at V = 131072
EXACT = 1e-6  # slack of an exact expectation against alpha*, both in float32


def exceeds(expected: NDArray[np.floating], alpha_star: NDArray[np.floating]) -> bool:
    """Whether some exact expectation lies above the optimum; only expectations are bounded, single
    law masses are not.
    """
    return bool(np.any(expected > alpha_star + EXACT))


def allowance(expected: NDArray[np.floating], delta: float) -> float:
    """How far the mean of (law mass - expectation) may stray with probability delta, by Freedman's
    inequality for martingales.

    Given its context, a law mass lies in [0, 1] with mean e, so its variance is at most e (1 - e),
    whatever the dependence between contexts of one text. The sum of these stands for the bound on
    it that the inequality asks for, so delta is nominal where the expectations vary from text to
    text. Two-sided; delta is that of one mean.
    """
    count = expected.size
    log = np.log(2 / delta)
    variance = np.mean(np.clip(expected * (1 - expected), 0, 0.25))
    return float(np.sqrt(2 * variance * log / count) + log / (3 * count))


def allowance_above(alpha_star: NDArray[np.floating], delta: float) -> float:
    """How far the mean law mass may lie above alpha* where the expectation is not known but is at
    most alpha*; one-sided.
    """
    return allowance(np.minimum(alpha_star, 0.5), delta)

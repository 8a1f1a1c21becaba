"""Means over contexts or prompts, with standard errors and 95 % t intervals."""

import math
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray
from scipy import stats

Values = NDArray[np.float64]

LEVEL = 0.95  # of every interval


class Mean(NamedTuple):
    """A mean and its standard error; nan where there is no value."""

    value: float
    error: float


class Interval(NamedTuple):
    """A mean, its standard error, and where it may lie; a single value has neither error nor
    interval (nan).
    """

    mean: float
    error: float
    low: float
    high: float


def mean(values: Float[np.ndarray, " B"]) -> Mean:
    """Mean of independent values."""
    value = float(values.mean())
    if math.isinf(value):
        return Mean(value, math.nan)
    return Mean(value, float(values.std(ddof=1) / math.sqrt(len(values))))


def clustered_mean(values: Float[np.ndarray, "B ..."], used: NDArray[np.bool_]) -> Mean:
    """Mean of the used values, those of one prompt taken as one cluster; with a single prompt they
    count as independent.
    """
    count = used.sum()
    if count == 0 or np.isnan(values[used]).any():
        return Mean(np.nan, np.nan)
    mean = values[used].mean()
    if np.isinf(mean):
        return Mean(float(mean), np.nan)
    deviations = np.where(used, values - mean, 0).reshape(len(values), -1)
    clusters = deviations.sum(1) if len(values) > 1 else deviations[0]
    size = len(clusters) if len(values) > 1 else count
    spread = np.sum(clusters**2) * size / max(size - 1, 1)
    return Mean(float(mean), float(np.sqrt(spread) / count))


def ratio_of_means(
    above: Float[np.ndarray, "B ..."], below: Float[np.ndarray, "B ..."], used: NDArray[np.bool_]
) -> Mean:
    """The mean of the used values of one column by that of another, with the error of its
    linearisation.
    """
    least = clustered_mean(below, used).value
    if not np.isfinite(least) or least == 0:
        return Mean(np.nan, np.nan)
    ratio = clustered_mean(above, used).value / least
    return Mean(ratio, clustered_mean(above - ratio * below, used).error / least)


def interval(values: Values) -> Interval:
    """The mean over contexts with its t interval: texts are independent in [B, T], contexts in [T].

    Contexts of one text are not: where the rows of [T] come from a few texts the interval is too
    narrow. The noise of an estimate at each context is part of the spread between contexts, so it
    is in the interval.
    """
    if values.ndim > 1:
        values = values.mean(1) if len(values) > 1 else values[0]
    if len(values) == 1:
        return Interval(float(values[0]), np.nan, np.nan, np.nan)
    value, error = mean(values)
    half = reach(error, len(values))
    return Interval(value, error, value - half, value + half)


def reach(error: float, count: int) -> float:
    """Half the width of the t interval of a mean over `count` values with this standard error."""
    return error * float(stats.t.ppf((1 + LEVEL) / 2, count - 1))

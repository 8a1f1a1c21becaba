"""Rows of logits or of probabilities as laws, and what is wrong with those that are none."""

from pathlib import Path

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int
from numpy.typing import NDArray

from specjax.numerics import Sampling

SUM = 1e-2  # how far a row of rounded probabilities may sum from 1
LOGITS = "expected logits, -inf where a token is masked"
FAULTS = (
    "",
    f"holds NaN: {LOGITS}",
    f"holds +inf: {LOGITS}",
    f"is -inf everywhere: {LOGITS}",
    "holds probabilities: expected logits, as in row 0",
    "is no law: expected probabilities, as in row 0",
)


def read(
    sampling: Sampling, rows: Float[Array, "R V"], probable: Bool[Array, ""]
) -> tuple[Float[Array, "R V"], Int[Array, " R"]]:
    """The laws of rows of logits or of probabilities, flat where a row is none; and what is wrong
    with each row.
    """
    laws = are_laws(rows)
    faults = jnp.where(probable, jnp.where(laws, 0, 5), jnp.where(laws, 4, 0))
    faults = jnp.where(_faults(rows) > 0, _faults(rows), faults)
    logits = jnp.where(probable, jnp.log(rows), rows)
    return sampling.law(jnp.where((faults > 0)[:, None], 0, logits)), faults


def are_laws(rows: Float[Array | np.ndarray, "R V"]) -> Bool[Array, " R"]:
    """Which rows hold probabilities: none is below 0, and they sum to 1."""
    sums = jnp.sum(jnp.asarray(rows), -1)
    return jnp.all(jnp.asarray(rows) >= 0, -1) & (jnp.abs(sums - 1) <= SUM)


def _faults(logits: Float[Array, "R V"]) -> Int[Array, " R"]:
    """The index in FAULTS of what keeps each row from being the logits of a law."""
    tests = (jnp.isnan(logits).any(-1), jnp.isposinf(logits).any(-1), jnp.isneginf(logits).all(-1))
    return jnp.select(tests, (1, 2, 3), 0)


def check(path: Path, faults: NDArray[np.integer], rows: NDArray[np.integer]) -> None:
    """Refuse rows that are none, by the number of the first.

    Raises:
      ValueError: a row has a fault.
    """
    bad = np.flatnonzero(faults)
    if len(bad):
        raise ValueError(f"{path}: row {rows[bad[0]]} {FAULTS[faults[bad[0]]]}")

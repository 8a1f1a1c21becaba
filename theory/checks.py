"""Public checks of laws, couplings and rules: truthy or not, with the size of the error and the
reason in words.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

TOLERANCE = 1e-9


@dataclass(frozen=True)
class Check:
    """The outcome of a check; true if it passed.

    Arguments:
      error: the size of the violation, 0 for none, infinite where shapes or values make it
        meaningless.
      tolerance: the largest error that passes.
      reason: the worst violation in words, empty if the check passed.
    """

    error: float
    tolerance: float
    reason: str

    def __bool__(self) -> bool:
        return self.error <= self.tolerance


def is_law(x: ArrayLike, tolerance: float = TOLERANCE) -> Check:
    """Whether x is a law, or every row of x: finite, nonnegative, summing to 1. Cost: O(size)."""
    laws = np.asarray(x, np.float64)
    if laws.ndim == 0 or laws.size == 0:
        return _fail(f"has shape {laws.shape}, expected at least one token")
    return _worst(
        tolerance,
        _signs(laws, "the law"),
        _sums(laws.sum(axis=-1), np.ones(laws.shape[:-1]), "row"),
    )


def is_coupling(
    coupling: ArrayLike,
    rows: ArrayLike,
    columns: ArrayLike,
    tolerance: float = TOLERANCE,
) -> Check:
    """Whether a joint mass is nonnegative and has the two marginals.

    Arguments:
      coupling: [M, V].
      rows: [M], what each row must sum to.
      columns: [V], what each column must sum to.
    Cost: O(M V).
    """
    joint, row, column = (np.asarray(x, np.float64) for x in (coupling, rows, columns))
    if row.ndim != 1 or column.ndim != 1 or joint.shape != (len(row), len(column)):
        return _fail(
            f"the coupling has shape {joint.shape}, expected {row.shape + column.shape} from its "
            "marginals"
        )
    return _worst(
        tolerance,
        _signs(joint, "the coupling"),
        _sums(joint.sum(axis=1), row, "row"),
        _sums(joint.sum(axis=0), column, "column"),
    )


def is_lossless(
    laws: ArrayLike,
    mass: ArrayLike,
    p: ArrayLike,
    tolerance: float = TOLERANCE,
) -> Check:
    """Whether a rule emits p: sum_x Q(x) K[x, :] = p, in total variation, with every K[x, :] and Q
    a law.

    Arguments:
      laws: K [M, V], the rule's law for each tuple of drafts.
      mass: Q [M].
      p: target law [V].
    Cost: O(M V).
    """
    kernel, weight, target = (np.asarray(x, np.float64) for x in (laws, mass, p))
    if weight.ndim != 1 or target.ndim != 1 or kernel.shape != (len(weight), len(target)):
        return _fail(
            f"the laws have shape {kernel.shape}, expected {weight.shape + target.shape} from Q "
            "and p"
        )
    prerequisites = (
        is_law(kernel, tolerance),
        is_law(weight, tolerance),
        is_law(target, tolerance),
    )
    for name, check in zip(("the rule's law", "Q", "p"), prerequisites, strict=True):
        if not check:
            return Check(check.error, tolerance, f"{name} is not a law: {check.reason}")
    loss = weight @ kernel - target
    token = int(np.abs(loss).argmax())
    error = float(np.abs(loss).sum() / 2)
    return _worst(
        tolerance,
        (
            error,
            f"emits a law at total variation {error:.3g} from p, worst at token {token} "
            f"({loss[token]:+.3g})",
        ),
    )


def _signs(x: NDArray[np.float64], name: str) -> tuple[float, str]:
    """How far the entries fall below 0; infinite for one that is not finite."""
    if not np.isfinite(x).all():
        index = _index(~np.isfinite(x))
        return np.inf, f"{name} has the entry {x[index]} at {index}, expected a finite number"
    index = _index(x == x.min())
    return max(0.0, -float(x[index])), f"{name} has the negative entry {x[index]:.6g} at {index}"


def _sums(sums: NDArray[np.float64], expected: NDArray[np.float64], name: str) -> tuple[float, str]:
    """How far the sums are from what is expected."""
    error = np.abs(sums - expected)
    index = _index(error == error.max())
    where = f"{name} {index[0] if len(index) == 1 else index} " if index else "the law "
    return float(error[index]), f"{where}sums to {sums[index]:.9g}, expected {expected[index]:.9g}"


def _index(found: NDArray[np.bool_]) -> tuple[int, ...]:
    """The first index at which `found` holds."""
    return tuple(int(i) for i in np.unravel_index(int(found.argmax()), found.shape))


def _worst(tolerance: float, *violations: tuple[float, str]) -> Check:
    """The check that fails by the largest violation, if that exceeds the tolerance."""
    error, reason = max(violations, key=lambda violation: violation[0])
    return Check(error, tolerance, reason if error > tolerance else "")


def _fail(reason: str) -> Check:
    return Check(np.inf, 0.0, reason)

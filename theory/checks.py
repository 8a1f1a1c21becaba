"""Public checks of laws, couplings and rules.

A check is true or false, and has the size of the error and the reason in words.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from theory._arrays import Mask, Values

TOLERANCE = 1e-9

Violation = tuple[float, str]  # its size, and the reason in words


@dataclass(frozen=True)
class Check:
    """The outcome of a check; true if it passed.

    Attributes:
      error: the size of the violation, 0 if there is none. It is infinite if shapes or values make
        it meaningless.
      tolerance: the largest error that passes.
      reason: the worst violation in words, empty if the check passed.
    """

    error: float
    tolerance: float
    reason: str

    def __bool__(self) -> bool:
        return self.error <= self.tolerance


def is_law(x: ArrayLike, tolerance: float = TOLERANCE) -> Check:
    """Whether x is a law, or every row of x is: finite, nonnegative, with sum 1.

    Cost: O(size).

    Args:
      x: [.., V].
      tolerance: the largest error that passes, at least 0.

    Returns:
      The check; its error is the largest negative part or the largest distance of a sum from 1.
    """
    laws = np.asarray(x, np.float64)
    if laws.ndim == 0 or laws.size == 0:
        return _fail(f"has shape {laws.shape}, expected at least one token")
    return _worst(
        tolerance,
        _signs(laws, "the law"),
        _sums(laws.sum(axis=-1), np.ones(laws.shape[:-1]), "row"),
    )


def is_coupling(
    coupling: ArrayLike, rows: ArrayLike, columns: ArrayLike, tolerance: float = TOLERANCE
) -> Check:
    """Whether a joint mass is nonnegative and has the two marginals.

    Cost: O(M V).

    Args:
      coupling: [M, V].
      rows: [M], what each row must sum to.
      columns: [V], what each column must sum to.
      tolerance: the largest error that passes, at least 0.

    Returns:
      The check; its error is the largest negative part or the largest error of a sum.
    """
    joint = np.asarray(coupling, np.float64)
    row = np.asarray(rows, np.float64)
    column = np.asarray(columns, np.float64)
    if row.ndim != 1 or column.ndim != 1 or joint.shape != (len(row), len(column)):
        expected = row.shape + column.shape
        return _fail(
            f"the coupling has shape {joint.shape}, expected {expected} from its marginals"
        )
    return _worst(
        tolerance,
        _signs(joint, "the coupling"),
        _sums(joint.sum(axis=1), row, "row"),
        _sums(joint.sum(axis=0), column, "column"),
    )


def is_lossless(
    laws: ArrayLike, mass: ArrayLike, p: ArrayLike, tolerance: float = TOLERANCE
) -> Check:
    """Whether a rule emits p: sum_x Q(x) K[x, :] = p, and every K[x, :] and Q is a law.

    Cost: O(M V).

    Args:
      laws: K [M, V], the rule's law for each tuple of drafts.
      mass: Q [M], the probability of each tuple.
      p: target law [V].
      tolerance: the largest error that passes, at least 0.

    Returns:
      The check. Its error is the total variation between the emitted law and p, or that of
      `is_law` where a law is none.

    Example:
      A rule that emits p whatever is drafted is lossless, and one that emits its draft is not.

      >>> from theory import is_lossless
      >>> bool(is_lossless([[0.7, 0.3], [0.7, 0.3]], [0.5, 0.5], [0.7, 0.3]))
      True
      >>> round(is_lossless([[1, 0], [0, 1]], [0.5, 0.5], [0.7, 0.3]).error, 6)
      0.2
    """
    kernel = np.asarray(laws, np.float64)
    weight = np.asarray(mass, np.float64)
    target = np.asarray(p, np.float64)
    if weight.ndim != 1 or target.ndim != 1 or kernel.shape != (len(weight), len(target)):
        expected = weight.shape + target.shape
        return _fail(f"the laws have shape {kernel.shape}, expected {expected} from Q and p")
    for name, law in {"the rule's law": kernel, "Q": weight, "p": target}.items():
        check = is_law(law, tolerance)
        if not check:
            return Check(check.error, tolerance, f"{name} is not a law: {check.reason}")
    loss = weight @ kernel - target
    token = int(np.abs(loss).argmax())
    error = float(np.abs(loss).sum() / 2)
    reason = (
        f"emits a law at total variation {error:.3g} from p, "
        f"worst at token {token} ({loss[token]:+.3g})"
    )
    return _worst(tolerance, (error, reason))


def _signs(x: Values, name: str) -> Violation:
    """How far the entries fall below 0; infinite for one that is not finite."""
    finite = np.isfinite(x)
    if not finite.all():
        index = _index(~finite)
        return np.inf, f"{name} has the entry {x[index]} at {index}, expected a finite number"
    index = _index(x == x.min())
    return max(0.0, -float(x[index])), f"{name} has the negative entry {x[index]:.6g} at {index}"


def _sums(sums: Values, expected: Values, name: str) -> Violation:
    """How far the sums are from what is expected."""
    error = np.abs(sums - expected)
    index = _index(error == error.max())
    where = "the law"
    if len(index) == 1:
        where = f"{name} {index[0]}"
    elif index:
        where = f"{name} {index}"
    return float(error[index]), f"{where} sums to {sums[index]:.9g}, expected {expected[index]:.9g}"


def _index(found: Mask) -> tuple[int, ...]:
    """The first index at which `found` holds."""
    return tuple(int(i) for i in np.unravel_index(int(found.argmax()), found.shape))


def _worst(tolerance: float, *violations: Violation) -> Check:
    """The check that fails by the largest violation, if that exceeds the tolerance."""
    error, reason = max(violations, key=lambda violation: violation[0])
    if error <= tolerance:
        reason = ""
    return Check(error, tolerance, reason)


def _fail(reason: str) -> Check:
    return Check(np.inf, 0.0, reason)

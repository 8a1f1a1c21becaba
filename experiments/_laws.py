"""Probability vectors in files."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from theory.problem import as_law

Law = NDArray[np.float64]


def load(path: Path) -> Law:
    """The law in a .npy file of floats, in float64, renormalised if its sum is within 1e-3 of 1.

    Raises:
      ValueError: the file cannot be read, or does not hold one law.
    """
    try:
        values = np.load(path, allow_pickle=False)
    except OSError as error:
        raise ValueError(f"{path}: {error.strerror or 'cannot be read'}") from None
    except (ValueError, EOFError):
        raise ValueError(f"{path}: not a .npy file of numbers") from None
    if not isinstance(values, np.ndarray) or values.dtype.kind != "f":
        raise ValueError(f"{path}: expected a .npy file of float16, float32 or float64, got {getattr(values, 'dtype', 'an archive')}")
    if values.ndim != 1:
        raise ValueError(f"{path}: expected one vector of probabilities, got shape {values.shape}")
    return as_law(str(path), values)


def load_pair(target: Path, draft: Path) -> tuple[Law, Law]:
    """p and q from two files.

    Raises:
      ValueError: a file does not hold one law, or their vocabularies differ.
    """
    p, q = load(target), load(draft)
    if len(p) != len(q):
        raise ValueError(f"{target} has {len(p)} tokens and {draft} {len(q)}: expected one vocabulary")
    return p, q

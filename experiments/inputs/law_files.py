"""Probability vectors in files."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from experiments.inputs import logit_files
from theory.problem import as_law

Law = NDArray[np.float64]
TOGETHER = 2**20  # entries read at once


def load(path: Path) -> Law:
    """The law in a file of floats, as `_logits.find` reads it, in float64, renormalised if its sum
    is within 1e-3 of 1.

    Raises:
      ValueError: the file cannot be read, or does not hold one law.
    """
    file = logit_files.find(path)
    if len(file.shape) != 1:
        raise ValueError(f"{path}: expected one vector of probabilities, got shape {file.shape}")
    return as_law(str(path), np.concatenate([np.empty(0), *file.read(TOGETHER)]))


def load_pair(target: Path, draft: Path) -> tuple[Law, Law]:
    """p and q from two files.

    Raises:
      ValueError: a file does not hold one law, or their vocabularies differ.
    """
    p = load(target)
    q = load(draft)
    if len(p) != len(q):
        raise ValueError(
            f"{target} has {len(p)} tokens and {draft} {len(q)}: expected one vocabulary"
        )
    return p, q

"""Top-k log-probabilities with their ids, as inference engines give them: arrays `logprobs` and
`ids` [T, k] in a .npz file.

The k entries of a row may be any tokens in any order; -inf marks an entry that is none. What they
leave of probability 1 is unknown.
"""

import zipfile
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from experiments.inputs import logit_files

NAMES = ("logprobs", "ids")
KINDS = {"logprobs": ("f", "floats"), "ids": ("iu", "integers")}
ABOVE = 1e-3  # how far rounding may lift a log-probability above 0
SUM = 1e-2  # how far rounding may lift the sum of a row above 1
NO_ID = -1
BOTH = "expected top-k logprobs and their ids in both files"
Probabilities = NDArray[np.float64]
Ids = NDArray[np.int64]


class TopK(NamedTuple):
    """What is listed of the laws of T contexts.

    Attributes:
      probabilities: [T, k], 0 where there is no entry; a row sums to at most 1, but for float64.
      ids: [T, k], those of a row differ; NO_ID where there is no entry.
    """

    probabilities: Probabilities
    ids: Ids

    @property
    def unknown(self) -> Probabilities:
        """What no entry holds of each law, [T]."""
        return np.maximum(1 - self.probabilities.sum(1), 0)

    def at(self, rows: Ids) -> "TopK":
        """The lists of some contexts."""
        return TopK(self.probabilities[rows], self.ids[rows])


def holds(path: Path) -> bool:
    """Whether a file is one of these: a .npz with an array `ids`."""
    try:
        with zipfile.ZipFile(path) as archive:
            return path.suffix == ".npz" and "ids.npy" in archive.namelist()
    except (*logit_files.BROKEN, OSError):
        return False


def load_pair(target: Path, draft: Path) -> tuple[TopK, TopK]:
    """The lists of target and draft at the same contexts; k may differ.

    Raises:
      ValueError: a file does not hold such lists, or they have different T.
    """
    p = load(target)
    q = load(draft)
    if len(p.ids) != len(q.ids):
        raise ValueError(
            f"{target} has {len(p.ids)} rows and {draft} {len(q.ids)}: expected the same contexts"
        )
    return p, q


def load(path: Path) -> TopK:
    """The lists in a file. Rows that sum to more than 1 by rounding are scaled.

    Raises:
      ValueError: the file cannot be read or lacks an array, the arrays are no [T, k], or a row is
        no part of a law.

    Cost: all of the file is in memory.
    """
    logprobs, ids = map(_arrays(path).__getitem__, NAMES)
    if logprobs.ndim != 2 or logprobs.shape != ids.shape or 0 in ids.shape:
        raise ValueError(
            f"{path}: expected logprobs and ids of one shape [T, k], got {logprobs.shape} and "
            f"{ids.shape}"
        )
    listed = ~np.isneginf(logprobs)
    with np.errstate(over="ignore"):
        probabilities = np.exp(logprobs.astype(np.float64))
    sums = probabilities.sum(1, keepdims=True)
    ids = np.where(listed, ids.astype(np.int64), NO_ID)
    ordered = np.sort(ids, 1)
    repeated = (ordered[:, 1:] == ordered[:, :-1]) & (ordered[:, 1:] != NO_ID)
    _refuse(path, np.isnan(logprobs), "holds NaN: expected log-probabilities")
    _refuse(path, logprobs > ABOVE, "holds a log-probability above 0")
    _refuse(path, sums > 1 + SUM, "has probabilities that sum to more than 1")
    _refuse(path, (ids < 0) & listed, "holds a negative id")
    _refuse(path, repeated, "holds an id twice")
    return TopK(probabilities / np.maximum(sums, 1), ids)


def _arrays(path: Path) -> dict[str, np.ndarray]:
    """Both arrays, with the right kinds of numbers."""
    try:
        # an array alone is no archive for zipfile, but a file for numpy
        with zipfile.ZipFile(path), np.load(path, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in NAMES if name in archive}
    except OSError as error:
        raise ValueError(f"{path}: {error.strerror or 'cannot be read'}") from None
    except (*logit_files.BROKEN, ValueError):
        raise ValueError(f"{path}: not a whole .npz archive of numbers: {BOTH}") from None
    for name in NAMES:
        if name not in arrays:
            raise ValueError(f"{path}: holds no array {name}: {BOTH}")
        kinds, words = KINDS[name]
        if arrays[name].dtype.kind not in kinds:
            raise ValueError(f"{path}: {name}: expected {words}, got {arrays[name].dtype}")
    return arrays


def _refuse(path: Path, faulty: NDArray[np.bool_], words: str) -> None:
    rows = np.flatnonzero(faulty.any(1))
    if len(rows):
        raise ValueError(f"{path}: row {rows[0]} {words}")

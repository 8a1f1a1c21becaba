"""Weights on disk while training: orbax checkpoints."""

from pathlib import Path

from jaxtyping import PyTree
from orbax.checkpoint import v1 as ocp


def save(folder: Path, params: PyTree) -> None:
    """Write a pytree of arrays.

    An older checkpoint in the same place is replaced once the new one is complete.
    """
    ocp.save(folder.resolve(), params, overwrite=True)


def restore(folder: Path, like: PyTree) -> PyTree:
    """Read what `save` wrote; `like` gives structure, shapes, dtypes and places of the arrays.

    Raises:
      ValueError: there is no checkpoint in the folder.
    """
    if not folder.is_dir():
        raise ValueError(f"{folder}: no checkpoint here; train first, e.g. with `make train-bytes`")
    return ocp.load(folder.resolve(), like)

"""The user's cache folder, and arrays that are computed once and kept there."""

import os
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np


def cache_folder() -> Path:
    """The folder of fitted weights, checkpoints and findings.

    It is $XDG_CACHE_HOME/specjax, or ~/.cache/specjax.
    """
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "specjax"


def cached(name: str, compute: Callable[[], dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """Arrays kept as `name`.npz in the cache folder, and computed if they are not there.

    A reader sees a whole file or none.
    """
    file = cache_folder() / f"{name}.npz"
    if not file.is_file():
        arrays = compute()
        file.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=file.parent) as folder:
            part = Path(folder) / file.name
            np.savez(part, allow_pickle=False, **arrays)
            os.replace(part, file)
    with np.load(file) as arrays:
        return dict(arrays)

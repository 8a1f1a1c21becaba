"""Files that are either whole or absent."""

import contextlib
import json
import math
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np


def check_writable(path: Path) -> None:
    """Refuse a path that could not be written, before any long work. Nothing is created.

    Raises:
      ValueError: the path is a folder, or its nearest existing parent is no folder that we may
        write to.
    """
    if path.is_dir():
        raise ValueError(f"{path}: is a folder, expected a file to write")
    parent = next(folder for folder in path.absolute().parents if folder.exists())
    if not parent.is_dir() or not os.access(parent, os.W_OK | os.X_OK):
        raise ValueError(f"{path}: cannot be written, {parent} is not a writable folder")


def write(path: Path, data: bytes) -> None:
    """Put data at path, or leave what was there."""
    with replaced(path) as file:
        file.write(data)


@contextlib.contextmanager
def replaced(path: Path) -> Iterator[BinaryIO]:
    """A file to write that takes the place of path when it is whole: a neighbour is written and
    synced, then takes the name.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file
            file.flush()
            os.fchmod(descriptor, 0o644)
            os.fsync(descriptor)
        os.replace(name, path)
    except BaseException:
        os.unlink(name)
        raise


def write_json(path: Path, content: object) -> None:
    """Content as JSON; numbers that are not finite become null."""
    write(path, (json.dumps(_plain(content), indent=1, allow_nan=False) + "\n").encode())


def _plain(content: object) -> object:
    if isinstance(content, dict):
        return {str(key): _plain(value) for key, value in content.items()}
    if isinstance(content, list | tuple):
        return [_plain(value) for value in content]
    if isinstance(content, np.generic | np.ndarray):
        return _plain(content.tolist())
    if isinstance(content, float) and not math.isfinite(content):
        return None
    return content

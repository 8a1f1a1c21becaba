"""Arrays of floats in files of several formats, read a few rows at a time."""

import contextlib
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

BFLOAT16 = np.dtype(jnp.bfloat16)
FLOATS = (np.dtype(np.float16), BFLOAT16, np.dtype(np.float32), np.dtype(np.float64))
HEADERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
BROKEN = (EOFError, RuntimeError, zipfile.BadZipFile, zlib.error)  # what zipfile raises at an archive that is none, or is locked
Rows = NDArray[np.floating]


class FloatArray(NamedTuple):
    """An array of floats in a file.

    Attributes:
      read: `read(rows)` streams the array in its own dtype, at most `rows` rows at a time; only these are in memory.
    """

    path: Path
    shape: tuple[int, ...]
    read: Callable[[int], Iterator[Rows]]


def find(path: Path) -> FloatArray:
    """The one array in a .npy, .npz or .safetensors file: float16, bfloat16, float32 or float64.

    NumPy knows no bfloat16 and saves it as two opaque bytes: such a .npy is read as bfloat16.

    Raises:
      ValueError: the file cannot be read or is cut short, holds several arrays, or holds no floats.
    """
    suffixes = {".npy": _npy, ".npz": _npz, ".safetensors": _safetensors}
    if path.suffix not in suffixes:
        raise ValueError(f"{path}: expected a file that ends in {', '.join(suffixes)}")
    try:
        return suffixes[path.suffix](path)
    except OSError as error:
        raise ValueError(f"{path}: {error.strerror or 'cannot be read'}") from None


def _npy(path: Path) -> FloatArray:
    with path.open("rb") as stream:
        shape, dtype = _header(path, stream, path.stat().st_size)
    return _streamed(path, shape, dtype, lambda: path.open("rb"))


def _npz(path: Path) -> FloatArray:
    @contextlib.contextmanager
    def member() -> Iterator[BinaryIO]:
        with zipfile.ZipFile(path) as archive, archive.open(archive.namelist()[0]) as stream:
            yield stream  # type: ignore[misc]  # reads like a file

    try:
        with zipfile.ZipFile(path) as archive:
            name = _only(path, archive.namelist())
            size = archive.getinfo(name).file_size
        with member() as stream:
            shape, dtype = _header(path, stream, size)
    except BROKEN:
        raise ValueError(f"{path}: not a whole .npz archive") from None
    return _streamed(path, shape, dtype, member)


def _header(path: Path, stream: BinaryIO, size: int) -> tuple[tuple[int, ...], np.dtype]:
    """Shape and dtype of the .npy stream of `size` bytes, whose data come next."""
    try:
        shape, by_column, dtype = HEADERS[np.lib.format.read_magic(stream)](stream)
    except (KeyError, ValueError):
        raise ValueError(f"{path}: not a .npy file of numbers") from None
    if dtype == np.dtype("V2"):
        dtype = BFLOAT16
    if dtype.newbyteorder("=") not in FLOATS:
        raise ValueError(f"{path}: expected float16, bfloat16, float32 or float64, got {dtype}")
    if by_column and len(shape) > 1:
        raise ValueError(f"{path}: stored column by column (Fortran order), expected rows: save numpy.ascontiguousarray of it")
    if size - stream.tell() < dtype.itemsize * int(np.prod(shape, dtype=object)):
        raise ValueError(f"{path}: cut short, expected {dtype} of shape {shape}")
    return shape, dtype


def _streamed(path: Path, shape: tuple[int, ...], dtype: np.dtype, stream: Callable[[], contextlib.AbstractContextManager]) -> FloatArray:
    def read(rows: int) -> Iterator[Rows]:
        # plain reads and no memory map: pages of a map that were read once stay resident
        with stream() as file:
            HEADERS[np.lib.format.read_magic(file)](file)
            for start in range(0, shape[0], rows):
                chunk = np.empty((min(rows, shape[0] - start), *shape[1:]), dtype)
                try:
                    got = file.readinto(chunk.reshape(-1).view(np.uint8))
                except BROKEN:
                    got = -1
                if got != chunk.nbytes:
                    raise ValueError(f"{path}: broken or cut short in rows {start} to {start + len(chunk) - 1}")
                yield chunk.astype(dtype.newbyteorder("="), copy=False)

    return FloatArray(path, shape, read)


def _safetensors(path: Path) -> FloatArray:
    from safetensors import SafetensorError, safe_open  # needs the extra `safetensors`

    names = {"F16": "float16", "BF16": "bfloat16", "F32": "float32", "F64": "float64"}
    try:
        with safe_open(path, "numpy") as file:
            name = _only(path, list(file.keys()))
            tensor = file.get_slice(name)
            shape, dtype = tuple(tensor.get_shape()), tensor.get_dtype()
    except SafetensorError as error:
        raise ValueError(f"{path}: not a whole .safetensors file: {error}") from None
    if dtype not in names:
        raise ValueError(f"{path}: expected one of {', '.join(names.values())}, got {dtype}")

    def read(rows: int) -> Iterator[Rows]:
        for start in range(0, shape[0], rows):
            with safe_open(path, "numpy") as file:  # opened anew: the map of the file, and with it what was read, is let go
                chunk = file.get_slice(name)[start : min(start + rows, shape[0])]
            yield chunk

    return FloatArray(path, shape, read)


def _only(path: Path, names: list[str]) -> str:
    if len(names) != 1:
        raise ValueError(f"{path}: expected one array, got {len(names)}" + (f": {', '.join(names)}" if names else ""))
    return names[0]

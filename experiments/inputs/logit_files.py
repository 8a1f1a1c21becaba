"""Arrays of floats in files of several formats, read a few rows at a time."""

import contextlib
import io
import math
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple, Protocol

import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

BFLOAT16 = np.dtype(jnp.bfloat16)
FLOATS = (np.dtype(np.float16), BFLOAT16, np.dtype(np.float32), np.dtype(np.float64))
HEADERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
# what zipfile raises at an archive that is none, or is locked
BROKEN = (EOFError, RuntimeError, zipfile.BadZipFile, zlib.error)
Rows = NDArray[np.floating]


class Tensor(Protocol):
    """A tensor of a .safetensors file that is read in parts."""

    def get_shape(self) -> list[int]: ...

    def __getitem__(self, at: slice | tuple[int, slice]) -> Rows: ...


class FloatArray(NamedTuple):
    """An array of floats in a file.

    Attributes:
      read: `read(rows)` streams the array in its own dtype, `rows` rows at a time, those of [B, T,
        V] one text after another; only these are in memory.
    """

    path: Path
    shape: tuple[int, ...]
    read: Callable[[int], Iterator[Rows]]


def find(source: Path) -> FloatArray:
    """The array in a .npy, .npz or .safetensors file, one of several by name (FILE:NAME): float16,
    bfloat16, float32 or float64.

    NumPy knows no bfloat16 and saves it as two opaque bytes: such a .npy is read as bfloat16.

    Raises:
      ValueError: the file cannot be read or is cut short, holds several arrays and none is named,
        or holds no floats.
    """
    path, name = source, ""
    if not source.exists() and ":" in source.name:
        path = source.with_name(source.name.partition(":")[0])
        name = source.name.partition(":")[2]
    suffixes = {".npy": _npy, ".npz": _npz, ".safetensors": _safetensors}
    if path.suffix not in suffixes:
        raise ValueError(f"{path}: expected a file that ends in {', '.join(suffixes)}")
    try:
        return suffixes[path.suffix](path, name)._replace(path=source)
    except OSError as error:
        raise ValueError(f"{path}: {error.strerror or 'cannot be read'}") from None


def part(file: FloatArray, first: int, end: int, vocabulary: int) -> FloatArray:
    """Rows `first` to `end` - 1 of every text, cut to the first `vocabulary` tokens; two chunks are
    in memory at the most.
    """
    every = file.shape[-2]

    def read(rows: int) -> Iterator[Rows]:
        at = 0
        held = np.empty((0, vocabulary))
        for chunk in file.read(rows):
            places = np.arange(at, at + len(chunk)) % every
            kept = chunk[(first <= places) & (places < end), :vocabulary]
            at = at + len(chunk)
            held = np.concatenate([held.astype(chunk.dtype), kept])
            if len(held) >= rows:
                yield held[:rows]
                held = held[rows:]
        if len(held):
            yield held

    return FloatArray(file.path, (*file.shape[:-2], end - first, vocabulary), read)


def _npy(path: Path, name: str) -> FloatArray:
    if name:
        raise ValueError(f"{path}: holds one array without a name, got the name {name}")
    with path.open("rb") as stream:
        shape, dtype = _header(path, stream, path.stat().st_size)
    return _streamed(path, shape, dtype, lambda: path.open("rb"))


def _npz(path: Path, name: str) -> FloatArray:
    @contextlib.contextmanager
    def member() -> Iterator[io.BufferedIOBase]:
        with zipfile.ZipFile(path) as archive, archive.open(found) as stream:
            yield stream  # type: ignore[misc]  # reads like a file

    try:
        with zipfile.ZipFile(path) as archive:
            found = _only(path, archive.namelist(), name, ".npy")
            size = archive.getinfo(found).file_size
        with member() as stream:
            shape, dtype = _header(path, stream, size)
    except BROKEN:
        raise ValueError(f"{path}: not a whole .npz archive") from None
    return _streamed(path, shape, dtype, member)


def _header(path: Path, stream: io.BufferedIOBase, size: int) -> tuple[tuple[int, ...], np.dtype]:
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
        raise ValueError(
            f"{path}: stored column by column (Fortran order), expected rows: save "
            "numpy.ascontiguousarray of it"
        )
    if size - stream.tell() < dtype.itemsize * int(np.prod(shape, dtype=object)):
        raise ValueError(f"{path}: cut short, expected {dtype} of shape {shape}")
    return shape, dtype


def _streamed(
    path: Path,
    shape: tuple[int, ...],
    dtype: np.dtype,
    stream: Callable[[], contextlib.AbstractContextManager[io.BufferedIOBase]],
) -> FloatArray:
    total, *width = _rows(shape)

    def read(rows: int) -> Iterator[Rows]:
        # plain reads and no memory map: pages of a map that were read once stay resident
        with stream() as file:
            HEADERS[np.lib.format.read_magic(file)](file)
            for start in range(0, total, rows):
                chunk = np.empty((min(rows, total - start), *width), dtype)
                try:
                    got = file.readinto(chunk.reshape(-1).view(np.uint8).data)
                except BROKEN:
                    got = -1
                if got != chunk.nbytes:
                    raise ValueError(
                        f"{path}: broken or cut short in rows {start} to {start + len(chunk) - 1}"
                    )
                yield chunk.astype(dtype.newbyteorder("="), copy=False)

    return FloatArray(path, shape, read)


def _safetensors(path: Path, name: str) -> FloatArray:
    from safetensors import SafetensorError, safe_open  # needs the extra `safetensors`

    names = {"F16": "float16", "BF16": "bfloat16", "F32": "float32", "F64": "float64"}
    try:
        with safe_open(path, "numpy") as file:
            found = _only(path, list(file.keys()), name)
            tensor = file.get_slice(found)
            shape = tuple(tensor.get_shape())
            dtype = tensor.get_dtype()
    except SafetensorError as error:
        raise ValueError(f"{path}: not a whole .safetensors file: {error}") from None
    if dtype not in names:
        raise ValueError(f"{path}: expected one of {', '.join(names.values())}, got {dtype}")

    def read(rows: int) -> Iterator[Rows]:
        total = _rows(shape)[0]
        for start in range(0, total, rows):
            # opened anew: the map of the file, and with it what was read, is let go
            with safe_open(path, "numpy") as file:
                chunk = _between(file.get_slice(found), start, min(start + rows, total))
            yield chunk

    return FloatArray(path, shape, read)


def _between(tensor: Tensor, start: int, end: int) -> Rows:
    """Rows of a tensor; those of [B, T, V] are counted through its texts."""
    if len(tensor.get_shape()) < 3:
        return tensor[start:end]
    every = tensor.get_shape()[1]
    texts = range(start // every, (end - 1) // every + 1)
    return np.concatenate(
        [
            tensor[text, max(start - text * every, 0) : min(end - text * every, every)]
            for text in texts
        ]
    )


def _rows(shape: tuple[int, ...]) -> tuple[int, ...]:
    """How many rows there are, and their width: one text after another; a vector has rows without a
    width.
    """
    return shape if len(shape) < 2 else (math.prod(shape[:-1]), shape[-1])


def _only(path: Path, names: list[str], wanted: str, suffix: str = "") -> str:
    """The array that is wanted, or the only one."""
    if wanted and wanted + suffix in names:
        return wanted + suffix
    held = ", ".join(name.removesuffix(suffix) for name in names)
    if wanted:
        raise ValueError(f"{path}: holds no array {wanted}: expected one of {held}")
    if len(names) != 1:
        raise ValueError(
            f"{path}: expected one array, got {len(names)}"
            + (f": {held}; name one, as in {path.name}:NAME" if names else "")
        )
    return names[0]

"""``.npz`` archives of arrays, read with nothing taken on trust: no pickle, no size before it was checked."""

from __future__ import annotations

import math
import os
import struct
import tokenize
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import IO, Any

import numpy as np

from .atomic import atomic_write

_SUFFIX = ".npy"
_LONGEST_HEADER = 10_000
_HEADER_READERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
# What zipfile, zlib and NumPy's parser of headers (a tokenizer) raise for bytes that make no sense.
_DAMAGED = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    tokenize.TokenError,
    ArithmeticError,
    EOFError,
    LookupError,
    MemoryError,
    OSError,
    RuntimeError,
    SyntaxError,
    TypeError,
    ValueError,
)


class ModelFileError(ValueError):
    """A file of a model is damaged, of another format, or doesn't fit the model."""


def write_npz(path: str | os.PathLike[str], arrays: Mapping[str, np.ndarray]) -> None:
    """Write arrays to an archive that ``numpy.load`` reads; equal arrays give equal bytes.

    Args:
        path: The file, see `atomic_write`.
        arrays: By name, kept in this order.
    """
    with atomic_write(path) as file, zipfile.ZipFile(file, "w") as archive:
        for name, array in arrays.items():
            # a ZipInfo of its own has no time of day in it
            with archive.open(zipfile.ZipInfo(name + _SUFFIX), "w", force_zip64=True) as member:
                np.lib.format.write_array(member, np.asarray(array), allow_pickle=False)


class NpzReader:
    """An open archive, used in a ``with`` statement.

    Args:
        path: The file.

    Attributes:
        path: The file.
        shapes: Dict from name to the shape that the archive declares, in the order of the file.

    Raises:
        FileNotFoundError: If there is no such file.
        ModelFileError: If it isn't an archive of numeric arrays.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = os.fspath(path)
        self._members: dict[str, zipfile.ZipInfo] = {}
        self.shapes: dict[str, tuple[int, ...]] = {}

    def __enter__(self) -> NpzReader:
        with ExitStack() as stack:
            file = stack.enter_context(open(self.path, "rb"))
            with self._errors():
                self._archive = stack.enter_context(zipfile.ZipFile(file))
                self._read_directory()
            self._open = stack.pop_all()
        return self

    def __exit__(self, *exception: object) -> None:
        self._open.close()

    def read(self, name: str) -> np.ndarray:
        """Return an array; the caller has checked that ``shapes[name]`` is a size it wants.

        Raises:
            ModelFileError: If the data is damaged or not of the declared size.
        """
        with self._errors(), self._archive.open(self._members[name]) as member:
            shape, fortran, dtype = _read_header(member)
            size = math.prod(shape) * dtype.itemsize
            # never more memory than the member claims, nor more than was asked for
            if self._members[name].file_size != member.tell() + size:
                raise ValueError(f"{name!r} has another size than its shape {shape} says")
            data = member.read(size)
            if len(data) != size or member.read(1):  # the last read compares the checksum
                raise ValueError(f"{name!r} is cut off")
            return np.frombuffer(data, dtype).reshape(shape, order="F" if fortran else "C")

    def _read_directory(self) -> None:
        for info in self._archive.infolist():
            name = info.filename.removesuffix(_SUFFIX)
            if name == info.filename or name in self._members:
                raise ValueError(f"the member {info.filename!r} is not an array of its own")
            if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                raise ValueError(f"{name!r} is compressed in a way that NumPy doesn't write")
            with self._archive.open(info) as member:
                shape, _, dtype = _read_header(member)
            if dtype.kind not in "fiub":
                raise ValueError(f"{name!r} doesn't hold numbers but {dtype}")
            self._members[name] = info
            self.shapes[name] = shape

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except _DAMAGED as error:
            raise ModelFileError(f"{self.path} is damaged or not an .npz file: {error}") from error


def _read_header(member: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    version = np.lib.format.read_magic(member)
    if version not in _HEADER_READERS:
        raise ValueError(f"version {version} of the .npy format is not known")
    shape, fortran, dtype = _HEADER_READERS[version](member, max_header_size=_LONGEST_HEADER)
    if any(size < 0 for size in shape):
        raise ValueError(f"the shape {shape} is impossible")
    return shape, fortran, dtype

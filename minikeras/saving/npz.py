"""``.npz`` archives of arrays of numbers: no pickle, and no array before its size was compared with what is there."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager

import numpy as np

from .archive import Archive
from .atomic import atomic_write
from .errors import ModelFileError as ModelFileError  # the readers of other formats have it from here
from .npy import NpyHeader, read_header

_SUFFIX = ".npy"


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


# What files that are taken for models begin with, and what is to be said of them.
_OTHERS = {
    b"version h": "it is a pointer of Git LFS, in whose place 'git lfs pull' puts the file",
    b"{": "it may be the JSON of an architecture, which model_from_json(open(path).read()) takes",
    b"\x80": "it may be a pickle, which can run code and is never read",
    b"\x93NUMPY": "it holds one array of NumPy: model.set_weights takes a list of arrays",
    b"<": "it may be a page of the web",
    b"\x1f\x8b": "it is compressed by gzip: unpack it first",
}


def beginning(path: str | os.PathLike[str]) -> bytes:
    """The first bytes of a file, which tell its format.

    Raises:
        FileNotFoundError: If there is none.
        IsADirectoryError: If it is a folder.
    """
    if os.path.isdir(path):
        saved = os.path.exists(os.path.join(path, "saved_model.pb"))
        why = "a SavedModel of TensorFlow, which minikeras doesn't read: save it to .keras or .h5 there" * saved
        raise IsADirectoryError(f"{os.fspath(path)} is {why or 'a folder, and models and weights are files'}")
    with open(path, "rb") as file:
        return file.read(9)


def refuse_other_formats(path: str | os.PathLike[str], start: bytes) -> None:
    """Refuse a file that is no archive, unless its name says ``.npz``: then the reader says what is wrong.

    Args:
        path: The file.
        start: Its first bytes, which are those of no other format.

    Raises:
        ModelFileError: If it is such a file.
    """
    if not start.startswith(b"PK") and not os.fspath(path).endswith(".npz"):
        found = f"no .npz, .keras, HDF5 or .safetensors file begins with {start[:8]!r}" if start else "it is empty"
        found += "".join(f"; {what}" for known, what in _OTHERS.items() if start.startswith(known))
        raise ModelFileError(f"{os.fspath(path)} is damaged or no file of a model or of weights: {found}")


class NpzReader:
    """An open archive, used in a ``with`` statement.

    Args:
        path: The file.

    Attributes:
        path: The file.
        shapes: Dict from name to shape, in the order of the file. The data are there, in as many bytes.

    Raises:
        FileNotFoundError: If there is no such file.
        ModelFileError: If it isn't an archive of numeric arrays.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = os.fspath(path)
        self.shapes: dict[str, tuple[int, ...]] = {}

    def __enter__(self) -> NpzReader:
        with ExitStack() as stack:
            self._archive = stack.enter_context(Archive(self.path, "an .npz file"))
            with self._archive.errors():
                self.shapes = {_array_name(member): self._header(member).shape for member in self._archive.members}
            self._open = stack.pop_all()
        return self

    def __exit__(self, *exception: object) -> None:
        self._open.close()

    def read(self, name: str) -> np.ndarray:
        """Return an array; the caller has checked that ``shapes[name]`` is a size it wants.

        Raises:
            ModelFileError: If the data are damaged.
        """
        with self._archive.errors(), _of(name):
            member = self._archive.open(name + _SUFFIX)
            header = read_header(member)
            array = np.empty(header.shape, header.dtype, order="F" if header.fortran else "C")
            if array.size:
                member.read_into(memoryview(array.reshape(-1, order="A")).cast("B"))
            member.finish()
            return array

    def _header(self, member: str) -> NpyHeader:
        with _of(member.removesuffix(_SUFFIX)):
            return read_header(self._archive.open(member))


def _array_name(member: str) -> str:
    if not member.endswith(_SUFFIX):
        raise ValueError(f"the member {member!r:.100} is no array")
    return member.removesuffix(_SUFFIX)


@contextmanager
def _of(name: str) -> Iterator[None]:
    """Give what is wrong with an array its name."""
    try:
        yield
    except ValueError as error:
        raise ValueError(f"{name!r:.100}: {error}") from error

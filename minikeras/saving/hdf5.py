"""HDF5 files, read by a process of its own (`hdf5_child`) and written by h5py here."""

from __future__ import annotations

import importlib.util
import json
import math
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any, BinaryIO

import numpy as np

from .atomic import atomic_write
from .configurations import parse
from .errors import ModelFileError

MAGIC = b"\x89HDF\r\n\x1a\n"
Texts = Mapping[str, "str | list[str]"]

_CHILD = os.fspath(Path(__file__).with_name("hdf5_child.py"))
_DTYPES = {f"<{kind}{size}" for kind in "iu" for size in (2, 4, 8)} | {"|i1", "|u1", "<f2", "<f4", "<f8"}
_LONGEST_DESCRIPTION = 2**25
_PATIENCE = 30.0  # seconds that an answer may take besides the reading; the child itself has a second of computing
_SLOWEST_DISK = 1e6  # bytes per second


class Hdf5Reader:
    """An open HDF5 file, used in a ``with`` statement.

    Args:
        path: The file.
        data: Its content, if it is a member of an archive; else it is read from the path.

    Attributes:
        path: The file.
        attributes: Dict from the path of each group ("" is the root's) to its attributes: texts and lists of texts.
        shapes: Dict from the path of each array to its shape.

    Raises:
        ImportError: If h5py isn't installed.
        FileNotFoundError: If there is no such file.
        ModelFileError: If it is damaged, or holds something else than groups, numbers and texts.
    """

    def __init__(self, path: str | os.PathLike[str], data: bytes | None = None) -> None:
        self.path = os.fspath(path)
        self._data = data
        self.attributes: dict[str, dict[str, Any]] = {}
        self.shapes: dict[str, tuple[int, ...]] = {}
        self._dtypes: dict[str, str] = {}
        self._late = False
        self._deadline = math.inf
        self._over = threading.Event()

    def __enter__(self) -> Hdf5Reader:
        folders = _folders()
        if self._data is None:
            with open(self.path, "rb") as file:
                size = os.fstat(file.fileno()).st_size
        else:
            size = len(self._data)
        self._seconds = _PATIENCE + size / _SLOWEST_DISK
        source = os.path.abspath(self.path) if self._data is None else ""
        self._child = subprocess.Popen(
            [sys.executable, "-I", "-S", _CHILD, source, *folders],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=_environment(),
        )
        threading.Thread(target=self._watch, daemon=True).start()
        try:
            self._read_description()
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(self, *exception: object) -> None:
        self._end()

    def read(self, path: str) -> np.ndarray:
        """Return an array; the caller has checked that ``shapes[path]`` is a size it wants.

        Raises:
            ModelFileError: If it can't be read.
        """
        array = np.empty(self.shapes[path], self._dtypes[path])
        with self._hurry():
            self._send(json.dumps(path).encode() + b"\n")
            if self._receive(1) != b"+":
                raise self._damaged(self._receive(self._length(1000)).decode("utf-8", "replace"))
            self._receive_into(array)
        return array

    def _read_description(self) -> None:
        with self._hurry():
            if self._data is not None:
                self._send(len(self._data).to_bytes(8, "little"), self._data)
                self._data = None
            text = self._receive(self._length(_LONGEST_DESCRIPTION))
        try:
            found = parse(text, _LONGEST_DESCRIPTION)
            error = found.get("error")
            if error is None:
                self._take(found["attributes"], found["datasets"])
        except (LookupError, TypeError, ValueError, AttributeError, RecursionError) as wrong:
            raise self._damaged(str(wrong)) from wrong
        if error is not None:
            raise self._damaged(str(error))

    def _take(self, attributes: dict[str, Any], datasets: dict[str, Any]) -> None:
        """Keep what the child says of the file, if it is of the expected form: it may have been taken over."""
        self.attributes = {group: _texts(values) for group, values in attributes.items()}
        for path, (shape, dtype) in datasets.items():
            if dtype not in _DTYPES or not all(type(size) is int and size >= 0 for size in shape):
                raise ValueError(f"{path!r} has the shape {shape} and the type {dtype}")
            self.shapes[path] = tuple(shape)
            self._dtypes[path] = dtype

    def _send(self, *parts: bytes) -> None:
        with suppress(BrokenPipeError):  # why, the end of the answer tells
            for part in parts:
                self._pipe(self._child.stdin).write(part)
            self._pipe(self._child.stdin).flush()

    def _length(self, most: int) -> int:
        length = int.from_bytes(self._receive(8), "little")
        if length > most:
            raise self._damaged(f"an answer of {length} bytes about it")
        return length

    def _receive(self, count: int) -> bytes:
        data = self._pipe(self._child.stdout).read(count)
        if len(data) < count:
            raise self._damaged(self._end_of_child())
        return data

    def _receive_into(self, array: np.ndarray) -> None:
        rest = memoryview(array.reshape(-1)).cast("B") if array.size else memoryview(b"")
        while len(rest):
            count = self._pipe(self._child.stdout).readinto(rest)  # type: ignore[attr-defined]  # it is buffered
            if not count:
                raise self._damaged(self._end_of_child())
            rest = rest[count:]

    def _end_of_child(self) -> str:
        """Why the child has stopped answering, in words."""
        code = self._child.wait()
        if self._late or code == -getattr(signal, "SIGPROF", 0):
            return "reading it takes too long"
        if code < 0:
            return f"the process that reads it died of {signal.Signals(-code).name}"
        return f"the process that reads it ended with the code {code}, perhaps out of memory"

    @contextmanager
    def _hurry(self) -> Iterator[None]:
        """End the child if the body takes too long."""
        self._deadline = time.monotonic() + self._seconds
        try:
            yield
        finally:
            self._deadline = math.inf

    def _watch(self) -> None:
        while not self._over.wait(min(1.0, self._seconds / 4)):
            if time.monotonic() > self._deadline:
                self._late = True
                self._child.kill()
                return

    def _damaged(self, why: str) -> ModelFileError:
        return ModelFileError(f"{self.path} is damaged or no file of Keras: {why}")

    def _end(self) -> None:
        self._over.set()
        self._child.kill()
        for pipe in (self._child.stdin, self._child.stdout):
            with suppress(BrokenPipeError):
                self._pipe(pipe).close()
        self._child.wait()

    @staticmethod
    def _pipe(pipe: IO[bytes] | None) -> IO[bytes]:
        if pipe is None:
            raise RuntimeError("the process was started without pipes")
        return pipe


def write_hdf5(path: str | os.PathLike[str], attributes: Mapping[str, Texts], arrays: Mapping[str, np.ndarray]) -> None:
    """Write groups with attributes, and arrays, to an HDF5 file that old versions of HDF5 read too.

    Args:
        path: The file, see `atomic_write`.
        attributes: Dict from the path of each group ("" is the root's) to its attributes: texts and lists of texts. A
            list that is longer than HDF5's header is split over ``NAME0``, ``NAME1``, ... as Keras does it.
        arrays: Dict from path to array; the groups on the way are made.

    Raises:
        ImportError: If h5py isn't installed.
    """
    require_h5py()
    with atomic_write(path) as data:
        fill_hdf5(data, attributes, arrays)


def fill_hdf5(data: BinaryIO, attributes: Mapping[str, Texts], arrays: Mapping[str, np.ndarray]) -> None:
    """Write to an open file, which may be one in memory; see `write_hdf5`."""
    import h5py

    with h5py.File(data, "w", libver="earliest") as file:
        for place, values in attributes.items():
            group = file.require_group(place) if place else file
            for name, value in values.items():
                if isinstance(value, str):
                    group.attrs[name] = value.encode()
                else:
                    for part, names in _split(name, [text.encode() for text in value]):
                        group.attrs[part] = names
        for place, array in arrays.items():
            file.create_dataset(place, data=array)


_LONGEST_ATTRIBUTE = 64512  # bytes; HDF5 allows 64 KiB for all that describes an object


def _split(name: str, texts: list[bytes]) -> Iterator[tuple[str, np.ndarray]]:
    whole = np.array(texts)
    parts = [whole]
    while max(part.nbytes for part in parts) > _LONGEST_ATTRIBUTE and len(parts) < len(texts):
        parts = np.array_split(whole, len(parts) + 1)
    yield from ((f"{name}{i}" if len(parts) > 1 else name, part) for i, part in enumerate(parts))


def require_h5py() -> None:
    """Raise an ImportError if h5py isn't installed."""
    _folders()


def _folders() -> list[str]:
    """Where NumPy and h5py are, found without importing h5py."""
    specs = [importlib.util.find_spec(name) for name in ("numpy", "h5py")]
    if not all(spec and spec.origin for spec in specs):
        raise ImportError("HDF5 files need h5py: pip install 'minikeras[io]'")
    return sorted({os.fspath(Path(str(spec.origin)).parents[1]) for spec in specs if spec})


def _environment() -> dict[str, str]:
    """What a process needs to find its libraries, and what keeps libhdf5 from loading plugins."""
    kept = ("PATH", "SYSTEMROOT", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "LANG", "TMP", "TEMP")
    return {
        **{name: os.environ[name] for name in kept if name in os.environ},
        "HDF5_PLUGIN_PRELOAD": "::",
        "HDF5_USE_FILE_LOCKING": "FALSE",
        "OPENBLAS_NUM_THREADS": "1",
        "OMP_NUM_THREADS": "1",
    }


def _texts(values: Mapping[str, Any]) -> dict[str, Any]:
    for name, value in values.items():
        if not isinstance(value, str) and not (isinstance(value, list) and all(isinstance(v, str) for v in value)):
            raise TypeError(f"the attribute {name!r} is no text")
    return dict(values)

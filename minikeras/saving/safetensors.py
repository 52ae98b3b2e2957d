"""safetensors: the length of a header, the header in JSON, and the bytes of the arrays, one behind the other.

The format is Hugging Face's, https://github.com/huggingface/safetensors. Nothing in a file is taken on trust: its
header is read with limits, and arrays must lie side by side up to the last byte, each as long as its shape says, before
the first of them is read.
"""

from __future__ import annotations

import json
import math
import os
import struct
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, BinaryIO

import numpy as np

from .atomic import atomic_write
from .configurations import parse
from .errors import ModelFileError
from .matching import LayerWeights, Pairs, Shape, as_named, in_order

SUFFIX = ".safetensors"
LAYERS_KEY = "layers"  # of the metadata: the names of the layers in their order, which the tensors needn't have
_METADATA = "__metadata__"
_LENGTH = struct.Struct("<Q")
_LONGEST_HEADER = 2**24
_MOST_AXES = 32
_DTYPES = {
    "BOOL": "u1",
    "U8": "u1",
    "I8": "i1",
    "U16": "<u2",
    "I16": "<i2",
    "U32": "<u4",
    "I32": "<i4",
    "U64": "<u8",
    "I64": "<i8",
    "F16": "<f2",
    "F32": "<f4",
    "F64": "<f8",
    "BF16": "<u2",  # the upper half of a float32
}
_NAMES = {np.dtype(code): name for name, code in _DTYPES.items() if name not in ("BOOL", "BF16")}
_NAMES[np.dtype(bool)] = "BOOL"


def write_safetensors(
    path: str | os.PathLike[str], arrays: Mapping[str, np.ndarray], metadata: Mapping[str, str] | None = None
) -> None:
    """Write arrays to a file that the package ``safetensors`` reads.

    Args:
        path: The file, see `atomic_write`.
        arrays: By name; those of wider types come first in the file, so that each begins at a multiple of its own.
        metadata: Text by name, for the header.

    Raises:
        ValueError: If an array is of a type that the format doesn't have, or has the name of the metadata.
    """
    header: dict[str, Any] = {_METADATA: dict(metadata)} if metadata else {}
    stored = {name: _little(name, array) for name, array in arrays.items()}
    ordered = sorted(stored.items(), key=lambda item: -item[1].itemsize)
    end = 0
    for name, array in ordered:
        if name == _METADATA:
            raise ValueError(f"an array can't be called {_METADATA!r}, which is what the metadata is called")
        begin, end = end, end + array.nbytes
        header[name] = {"dtype": _NAMES[array.dtype], "shape": array.shape, "data_offsets": (begin, end)}
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with atomic_write(path) as file:
        file.write(_LENGTH.pack(len(text)) + text)
        for _, array in ordered:
            file.write(array.tobytes())


class SafetensorsReader:
    """An open file, used in a ``with`` statement.

    Args:
        path: The file.

    Attributes:
        path: The file.
        shapes: Dict from name to shape, in the order of the header.
        metadata: Text by name.

    Raises:
        FileNotFoundError: If there is no such file.
        ModelFileError: If it isn't a file of numeric arrays that fill it without gaps.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = os.fspath(path)
        self.shapes: dict[str, Shape] = {}
        self.metadata: dict[str, str] = {}
        self._places: dict[str, tuple[str, int, int]] = {}
        self._file: BinaryIO

    def __enter__(self) -> SafetensorsReader:
        self._file = open(self.path, "rb")
        try:
            with self._errors():
                self._read_header()
        except BaseException:
            self._file.close()
            raise
        return self

    def __exit__(self, *exception: object) -> None:
        self._file.close()

    def read(self, name: str) -> np.ndarray:
        """Return an array, BF16 as float32; the caller has checked that ``shapes[name]`` is a size it wants.

        Raises:
            ModelFileError: If the file has become shorter.
        """
        dtype, begin, end = self._places[name]
        with self._errors():
            self._file.seek(begin)
            data = self._file.read(end - begin)
            if len(data) != end - begin:
                raise ValueError(f"{name!r} is cut off")
        array = np.frombuffer(data, _DTYPES[dtype]).reshape(self.shapes[name])
        if dtype == "BF16":
            return (array.astype("<u4") << 16).view("<f4")
        return array != 0 if dtype == "BOOL" else array

    def _read_header(self) -> None:
        size = os.fstat(self._file.fileno()).st_size
        start = self._file.read(_LENGTH.size)
        if len(start) < _LENGTH.size:
            raise ValueError(f"it is only {size} bytes long")
        (length,) = _LENGTH.unpack(start)
        if length > min(_LONGEST_HEADER, size - _LENGTH.size):
            raise ValueError(f"its header should be {length} bytes long, of a file of {size}")
        header = parse(self._file.read(length))
        self.metadata = _checked_metadata(header.pop(_METADATA, {}))
        data = _LENGTH.size + length
        for name, entry in header.items():
            dtype, shape, begin, end = _checked_entry(name, entry)
            self.shapes[name] = shape
            self._places[name] = (dtype, data + begin, data + end)
        self._check_gaps(data, size)

    def _check_gaps(self, data: int, size: int) -> None:
        """The arrays must fill the file from the header to its end, each byte once."""
        expected = data
        for name, (_, begin, end) in sorted(self._places.items(), key=lambda item: item[1][1:]):
            if begin != expected:
                fault = "overlaps with another" if begin < expected else "has a gap before it"
                raise ValueError(f"{name!r} {fault}: it begins at {begin - data} instead of {expected - data}")
            expected = end
        if expected != size:
            raise ValueError(f"its arrays end at byte {expected}, the file at {size}")

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except (ValueError, OSError, RecursionError) as error:
            raise ModelFileError(f"{self.path} is damaged or not a .safetensors file: {error}") from error


class SafetensorsWeights:
    """The weights in an open file, under the names "layer/weight"; see `WeightsFile`.

    Args:
        reader: The file.
    """

    def __init__(self, reader: SafetensorsReader) -> None:
        self.path = reader.path
        self.layers: dict[str, dict[str, Shape]] = {}
        self._reader = reader
        self._keys: dict[tuple[str, str], str] = {}
        for key, shape in reader.shapes.items():
            layer, _, name = key.rpartition("/")
            if (layer, name) in self._keys:
                raise ModelFileError(f"{self.path} holds both {self._keys[layer, name]!r} and {key!r}")
            self._keys[layer, name] = key
            self.layers.setdefault(layer, {})[name] = shape
        order = _names_in(reader.metadata.get(LAYERS_KEY, ""))
        self._ordered = sorted(order) == sorted(self.layers)
        if self._ordered:
            self.layers = {layer: self.layers[layer] for layer in order}

    def pairs(self, layers: Sequence[LayerWeights]) -> Pairs:
        """Layers go together in order, or by names where the file doesn't say the order."""
        if self._ordered:
            return in_order(self, layers)
        if "" in self.layers:
            raise ModelFileError(
                f"{self.path} holds tensors whose names don't say a layer, as 'layer/weight' does: "
                f"{', '.join(map(repr, list(self.layers[''])[:5]))}. If these are PyTorch's, "
                "models.from_torch_state_dict(model, safetensors.numpy.load_file(path)) reads them"
            )
        return as_named(self, layers)

    def names(self, own: LayerWeights, layer: str) -> dict[str, str]:
        """Return what the weights are called in the file: the same."""
        return {name: name for name in own.names}

    def read(self, layer: str, name: str) -> np.ndarray:
        """Return a weight."""
        return self._reader.read(self._keys[layer, name])


@contextmanager
def open_weights(path: str | os.PathLike[str]) -> Iterator[SafetensorsWeights]:
    """Open a file of weights.

    Raises:
        FileNotFoundError: If there is no such file.
        ModelFileError: If it is damaged.
    """
    with SafetensorsReader(path) as reader:
        yield SafetensorsWeights(reader)


def is_safetensors(start: bytes) -> bool:
    """Whether a file that begins with these nine bytes may be one: a header's length below 16 MiB, and the header."""
    return start[3:9] == b"\0\0\0\0\0{"


def _little(name: str, array: np.ndarray) -> np.ndarray:
    found = np.ascontiguousarray(array).reshape(np.shape(array))
    found = found.astype(found.dtype.newbyteorder("<"), copy=False)
    if found.dtype not in _NAMES:
        raise ValueError(f"a .safetensors file can't hold {name!r}, which is of the type {array.dtype}")
    return found


def _checked_metadata(metadata: Any) -> dict[str, str]:
    if not isinstance(metadata, dict) or not all(isinstance(text, str) for text in metadata.values()):
        raise ValueError(f"{_METADATA} must hold text by name. Received: {metadata!r:.100}")
    return metadata


def _checked_entry(name: str, entry: Any) -> tuple[str, Shape, int, int]:
    """The type, the shape and the place of an array, as its entry in the header says."""
    if not isinstance(entry, dict) or set(entry) != {"dtype", "shape", "data_offsets"}:
        raise ValueError(f"{name!r} must have a dtype, a shape and data_offsets. Received: {entry!r:.100}")
    dtype, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
    if not isinstance(dtype, str) or dtype not in _DTYPES:
        raise ValueError(f"{name!r}: its dtype must be one of {', '.join(_DTYPES)}. Received: {dtype!r:.100}")
    if not _are_sizes(shape) or len(shape) > _MOST_AXES:
        raise ValueError(f"{name!r}: its shape must be a list of sizes. Received: {shape!r:.100}")
    if not _are_sizes(offsets) or len(offsets) != 2:
        raise ValueError(f"{name!r}: its data_offsets must be a pair of them. Received: {offsets!r:.100}")
    begin, end = offsets
    size = math.prod(shape) * np.dtype(_DTYPES[dtype]).itemsize
    if end - begin != size:
        raise ValueError(f"{name!r}: {shape} of {dtype} takes {size} bytes, and its place has {end - begin}")
    return dtype, tuple(shape), begin, end


def _are_sizes(value: Any) -> bool:
    return isinstance(value, list) and all(type(item) is int and 0 <= item < 2**63 for item in value)


def _names_in(text: str) -> list[str]:
    """The names in a list in JSON; none, if it is something else."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return []
    return found if isinstance(found, list) and all(isinstance(name, str) for name in found) else []

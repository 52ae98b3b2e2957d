"""A whole model in one ``.npz`` file: a description in JSON, weights, and the state of the optimizer."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from .matching import LayerWeights, match
from .npz import ModelFileError, NpzReader, write_npz
from .weights import MODEL_KEY, MODEL_PREFIX, NpzWeights, by_name

_FORMAT = 1
_OPTIMIZER_PREFIX = "optimizer/"
_LONGEST_DESCRIPTION = 2**28


def save_model(
    path: str | os.PathLike[str],
    description: Mapping[str, Any],
    layers: Sequence[LayerWeights],
    optimizer: Sequence[np.ndarray] = (),
) -> None:
    """Write a model.

    Args:
        path: The file.
        description: What JSON can hold.
        layers: What `describe_weights` gives.
        optimizer: The state of the optimizer.
    """
    text = json.dumps({"format": _FORMAT, **description}, default=_as_json)
    arrays = {MODEL_KEY: np.frombuffer(text.encode(), np.uint8), **by_name(layers, MODEL_PREFIX)}
    write_npz(path, arrays | {f"{_OPTIMIZER_PREFIX}{i}": array for i, array in enumerate(optimizer)})


@dataclass(frozen=True)
class ModelFile:
    """An open file of a model.

    Attributes:
        description: What `save_model` was given.
    """

    description: dict[str, Any]
    _reader: NpzReader

    def read_weights(self, layers: Sequence[LayerWeights]) -> list[np.ndarray | None]:
        """The weights for these layers, in order; see `saving.load_weights`."""
        return match(NpzWeights(self._reader, MODEL_PREFIX), layers)

    def read_optimizer(self, shapes: Sequence[tuple[int, ...]]) -> list[np.ndarray]:
        """The state of the optimizer, if it consists of arrays of these shapes.

        Raises:
            ModelFileError: If it doesn't, or the file is damaged.
        """
        found = {name: shape for name, shape in self._reader.shapes.items() if name.startswith(_OPTIMIZER_PREFIX)}
        if found != {f"{_OPTIMIZER_PREFIX}{i}": shape for i, shape in enumerate(shapes)}:
            raise ModelFileError(
                f"{self._reader.path} doesn't hold the state of its optimizer: expected arrays of the shapes "
                f"{list(shapes)}. Received: {list(found.values())}"
            )
        return [self._reader.read(name) for name in found]


@contextmanager
def open_model(path: str | os.PathLike[str]) -> Iterator[ModelFile]:
    """Open a file that `save_model` has written.

    Raises:
        FileNotFoundError: If there is no such file.
        ModelFileError: If it is damaged, of a newer format, or holds weights only.
    """
    with NpzReader(path) as reader:
        yield ModelFile(_description(reader), reader)


def _description(reader: NpzReader) -> dict[str, Any]:
    shape = reader.shapes.get(MODEL_KEY)
    if shape is None:
        raise ModelFileError(
            f"{reader.path} holds no model, only arrays {list(reader.shapes)[:3]}. A file of save_weights is read by "
            "model.load_weights"
        )
    if len(shape) != 1 or shape[0] > _LONGEST_DESCRIPTION:
        raise ModelFileError(f"{reader.path} is damaged: its description has the shape {shape}")
    try:
        description = json.loads(reader.read(MODEL_KEY).tobytes())
        version = description["format"]
    except (ValueError, TypeError, LookupError, RecursionError) as error:
        raise ModelFileError(f"{reader.path} is damaged: its description can't be read: {error}") from error
    if version != _FORMAT:
        raise ModelFileError(f"{reader.path} has the format {version!r}; this version of minikeras reads {_FORMAT}")
    return description


def _as_json(value: Any) -> Any:
    """NumPy's numbers and arrays, which layers may have in their configurations, as Python's."""
    if isinstance(value, (np.generic, np.ndarray)):
        return value.tolist()
    raise TypeError(f"a model's configuration must consist of plain values. Received: {value!r}")

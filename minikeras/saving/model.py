"""A whole model in one file: a description in JSON, weights, and the state of the optimizer."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from . import keras2, keras2_config, keras3, keras3_weights
from .configurations import dicts, parse, text_of, values
from .errors import A_TRAINING, WEIGHTS_ALONE, WITHOUT_TRAINING, NoModelError
from .hdf5 import MAGIC, Hdf5Reader, write_hdf5
from .keras3_optimizers import State
from .matching import LayerWeights, WeightsFile, match
from .npz import ModelFileError, NpzReader, beginning, refuse_other_formats, write_npz
from .safetensors import is_safetensors
from .sharing import unite
from .states import is_state
from .weights import MODEL_KEY, MODEL_PREFIX, NpzWeights, by_name, is_hdf5

MOST_LAYERS = 4000  # the largest networks of keras.applications have about a thousand
MOST_ARGUMENTS = 2000
_FORMAT = 1
_OPTIMIZER_PREFIX = "optimizer/"
_LONGEST_DESCRIPTION = 2**24


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
    if os.fspath(path).endswith(keras3.SUFFIX):
        keras3.write_model(path, description, layers, optimizer)
        return
    if is_hdf5(path):
        write_hdf5(path, *keras2_config.content(description, layers, optimizer))
        return
    text = text_of({"format": _FORMAT, **description})
    arrays = {MODEL_KEY: np.frombuffer(text.encode(), np.uint8), **by_name(layers, MODEL_PREFIX)}
    write_npz(path, arrays | {f"{_OPTIMIZER_PREFIX}{i}": array for i, array in enumerate(optimizer)})


@dataclass(frozen=True)
class ModelFile:
    """An open file of a model.

    Attributes:
        description: What `save_model` was given.
        weights: The weights.
        state: The shapes of the arrays of the optimizer's state.
        elements: How many numbers the weights may have at most.
        layout: How the state is kept, if not as the optimizer's `get_weights` gives it.
        united: Names of layers that the file describes several times, and that are taken for one each.
    """

    description: dict[str, Any]
    weights: WeightsFile
    state: list[tuple[int, ...]]
    elements: int
    _read_state: Callable[[int], np.ndarray]
    layout: State | None = None
    united: Sequence[str] = ()

    def __post_init__(self) -> None:
        listed = [found["layers"] for found in dicts(self.description.get("model")) if "layers" in found]
        count = sum(len(layers) for layers in listed if isinstance(layers, list))
        if count > MOST_LAYERS:
            raise ModelFileError(f"{self.weights.path}: it describes {count} layers; {MOST_LAYERS} are the most")
        if sum(1 for _ in values(self.description.get("training"))) > MOST_ARGUMENTS:
            raise ModelFileError(f"{self.weights.path}: the arguments of compile are more than {MOST_ARGUMENTS} values")

    @property
    def always_has_state(self) -> bool:
        """Whether its writer keeps a state before the first step too: Keras 3, and tf.keras since 2.11."""
        return self.layout is not None and not self.layout.legacy

    def read_weights(self, layers: Sequence[LayerWeights]) -> list[np.ndarray | None]:
        """The weights for these layers, in order; see `saving.load_weights`."""
        return match(self.weights, layers)

    def read_optimizer(self, shapes: Sequence[tuple[int, ...]]) -> list[np.ndarray]:
        """The state of the optimizer, if it consists of arrays of these shapes.

        Raises:
            ModelFileError: If it doesn't, or the file is damaged.
        """
        order: list[int | None] | None = list(range(len(shapes))) if self.state == [*shapes] else None
        if self.state == _without_largest(shapes):
            order = [*range(len(self.state)), *[None] * (len(shapes) - len(self.state))]
        if self.layout is not None:
            order = self.layout.order(self.state, shapes)
        if order is None:
            raise ModelFileError(
                f"{self.weights.path} doesn't hold the state of its optimizer: expected arrays of the shapes "
                f"{list(shapes)}. Received: {self.state}. {WITHOUT_TRAINING}"
            )
        return [
            np.zeros(shape) if index is None else self._read_state(index)
            for index, shape in zip(order, shapes, strict=True)
        ]


def open_model(path: str | os.PathLike[str]) -> AbstractContextManager[ModelFile]:
    """Open a file of a model, in the format that its first bytes say.

    Raises:
        FileNotFoundError: If there is no such file.
        ModelFileError: If it is damaged, of a newer format, or holds weights only.
        ImportError: If it takes h5py, which isn't installed.
    """
    start = beginning(path)
    if is_safetensors(start):
        raise NoModelError(f"{os.fspath(path)} holds no model, only weights. {WEIGHTS_ALONE}")
    if start.startswith(MAGIC):
        return _open_keras2(path)
    refuse_other_formats(path, start)
    return _open_keras3(path) if start.startswith(b"PK") and keras3.is_keras3(path) else _open_npz(path)


@contextmanager
def _open_npz(path: str | os.PathLike[str]) -> Iterator[ModelFile]:
    with NpzReader(path) as reader:
        state = [name for name in reader.shapes if name.startswith(_OPTIMIZER_PREFIX)]
        if state != [f"{_OPTIMIZER_PREFIX}{i}" for i in range(len(state))]:
            raise ModelFileError(f"{reader.path} doesn't hold the state of its optimizer, but {state[:5]}")
        yield ModelFile(
            _description(reader),
            NpzWeights(reader, MODEL_PREFIX),
            [reader.shapes[name] for name in state],
            16 * os.path.getsize(path),
            lambda index: reader.read(state[index]),
        )


@contextmanager
def _open_keras2(path: str | os.PathLike[str]) -> Iterator[ModelFile]:
    """Open an HDF5 file of a model in Keras 2's layout; see `open_model`."""
    with Hdf5Reader(path) as reader:
        description = keras2_config.read(reader)
        layout = description.pop("state")
        state = _readable(description, lambda: keras2.state_names(reader))
        weights = keras2.Keras2Weights(reader)
        own = keras2_config.OWN in reader.attributes[""]
        united = [] if own else unite(description["model"], weights.is_one)
        yield ModelFile(
            description,
            weights,
            _kept_state(description, layout, state, reader),
            _elements(weights),
            lambda index: reader.read(state[index]),
            layout,
            united,
        )


@contextmanager
def _open_keras3(path: str | os.PathLike[str]) -> Iterator[ModelFile]:
    """Open a ``.keras`` file; see `open_model`."""
    with keras3.open_archive(path) as archive:
        description, layout = keras3.read_description(archive)
        with keras3.weights_reader(archive) as reader:
            state = _readable(description, lambda: keras3_weights.state_paths(reader))
            weights = keras3_weights.Keras3Weights(reader)
            yield ModelFile(
                description,
                weights,
                _kept_state(description, layout, state, reader),
                _elements(weights),
                lambda index: reader.read(state[index]),
                layout,
            )


def _readable(description: dict[str, Any], list_state: Callable[[], list[str]]) -> list[str]:
    """The paths of the optimizer's state; if they can't be told, the rest can still be read."""
    try:
        return list_state()
    except ValueError as error:
        description["unreadable"] = str(error)
        return []


def _kept_state(
    description: dict[str, Any], layout: State | None, paths: Sequence[str], reader: Hdf5Reader
) -> list[tuple[int, ...]]:
    """The shapes of the optimizer's state; of Keras 3's its count of steps goes to the description."""
    shapes = [reader.shapes[path] for path in paths]
    training = description["training"]
    if layout is None or not training or training.get("iterations") is not None:
        return shapes
    if shapes[:1] == [()]:
        training["iterations"] = reader.read(paths[0]).item()
    return shapes if any(shapes) else []  # before the first step there is nothing but the count and the rate


def _without_largest(shapes: Sequence[tuple[int, ...]]) -> list[tuple[int, ...]] | None:
    """Adam's state before Keras 2.1.3, which had no amsgrad: count, means and squares; None for other optimizers."""
    number = (len(shapes) - 1) // 3
    plain = number > 0 and len(shapes) == 1 + 3 * number and [*shapes[-number:]] == [(1,)] * number
    return [*shapes[:-number]] if plain else None


def _elements(weights: WeightsFile) -> int:
    return sum(math.prod(shape) for layer in weights.layers.values() for shape in layer.values())


def _description(reader: NpzReader) -> dict[str, Any]:
    shape = reader.shapes.get(MODEL_KEY)
    if shape is None and is_state(reader):
        raise NoModelError(f"{reader.path} {A_TRAINING}")
    if shape is None:
        raise NoModelError(f"{reader.path} holds no model, only arrays {list(reader.shapes)[:3]}. {WEIGHTS_ALONE}")
    if len(shape) != 1 or shape[0] > _LONGEST_DESCRIPTION:
        raise ModelFileError(f"{reader.path} is damaged: its description has the shape {shape}")
    try:
        description = parse(reader.read(MODEL_KEY).tobytes())
        version = description["format"]
    except (ValueError, TypeError, LookupError, RecursionError) as error:
        raise ModelFileError(f"{reader.path} is damaged: its description can't be read: {error}") from error
    if version != _FORMAT:
        raise ModelFileError(f"{reader.path} has the format {version!r}; this version of minikeras reads {_FORMAT}")
    return description

"""The weights of layers in one file: ``.npz``, HDF5, ``.safetensors``, or a ``.keras`` archive."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager

import numpy as np

from .. import checks
from ..core.tensor import Parameter
from ..layers.base import Layer
from . import keras1, keras2, keras3, keras3_weights, safetensors
from .errors import A_TRAINING, ModelFileError
from .hdf5 import MAGIC, Hdf5Reader, require_h5py, write_hdf5
from .keras3_places import places
from .matching import LayerWeights, Pairs, WeightsFile, in_order, match
from .npz import NpzReader, beginning, refuse_other_formats, write_npz
from .states import is_state

# A file of a whole model has a member of this name, and its weights under this prefix.
MODEL_KEY = "model"
MODEL_PREFIX = "weights/"
HDF5_SUFFIXES = (".h5", ".hdf5")
KERAS3_SUFFIX = ".weights.h5"


def describe_weights(layers: Iterable[Layer]) -> list[LayerWeights]:
    """The weights of the layers that have any.

    A weight is called "kernel", "bias", ... within its layer; where a layer of layers has several of a name, they are
    numbered: "kernel", "kernel_2".
    """
    layers = list(layers)
    found = places(layers)
    return [
        LayerWeights(
            layer.name,
            _names(layer),
            [weight.numpy() for weight in layer.weights],
            [weight.name or "weight" for weight in layer.weights],
            _keras_order(layer),
            [found[id(weight)] for weight in layer.weights],
            _old_kernels(layer),
        )
        for layer in layers
        if layer.weights
    ]


def check_path(path: str | os.PathLike[str], use: str, overwrite: bool = True, weights: bool = False) -> None:
    """Refuse a path that can't be saved to.

    Args:
        path: The file.
        use: Who saves, for the message.
        overwrite: Whether a file may be there.
        weights: Whether a file that holds weights only will do.

    Raises:
        TypeError: If it is no path.
        ValueError: If the path doesn't end in ``.npz``, ``.keras``, ``.h5`` or ``.hdf5``; or, for weights,
            ``.safetensors``.
        FileExistsError: If a file is there that must not be replaced.
        ImportError: If the file needs h5py, which isn't installed.
    """
    checks.path(use, "filepath", path)
    checks.flag(use, "overwrite", overwrite)
    if holds_weights_only(path):
        if not weights:
            raise ValueError(
                f"{use} writes whole models, and a .safetensors file holds weights only: model.save_weights writes it. "
                f"Received: {os.fspath(path)!r}"
            )
    elif not os.fspath(path).endswith((".npz", keras3.SUFFIX, *HDF5_SUFFIXES)):
        others = "; for weights only also in '.safetensors'" if weights else ""
        raise ValueError(
            f"{use} writes .npz files, Keras 3's .keras and Keras 2's .h5 files: the path must end in '.npz', "
            f"'.keras', '.h5' or '.hdf5'{others}. Received: {os.fspath(path)!r}"
        )
    if is_hdf5(path) or os.fspath(path).endswith(keras3.SUFFIX):
        require_h5py()
    if not overwrite and os.path.exists(path):
        raise FileExistsError(f"{os.fspath(path)!r} is there already, and overwrite is False")


def check_weights_path(path: str | os.PathLike[str], use: str, overwrite: bool = True) -> None:
    """Refuse a path that weights alone can't be saved to; as `check_path`, and ``.keras`` too."""
    checks.path(use, "filepath", path)
    if os.fspath(path).endswith(keras3.SUFFIX):
        raise ValueError(
            f"{use}: a .keras file holds a whole model: model.save writes it. Keras 3's weights alone go to a "
            f"file that ends in '.weights.h5'. Received: {os.fspath(path)!r}"
        )
    check_path(path, use, overwrite, weights=True)


def holds_weights_only(path: str | os.PathLike[str]) -> bool:
    """Whether a file of this name is of a format that has no place for an architecture."""
    return os.fspath(path).endswith(safetensors.SUFFIX)


def is_for_weights(path: str | os.PathLike[str]) -> bool:
    """Whether the name of a file says that it is for weights only."""
    return os.fspath(path).endswith((safetensors.SUFFIX, KERAS3_SUFFIX))


def is_hdf5(path: str | os.PathLike[str]) -> bool:
    """Whether a file of this name is to be an HDF5 file."""
    return os.fspath(path).endswith(HDF5_SUFFIXES)


def save_weights(path: str | os.PathLike[str], layers: Sequence[LayerWeights], overwrite: bool = True) -> None:
    """Write weights: to ``.npz`` and ``.safetensors`` under the names "layer/weight", to HDF5 as Keras does.

    A path that ends in ``.weights.h5`` gets Keras 3's layout, another one that ends in ``.h5`` or ``.hdf5`` Keras 2's.

    Args:
        path: Ends in ``.npz``, ``.weights.h5``, ``.h5``, ``.hdf5`` or ``.safetensors``.
        layers: What `describe_weights` gives.
        overwrite: Whether to replace a file that is there.

    Raises:
        ValueError: If the path has another suffix.
        FileExistsError: If a file is there that must not be replaced.
    """
    check_weights_path(path, "save_weights", overwrite)
    if os.fspath(path).endswith(KERAS3_SUFFIX):
        write_hdf5(path, *keras3_weights.weights_content(layers))
    elif is_hdf5(path):
        write_hdf5(path, *keras2.weights_content(layers))
    elif holds_weights_only(path):
        order = json.dumps([layer.layer for layer in layers])
        safetensors.write_safetensors(path, by_name(layers), {"format": "np", safetensors.LAYERS_KEY: order})
    else:
        write_npz(path, by_name(layers))


def by_name(layers: Iterable[LayerWeights], prefix: str = "") -> dict[str, np.ndarray]:
    """The arrays under the names "layer/weight", with a prefix."""
    return {
        f"{prefix}{layer.layer}/{name}": array
        for layer in layers
        for name, array in zip(layer.names, layer.arrays, strict=True)
    }


def load_weights(
    path: str | os.PathLike[str],
    layers: Sequence[LayerWeights],
    by_name: bool = False,
    skip_mismatch: bool = False,
    reshape: bool = False,
) -> list[np.ndarray | None]:
    """Read the weights for these layers, all of them before the first is given back.

    Layers are matched in order, as their automatic names differ from run to run, unless ``by_name`` says otherwise;
    within them names of weights and shapes must agree.

    Args:
        path: The file; also one of a whole model.
        layers: What `describe_weights` gives for the model they are for.
        by_name: As for `match`.
        skip_mismatch: As for `match`.
        reshape: As for `match`.

    Returns:
        The arrays, in the order of the layers and their weights; None for a weight that keeps its value.

    Raises:
        FileNotFoundError: If there is no such file.
        ModelFileError: If the file is damaged, or holds other weights: a table says which.
    """
    with open_weights(path) as file:
        return match(file, layers, by_name, skip_mismatch, reshape)


def open_weights(path: str | os.PathLike[str]) -> AbstractContextManager[WeightsFile]:
    """Open a file of weights, in the format that its first bytes say.

    Args:
        path: The file.

    Raises:
        FileNotFoundError: If there is no such file.
        ModelFileError: If it is damaged.
    """
    start = beginning(path)
    if safetensors.is_safetensors(start):
        return safetensors.open_weights(path)
    for magic, opener in _FORMATS.items():
        if start.startswith(magic):
            return opener(path)
    refuse_other_formats(path, start)
    return open_npz(path)


@contextmanager
def open_npz(path: str | os.PathLike[str]) -> Iterator[WeightsFile]:
    """Open an ``.npz`` file of weights or of a whole model; see `open_weights`."""
    with NpzReader(path) as reader:
        if is_state(reader):
            raise ModelFileError(f"{reader.path} {A_TRAINING}")
        yield NpzWeights(reader, MODEL_PREFIX if MODEL_KEY in reader.shapes else "")


def open_zip(path: str | os.PathLike[str]) -> AbstractContextManager[WeightsFile]:
    """Open an ``.npz`` or ``.keras`` file of weights or of a whole model; see `open_weights`."""
    return _open_keras3(path) if keras3.is_keras3(path) else open_npz(path)


@contextmanager
def _open_keras3(path: str | os.PathLike[str]) -> Iterator[WeightsFile]:
    with keras3.open_archive(path) as archive, keras3.weights_reader(archive) as reader:
        yield keras3_weights.Keras3Weights(reader)


@contextmanager
def open_hdf5(path: str | os.PathLike[str]) -> Iterator[WeightsFile]:
    """Open an HDF5 file of weights or of a whole model, in the layout of Keras 2 or 3; see `open_weights`."""
    with Hdf5Reader(path) as reader:
        yield keras3_weights.Keras3Weights(reader) if keras3_weights.is_keras3(reader) else keras2.Keras2Weights(reader)


# Formats by their first bytes; an .npz file that begins otherwise is damaged.
_FORMATS: dict[bytes, Callable[[str | os.PathLike[str]], AbstractContextManager[WeightsFile]]] = {
    b"PK": open_zip,
    MAGIC: open_hdf5,
}


class NpzWeights:
    """The weights in an open archive, whose names begin with a prefix; see `WeightsFile`.

    Args:
        reader: The archive.
        prefix: "" for a file of weights, `MODEL_PREFIX` for one of a model.
    """

    def __init__(self, reader: NpzReader, prefix: str = "") -> None:
        self.path = reader.path
        self.layers: dict[str, dict[str, tuple[int, ...]]] = {}
        self._reader = reader
        self._keys: dict[tuple[str, str], str] = {}
        for key, shape in reader.shapes.items():
            if key.startswith(prefix):
                layer, _, name = key.removeprefix(prefix).rpartition("/")
                if (layer, name) in self._keys:
                    raise ModelFileError(f"{self.path} holds both {self._keys[layer, name]!r} and {key!r}")
                self._keys[layer, name] = key
                self.layers.setdefault(layer, {})[name] = shape

    def pairs(self, layers: Sequence[LayerWeights]) -> Pairs:
        """Layers go together in order."""
        return in_order(self, layers)

    def names(self, own: LayerWeights, layer: str) -> dict[str, str]:
        """Return what the weights are called in the file: the same."""
        return {name: name for name in own.names}

    def read(self, layer: str, name: str) -> np.ndarray:
        """Return a weight."""
        return self._reader.read(self._keys[layer, name])


def _names(layer: Layer) -> list[str]:
    seen: Counter[str] = Counter()
    names = []
    for weight in layer.weights:
        name = (weight.name or "weight").rpartition("/")[2]
        seen[name] += 1
        names.append(name if seen[name] == 1 else f"{name}_{seen[name]}")
    return names


def _old_kernels(layer: Layer) -> dict[str, keras1.Kernel]:
    """How Keras 1 stored the kernels of a layer and of those inside of it."""
    names = dict(zip(map(id, layer.weights), _names(layer), strict=True))
    inside = [(inner._trainable_weights + inner._non_trainable_weights, inner) for inner in layer._flatten()]
    found = {names[id(weights[0])]: keras1.kernel_of(inner) for weights, inner in inside if weights}
    return {name: kernel for name, kernel in found.items() if kernel is not None}


def _keras_order(layer: Layer) -> list[int]:
    """The places of the weights of a layer in the order of Keras's ``layer.weights``."""
    places = {id(weight): place for place, weight in enumerate(layer.weights)}
    return [places[key] for key in dict.fromkeys(id(weight) for part in _keras_weights(layer) for weight in part)]


def _keras_weights(layer: Layer) -> tuple[list[Parameter], list[Parameter]]:
    """The weights that train and the others, as Keras 2 lists them: what is frozen goes to the others as it stands."""
    trained, others = list(layer._trainable_weights), list(layer._non_trainable_weights)
    for inner in layer._sublayers():
        its = _keras_weights(inner)
        trained += its[0]
        others += its[1]
    return (trained, others) if layer.trainable else ([], trained + others)

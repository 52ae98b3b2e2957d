"""Keras 2's layout of HDF5 files: which groups and attributes hold weights, configurations and the optimizer's state.

The layout is that of Keras 2.2.4, which tf.keras and Keras 3 (for files that end in ``.h5``) have kept:

* ``model_config`` and ``training_config`` at the root are JSON; a file of weights has neither;
* the group ``model_weights`` (the root, in a file of weights) names its layers in ``layer_names``, each layer's group
  its arrays in ``weight_names``; a list too long for one attribute is split over ``layer_names0``, ``layer_names1``;
* ``optimizer_weights`` names the arrays of the optimizer's state in its ``weight_names``.

minikeras adds the attribute ``minikeras``, JSON with what Keras doesn't keep: random streams and the count of steps.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping, Sequence
from functools import cached_property

import numpy as np

from .hdf5 import Hdf5Reader
from .keras1 import Kernel
from .matching import LayerWeights, Pairs, in_order
from .npz import ModelFileError

VERSION = "2.2.4"
Attributes = dict[str, "str | list[str]"]
_MODEL = "model_weights"
_OPTIMIZER = "optimizer_weights"

# ---------------------------------------------------------------------- reading


class Keras2Weights:
    """The weights in an open file; see `WeightsFile`.

    Args:
        reader: The file.

    Raises:
        ModelFileError: If it holds no weights in Keras's layout.
    """

    def __init__(self, reader: Hdf5Reader) -> None:
        self.path = reader.path
        self.layers: dict[str, dict[str, tuple[int, ...]]] = {}
        self._reader = reader
        self._place = "" if listed(reader, "", "layer_names") is not None else _MODEL
        names = listed(reader, self._place, "layer_names")
        if names is None:
            raise ModelFileError(
                f"{self.path} holds no weights in Keras 2's layout: its groups are {sorted(reader.attributes)[:5]}, "
                "and none has layer_names"
            )
        for layer in names:
            weights = listed(reader, _join(self._place, layer), "weight_names") or []
            if layer in self.layers or len({*weights}) < len(weights):
                raise ModelFileError(f"{self.path} is damaged: the layer {layer!r} or a weight of it is there twice")
            if weights:
                self.layers[layer] = {name: self._shape(layer, name) for name in weights}
        self._of_keras1 = version_of(reader).startswith("1")
        self._kernels: dict[tuple[str, str], Kernel] = {}  # that stand otherwise, by layer and name
        self._refuse_theano()

    def pairs(self, layers: Sequence[LayerWeights]) -> Pairs:
        """Layers go together in order."""
        return in_order(self, layers)

    def names(self, own: LayerWeights, layer: str) -> dict[str, str]:
        """What the layer's weights are called in the file.

        By their full names where these are the same in the file; else by their place in Keras's order, as in Keras.
        Of weights that are frozen one by one the order depends on what was frozen when the file was written.
        """
        keys = list(self.layers[layer])
        by_path = {key.removesuffix(":0"): key for key in keys}
        if sorted(by_path) == sorted(own.paths):
            return {name: by_path[path] for name, path in zip(own.names, own.paths, strict=True)}
        ordered = [own.names[place] for place in own.keras_order]
        found = dict(itertools.zip_longest(ordered, keys[: len(ordered)], fillvalue=""))
        if self._of_keras1:
            self._turn({found[name]: kernel for name, kernel in own.old_kernels.items() if found[name]}, layer)
        return {name: found[name] for name in own.names}

    def read(self, layer: str, name: str) -> np.ndarray:
        """Return a weight."""
        array = self._reader.read(_join(self._place, layer, name))
        kernel = self._kernels.get((layer, name))
        return array if kernel is None else kernel.turned(array)

    def _turn(self, kernels: Mapping[str, Kernel], layer: str) -> None:
        """Have kernels of a layer in today's order."""
        for name, kernel in kernels.items():
            self._kernels[layer, name] = kernel
            self.layers[layer][name] = kernel.shape(self._shape(layer, name))

    def is_one(self, name: str) -> bool:
        """Whether the layers of this name, in several models or wrappers, have one set of weights.

        Keras writes a layer's weights wherever it is part of another one, under the full names that they have once.
        """
        own = self.layers.get(name)
        paths = [*own] if own else self._paths.get(name, [])
        if own and any(len(self._holders[path]) == 1 for path in paths):
            return False
        if not paths or len({path.rpartition("/")[2] for path in paths}) < len(paths):
            return False
        return all(
            np.array_equal(self.read(self._holders[path][0], path), self.read(layer, path))
            for path in paths
            for layer in self._holders[path][1:]
        )

    @cached_property
    def _holders(self) -> dict[str, list[str]]:
        """From the full name of a weight to the layers of the file that have it."""
        found: dict[str, list[str]] = {}
        for layer, held in self.layers.items():
            for path in held:
                found.setdefault(path, []).append(layer)
        return found

    @cached_property
    def _paths(self) -> dict[str, list[str]]:
        """From the name of a layer, also one inside of others, to the full names of its weights."""
        found: dict[str, list[str]] = {}
        for path in self._holders:
            found.setdefault(path.rpartition("/")[0].rpartition("/")[2], []).append(path)
        return found

    def _shape(self, layer: str, name: str) -> tuple[int, ...]:
        place = _join(self._place, layer, name)
        if place not in self._reader.shapes:
            raise ModelFileError(f"{self.path} is damaged: it names the weight {place!r}, which isn't there")
        return self._reader.shapes[place]

    def _refuse_theano(self) -> None:
        """Theano's convolutions run through the kernel backwards."""
        kernels = [name for weights in self.layers.values() for name, shape in weights.items() if len(shape) > 2]
        if kernels and self._reader.attributes.get(self._place, {}).get("backend") == "theano":
            raise ModelFileError(
                f"{self.path} was written by Keras on Theano, which stores the kernels of convolutions backwards: "
                f"{kernels[0]!r} and {len(kernels) - 1} more. By h5py, turn around their axes of space "
                "(kernel[::-1, ::-1]) and set the attribute backend to 'tensorflow'"
            )


def version_of(reader: Hdf5Reader) -> str:
    """The version of Keras that wrote a file; Keras 1 didn't always say it."""
    version = reader.attributes[""].get("keras_version", "1")
    return version if isinstance(version, str) else "1"


def state_names(reader: Hdf5Reader) -> list[str]:
    """The paths of the arrays of the optimizer's state, in order.

    Raises:
        ValueError: If one isn't there.
    """
    paths = [_join(_OPTIMIZER, name) for name in listed(reader, _OPTIMIZER, "weight_names") or []]
    if missing := [path for path in paths if path not in reader.shapes]:
        raise ValueError(f"it names the array {missing[0]!r}, which isn't there")
    return paths


def listed(reader: Hdf5Reader, group: str, name: str) -> list[str] | None:
    """A list of names among the attributes of a group, put together from its parts; None if it isn't there."""
    attributes = reader.attributes.get(group, {})
    parts = [attributes[name]] if name in attributes else []
    parts += itertools.takewhile(
        lambda part: part is not None, (attributes.get(f"{name}{i}") for i in range(len(attributes)))
    )
    if any(isinstance(part, str) for part in parts):
        raise ModelFileError(f"{reader.path} is damaged: {name} of the group {group!r} is no list")
    return list(itertools.chain.from_iterable(parts)) if parts else None


def _join(*parts: str) -> str:
    """A path in the form that `Hdf5Reader` has them in."""
    return "/".join(part for part in "/".join(parts).split("/") if part not in ("", "."))


# ---------------------------------------------------------------------- writing


def weights_content(
    layers: Sequence[LayerWeights], place: str = ""
) -> tuple[dict[str, Attributes], dict[str, np.ndarray]]:
    """The attributes and arrays of a file of weights, for `write_hdf5`.

    Args:
        layers: What `describe_weights` gives.
        place: The group that they are in.
    """
    attributes: dict[str, Attributes] = {
        place: {"layer_names": [layer.layer for layer in layers], "backend": "tensorflow", "keras_version": VERSION}
    }
    arrays = {}
    for layer in layers:
        unique = len({*layer.paths}) == len(layer.paths)
        paths = layer.paths if unique else [f"{layer.layer}/{name}" for name in layer.names]
        names = [f"{paths[index]}:0" for index in layer.keras_order]
        attributes[_join(place, layer.layer)] = {"weight_names": names}
        for name, index in zip(names, layer.keras_order, strict=True):
            arrays[_join(place, layer.layer, name)] = layer.arrays[index]
    return attributes, arrays


def model_content(
    texts: Mapping[str, str], layers: Sequence[LayerWeights], optimizer: str, state: Sequence[np.ndarray]
) -> tuple[dict[str, Attributes], dict[str, np.ndarray]]:
    """The attributes and arrays of a file of a model, for `write_hdf5`.

    Args:
        texts: The attributes of the root.
        layers: What `describe_weights` gives.
        optimizer: Name of the optimizer's class.
        state: Its state, the count of steps first if it is there.
    """
    attributes, arrays = weights_content(layers, _MODEL)
    root: Attributes = {"backend": "tensorflow", "keras_version": VERSION, **texts}
    if state:
        counted = state[0].ndim == 0
        names = [f"{optimizer}/iterations:0"] * counted
        names += [f"training/{optimizer}/Variable{f'_{i}' * (i > 0)}:0" for i in range(len(state) - counted)]
        attributes[_OPTIMIZER] = {"weight_names": names}
        arrays |= {_join(_OPTIMIZER, name): array for name, array in zip(names, state, strict=True)}
    return {"": root, **attributes}, arrays


def half_pixel_centres(version: str) -> bool:
    """Whether bilinear upsampling meant half-pixel centres in that version of Keras: from 2.3 on, and in tf.keras."""
    return "tf" in version or _numbers(version) >= (2, 3)


def of_tensorflow(version: str) -> bool:
    """Whether a version is one of tf.keras, or of Keras 3: 2.4 was the first that is nothing else."""
    return "tf" in version or _numbers(version) >= (2, 4)


def of_keras3(version: str) -> bool:
    """Whether a version is one of Keras 3."""
    return "tf" not in version and _numbers(version) >= (3, 0)


def _numbers(version: str) -> tuple[int, int]:
    found = re.match(r"(\d{1,9})(?:\.(\d{1,9}))?", version)
    return (int(found[1]), int(found[2] or 0)) if found else (2, 2)

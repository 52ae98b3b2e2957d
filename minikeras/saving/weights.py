"""The weights of layers in one ``.npz`` file."""

from __future__ import annotations

import itertools
import os
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from ..layers.base import Layer
from .npz import ModelFileError, NpzReader, write_npz

# A file of a whole model has a member of this name, and its weights under this prefix.
MODEL_KEY = "model"
MODEL_PREFIX = "weights/"
_ROWS_SHOWN = 20


@dataclass(frozen=True, slots=True)
class LayerWeights:
    """The weights of one layer: their names and values, in the layer's order."""

    layer: str
    names: list[str]
    arrays: list[np.ndarray]

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        return {name: array.shape for name, array in zip(self.names, self.arrays, strict=True)}


def describe_weights(layers: Iterable[Layer]) -> list[LayerWeights]:
    """The weights of the layers that have any.

    A weight is called "kernel", "bias", ... within its layer; where a layer of layers has several of a name, they are
    numbered: "kernel", "kernel_2".
    """
    return [
        LayerWeights(layer.name, _names(layer), [weight.numpy() for weight in layer.weights])
        for layer in layers
        if layer.weights
    ]


def check_path(path: str | os.PathLike[str], use: str, overwrite: bool = True) -> None:
    """Refuse a path that can't be saved to.

    Args:
        path: The file.
        use: Who saves, for the message.
        overwrite: Whether a file may be there.

    Raises:
        ValueError: If the path doesn't end in ``.npz``.
        FileExistsError: If a file is there that must not be replaced.
    """
    if not os.fspath(path).endswith(".npz"):
        raise ValueError(f"{use} writes .npz files: the path must end in '.npz'. Received: {os.fspath(path)!r}")
    if not overwrite and os.path.exists(path):
        raise FileExistsError(f"{os.fspath(path)!r} is there already, and overwrite is False")


def save_weights(path: str | os.PathLike[str], layers: Sequence[LayerWeights], overwrite: bool = True) -> None:
    """Write weights under the names "layer/weight".

    Args:
        path: Ends in ``.npz``.
        layers: What `describe_weights` gives.
        overwrite: Whether to replace a file that is there.

    Raises:
        ValueError: If the path has another suffix.
        FileExistsError: If a file is there that must not be replaced.
    """
    check_path(path, "save_weights", overwrite)
    write_npz(path, by_name(layers))


def by_name(layers: Iterable[LayerWeights], prefix: str = "") -> dict[str, np.ndarray]:
    """The arrays under the names "layer/weight", with a prefix."""
    return {
        f"{prefix}{layer.layer}/{name}": array
        for layer in layers
        for name, array in zip(layer.names, layer.arrays, strict=True)
    }


def load_weights(path: str | os.PathLike[str], layers: Sequence[LayerWeights]) -> list[np.ndarray]:
    """Read the weights for these layers.

    Layers are matched in order, as their automatic names differ from run to run; within them names of weights and
    shapes must agree.

    Args:
        path: The file; also one of a whole model.
        layers: What `describe_weights` gives for the model they are for.

    Returns:
        The arrays, in the order of the layers and their weights.

    Raises:
        FileNotFoundError: If there is no such file.
        ModelFileError: If the file is damaged, or holds other weights: a table says which.
    """
    with NpzReader(path) as reader:
        return read_weights(reader, layers, MODEL_PREFIX if MODEL_KEY in reader.shapes else "")


def read_weights(reader: NpzReader, layers: Sequence[LayerWeights], prefix: str = "") -> list[np.ndarray]:
    """What `load_weights` returns, from the members of an open archive whose names begin with a prefix."""
    found: dict[str, dict[str, tuple[int, ...]]] = {}
    for key, shape in reader.shapes.items():
        if key.startswith(prefix):
            layer, _, name = key.removeprefix(prefix).rpartition("/")
            found.setdefault(layer, {})[name] = shape
    differences = _differences(layers, found)
    if differences:
        raise ModelFileError(f"{reader.path} holds weights of another architecture.\n{_table(differences)}")
    return [
        reader.read(f"{prefix}{layer}/{name}")
        for (layer, _), own in zip(found.items(), layers, strict=True)
        for name in own.names
    ]


def _names(layer: Layer) -> list[str]:
    seen: Counter[str] = Counter()
    names = []
    for weight in layer.weights:
        name = (weight.name or "weight").rpartition("/")[2]
        seen[name] += 1
        names.append(name if seen[name] == 1 else f"{name}_{seen[name]}")
    return names


def _differences(
    layers: Sequence[LayerWeights], found: dict[str, dict[str, tuple[int, ...]]]
) -> list[tuple[str, str, str, str]]:
    """A row for each weight where the two differ: layer and weight in the model, what it expects, the file's."""
    rows = []
    for own, held in itertools.zip_longest(layers, found.items()):
        layer, expected = (own.layer, own.shapes) if own else ("-", {})
        source, present = held or ("-", {})
        for name in dict.fromkeys([*expected, *present]):
            if expected.get(name) != present.get(name):
                place = f"{present[name]} in {source!r}" if name in present else "-"
                rows.append((layer, name, str(expected.get(name, "-")), place))
    return rows


def _table(rows: list[tuple[str, str, str, str]]) -> str:
    shown = [("layer", "weight", "model expects", "file holds"), *rows[:_ROWS_SHOWN]]
    widths = [max(len(row[i]) for row in shown) for i in range(4)]
    lines = ["  ".join(field.ljust(width) for field, width in zip(row, widths, strict=True)).rstrip() for row in shown]
    if len(rows) > _ROWS_SHOWN:
        lines.append(f"and {len(rows) - _ROWS_SHOWN} more")
    return "\n".join(lines)

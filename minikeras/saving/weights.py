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
    if not os.fspath(path).endswith(".npz"):
        raise ValueError(f"save_weights writes .npz files: the path must end in '.npz'. Received: {os.fspath(path)!r}")
    if not overwrite and os.path.exists(path):
        raise FileExistsError(f"{os.fspath(path)!r} is there already, and overwrite is False")
    write_npz(
        path,
        {
            f"{layer.layer}/{name}": array
            for layer in layers
            for name, array in zip(layer.names, layer.arrays, strict=True)
        },
    )


def load_weights(path: str | os.PathLike[str], layers: Sequence[LayerWeights]) -> list[np.ndarray]:
    """Read the weights for these layers.

    Layers are matched in order, as their automatic names differ from run to run; within them names of weights and
    shapes must agree.

    Args:
        path: The file.
        layers: What `describe_weights` gives for the model they are for.

    Returns:
        The arrays, in the order of the layers and their weights.

    Raises:
        FileNotFoundError: If there is no such file.
        ModelFileError: If the file is damaged, or holds other weights: a table says which.
    """
    with NpzReader(path) as reader:
        found: dict[str, dict[str, tuple[int, ...]]] = {}
        for key, shape in reader.shapes.items():
            layer, _, name = key.rpartition("/")
            found.setdefault(layer, {})[name] = shape
        differences = _differences(layers, found)
        if differences:
            raise ModelFileError(f"{os.fspath(path)} holds weights of another architecture.\n{_table(differences)}")
        return [
            reader.read(f"{layer}/{name}")
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

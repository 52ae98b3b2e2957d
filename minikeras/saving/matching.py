"""Which weights of a file go to which weights of a model, and what to say where they don't fit."""

from __future__ import annotations

import itertools
import math
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np

from .errors import ModelFileError
from .keras3_places import Place

if TYPE_CHECKING:
    from .keras1 import Kernel

Shape = tuple[int, ...]
_ROWS_SHOWN = 20


@dataclass(frozen=True, slots=True)
class LayerWeights:
    """The weights of one layer: their names and values, in the layer's order.

    Attributes:
        layer: Name of the layer.
        names: Of the weights within the layer, each of them once.
        arrays: Their values.
        paths: Their full names, which need not be unique: "conv2d_1/kernel".
        keras_order: Their places in the order of Keras's ``layer.weights``, with the trainable ones first.
        places: Where Keras 3 keeps them.
        old_kernels: By name, how Keras 1 stored those that it stored otherwise.
    """

    layer: str
    names: list[str]
    arrays: list[np.ndarray]
    paths: list[str]
    keras_order: list[int]
    places: list[Place] = field(default_factory=list)
    old_kernels: Mapping[str, Kernel] = field(default_factory=dict)

    @property
    def shapes(self) -> dict[str, Shape]:
        """The shape of each weight by name."""
        return {name: array.shape for name, array in zip(self.names, self.arrays, strict=True)}


Pairs = list[tuple[LayerWeights | None, "str | None"]]


class WeightsFile(Protocol):
    """An open file of weights, of whatever format."""

    @property
    def path(self) -> str:
        """The file."""

    @property
    def layers(self) -> Mapping[str, Mapping[str, Shape]]:
        """From the name of each layer that has weights to their shapes by name, in the order of the file."""

    def pairs(self, layers: Sequence[LayerWeights]) -> Pairs:
        """Which layer of the file each layer of a model is, where names of layers don't decide.

        None stands on one side for what the other side doesn't have.
        """

    def names(self, own: LayerWeights, layer: str) -> dict[str, str]:
        """What the weights of a layer of the model, by their names there, would be called in a layer of the file.

        What the file has in another form or at another place for such a layer is in `layers` from then on.
        """

    def read(self, layer: str, name: str) -> np.ndarray:
        """Return a weight."""


class Difference(NamedTuple):
    """Where model and file differ: the layer and its weight, what the model expects and the file holds, and where."""

    layer: str
    weight: str
    expected: Shape | None
    found: Shape | None
    source: str


def match(
    file: WeightsFile,
    layers: Sequence[LayerWeights],
    by_name: bool = False,
    skip_mismatch: bool = False,
    reshape: bool = False,
) -> list[np.ndarray | None]:
    """Read the weights for these layers.

    Args:
        file: An open file.
        layers: The weights that a model has.
        by_name: Whether layers of one name belong together, and others are left out; else layers are matched in
            order. Within a layer weights go by their names in any case.
        skip_mismatch: With by_name, leave out what has another shape or number in the file, with a warning.
        reshape: Take an array of another shape and the right number of elements.

    Returns:
        The arrays, in the order of the layers and their weights; None for a weight that keeps its value.

    Raises:
        ModelFileError: If something differs otherwise: a table says what.
    """
    pairs = by_names(file, layers) if by_name else file.pairs(layers)
    if by_name and layers and all(source is None for _, source in pairs):
        warnings.warn(
            f"{file.path}: no layer of the model has the name of one in the file, so that nothing is loaded: the model "
            f"has {_some(layer.layer for layer in layers)}; the file has {_some(file.layers)}",
            stacklevel=4,
        )
    differences = [
        d
        for own, source in pairs
        if source is not None or not by_name
        for d in _differences(file, own, source, reshape)
    ]
    if differences and not (by_name and skip_mismatch):
        raise ModelFileError(_refusal(file, differences, by_name, reshape))
    if differences:
        warnings.warn(f"{file.path}: these weights keep their values:\n{table(differences)}", stacklevel=4)
    kept = {(d.layer, d.weight) for d in differences}
    return [
        None if source is None or (own.layer, name) in kept else file.read(source, key).reshape(own.shapes[name])
        for own, source in pairs
        if own is not None
        for name, key in (dict.fromkeys(own.names, "") if source is None else file.names(own, source)).items()
    ]


def in_order(file: WeightsFile, layers: Sequence[LayerWeights]) -> Pairs:
    """The first layer with the first, and so on."""
    return list(itertools.zip_longest(layers, file.layers))


def as_named(file: WeightsFile, layers: Sequence[LayerWeights]) -> Pairs:
    """Layers of the same names, which are all there.

    Raises:
        ModelFileError: If they have other names.
    """
    own = [layer.layer for layer in layers]
    if set(own) != set(file.layers):
        raise ModelFileError(
            f"{file.path} doesn't say in which order its layers are, and they have other names than the model's: the "
            f"model has {_some(own)}; the file has {_some(map(repr, file.layers))}. load_weights(..., by_name=True) "
            "loads those that have the same name"
        )
    return by_names(file, layers)


def by_names(file: WeightsFile, layers: Sequence[LayerWeights]) -> Pairs:
    """Layers of the same name; None for one that isn't in the file."""
    return [(own, own.layer if own.layer in file.layers else None) for own in layers]


def _differences(
    file: WeightsFile, own: LayerWeights | None, source: str | None, reshape: bool
) -> Iterator[Difference]:
    """What differs between a layer of the model and one of the file; all of it if one isn't there at all.

    With another number of weights in it, a layer is no other's equal in any of them.
    """
    expected = own.shapes if own else {}
    keys = {key: name for name, key in file.names(own, source).items()} if own and source is not None else {}
    found = {keys.get(key, key): shape for key, shape in file.layers[source].items()} if source is not None else {}
    for name in dict.fromkeys([*expected, *found]):
        want, have = expected.get(name), found.get(name)
        fits = want == have or (
            reshape and want is not None and have is not None and math.prod(want) == math.prod(have)
        )
        if not fits or len(expected) != len(found):
            yield Difference(own.layer if own else "-", name, want, have, source or "")


def _refusal(file: WeightsFile, differences: list[Difference], by_name: bool, reshape: bool) -> str:
    differences = [d for d in differences if d.expected != d.found]
    lines = [f"{file.path} holds weights of another architecture.", table(differences)]
    if by_name:
        lines.append("load_weights(..., by_name=True, skip_mismatch=True) leaves these out and loads the others.")
    else:
        lines.append(
            "load_weights(..., by_name=True) loads the layers that have the same name in the file; skip_mismatch=True "
            "goes with it, and leaves out what doesn't fit."
        )
    sizes = [(math.prod(d.expected), math.prod(d.found)) for d in differences if d.expected and d.found]
    if not reshape and len(sizes) == len(differences) and all(want == have for want, have in sizes):
        lines.append("load_weights(..., reshape=True) takes arrays of other shapes, as the numbers of elements agree.")
    return "\n".join(lines)


def table(differences: Sequence[Difference], holder: str = "file") -> str:
    """What differs, as text in columns."""
    rows = [("layer", "weight", "model expects", f"{holder} holds")]
    for d in differences[:_ROWS_SHOWN]:
        held = "-" if d.found is None else f"{d.found} in {d.source!r}"
        rows.append((d.layer, d.weight, "-" if d.expected is None else str(d.expected), held))
    widths = [max(len(row[i]) for row in rows) for i in range(4)]
    lines = ["  ".join(field.ljust(width) for field, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    if len(differences) > _ROWS_SHOWN:
        lines.append(f"and {len(differences) - _ROWS_SHOWN} more")
    return "\n".join(lines)


def _some(names: Iterable[str]) -> str:
    first = list(itertools.islice(names, 9))
    return ", ".join(first[:8]) + (", ..." if len(first) > 8 else "")

"""Where Keras 3 keeps the weights of layers in its ``.weights.h5`` files.

The path of a weight is that of its layer, as attributes lead to it from the model, and its number among the layer's own
weights: ``layers/dense_1/vars/0``. In the list of a model's layers a layer goes by its class and counts those of its
class before it, so that the automatic names, which differ from run to run, don't matter.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from ..layers.base import Layer

CONTAINER = "layers"
VARS = "vars"
_CLASSES = {"Model": "Functional"}


class Place(NamedTuple):
    """Where a weight is.

    Attributes:
        path: With layers by their classes, as in the file.
        named: With layers by their names.
    """

    path: str
    named: str


def places(layers: Iterable[Layer]) -> dict[int, Place]:
    """The place of each weight of a model, by the weight's id.

    Args:
        layers: The layers of the model, with those that have no weights.
    """
    found: dict[int, Place] = {}
    for layer, place in _listed(layers, Place(CONTAINER, CONTAINER)):
        _add(layer, place, found)
    return found


def snake_case(name: str) -> str:
    """The name of a class as Keras 3 writes it in paths: ``MaxPooling2D`` is ``max_pooling2d``."""
    words = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", re.sub(r"\W+", "", name))
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", words).lower()


def _add(layer: Layer, place: Place, found: dict[int, Place]) -> None:
    for number, weight in enumerate([*layer._trainable_weights, *layer._non_trainable_weights]):
        found.setdefault(id(weight), _joined(place, f"{VARS}/{number}"))
    for inner, its_place in _inside(layer, place):
        _add(inner, its_place, found)


def _inside(layer: Layer, place: Place) -> Iterator[tuple[Layer, Place]]:
    """The layers that a layer holds, each with its place: those of a model, or those in attributes."""
    if (layers := getattr(layer, CONTAINER, None)) is not None:
        yield from _listed(layers, _joined(place, CONTAINER))
        return
    for attribute, value in sorted(vars(layer).items(), key=lambda item: item[0].replace("_", "~", 1)):
        if isinstance(value, Layer):
            yield value, _joined(place, attribute)
        elif isinstance(value, (list, tuple)):
            yield from _listed([item for item in value if isinstance(item, Layer)], _joined(place, attribute))


def _listed(layers: Iterable[Layer], place: Place) -> Iterator[tuple[Layer, Place]]:
    seen: Counter[str] = Counter()
    for layer in layers:
        name = snake_case(_CLASSES.get(type(layer).__name__, type(layer).__name__))
        numbered = f"{name}_{seen[name]}" if seen[name] else name
        seen[name] += 1
        yield layer, Place(f"{place.path}/{numbered}", f"{place.named}/{layer.name}")


def _joined(place: Place, step: str) -> Place:
    return Place(f"{place.path}/{step}", f"{place.named}/{step}")

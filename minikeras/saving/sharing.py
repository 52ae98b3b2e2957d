"""Layers that are part of several models, or of a model and a wrapper: files describe each of them several times.

The descriptions of one layer have one number, under `catalog.NUMBER`. tf.keras and Keras 3 don't always
give it to the first of them; Keras 2, and Keras 3 in its ``.h5`` files, give none.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable
from typing import Any

from .. import layers
from ..layers.base import Layer
from ..layers.catalog import NUMBER, numbered
from .configurations import described, dicts

_MODELS = ("Model", "Sequential")


def describe(model: Layer) -> dict[str, Any]:
    """The configuration of a model, in which layers that are there several times have numbers."""
    with numbered():
        config: dict[str, Any] = layers.serialize(model)
    found = [item for item in dicts(config) if NUMBER in item]
    counts = Counter(item[NUMBER] for item in found)
    for item in found:
        if counts[item[NUMBER]] == 1:
            del item[NUMBER]
    return config


def complete(model: dict[str, Any]) -> None:
    """Give all descriptions of a layer its number, in a file that has it in some of them only.

    Args:
        model: The configuration in the terms of minikeras.

    Raises:
        ValueError: If the other descriptions of a layer can't be told.
    """
    given = {id(item): item.pop(NUMBER) for item in dicts(model) if NUMBER in item}
    items = _layers(model)
    wanted = [item for item in items if type(given.get(id(item))) is int]
    for same in _alike(items) if wanted else []:
        numbers = {number for item in same if type(number := given.get(id(item))) is int}
        if len(numbers) == 1:
            number = numbers.pop()
            for item in same:
                item[NUMBER] = number
    for item in wanted:
        if NUMBER not in item:
            raise ValueError(
                f"the layer {item['config'].get('name')!r} is part of several models or wrappers in it, and which of "
                "their layers it is can't be told"
            )


def unite(model: dict[str, Any], is_one: Callable[[str], bool]) -> list[str]:
    """Number the descriptions of layers that a file has no numbers of.

    Args:
        model: The configuration in the terms of minikeras.
        is_one: Whether the layers of a name have one set of weights in all models.

    Returns:
        The names of these layers.
    """
    items = _layers(model)
    first = 1 + max((item[NUMBER] for item in items if NUMBER in item), default=0)
    united = []
    for number, same in enumerate(_alike(items), first):
        name = same[0]["config"]["name"]
        if not any(NUMBER in item for item in same) and is_one(name):
            united.append(name)
            for item in same:
                item[NUMBER] = number
    return united


def _layers(model: dict[str, Any]) -> list[dict[str, Any]]:
    return [item for item in described(model) if item["class_name"] in (*layers.registry, *_MODELS)]


def _alike(items: list[dict[str, Any]]) -> list[list[dict[str, Any]]]:
    """The layers that are described several times in the same words."""
    by_name: dict[tuple[str, str], list[dict[str, Any]]] = defaultdict(list)
    for item in items:
        if isinstance(name := item["config"].get("name"), str):
            by_name[item["class_name"], name].append(item)
    return [
        same for same in by_name.values() if len(same) > 1 and all(item["config"] == same[0]["config"] for item in same)
    ]

"""The catalog of layers: names to classes, for configurations."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from ..registry import Registry
from .base import Layer

# A model is a layer, of a module that stands above this one
_models = {"Model": "minikeras.models", "Sequential": "minikeras.models"}
registry = Registry("layer", base=Layer, callables=False, optional=False, late=_models)

get = registry.get

NUMBER = "shared_object_id"  # as tf.keras and Keras 3 call it
_numbers: ContextVar[dict[int, int] | None] = ContextVar("minikeras_layer_numbers", default=None)
_made: ContextVar[dict[int, tuple[Any, Layer]] | None] = ContextVar("minikeras_numbered_layers", default=None)


def serialize(layer: Layer) -> Any:
    """The configuration of a layer: ``{"class_name", "config"}``, and its number within `numbered`."""
    config = registry.serialize(layer)
    numbers = _numbers.get()
    return config if numbers is None else {**config, NUMBER: numbers.setdefault(id(layer), len(numbers))}


def deserialize(config: Any, custom_objects: Mapping[str, Any] | None = None) -> Any:
    """The layer that a configuration describes: a new one, or within `shared` the one that has its number.

    Args:
        config: Name of a class, or what `serialize` gave.
        custom_objects: Dict from name to class or function of your own.

    Raises:
        ValueError: If the name is unknown, the configuration has another form, or the number is that of another layer.
    """
    made = _made.get()
    number = config.get(NUMBER) if isinstance(config, Mapping) else None
    if made is None or type(number) is not int:
        return registry.deserialize(config, custom_objects)
    if number not in made:
        made[number] = (_words(config), registry.deserialize(config, custom_objects))
    words, layer = made[number]
    if words != _words(config):
        raise ValueError(f"{layer} is described twice, in different words. Received: {config!r:.200}")
    return layer


def _words(config: Mapping[str, Any]) -> Any:
    """What describes a layer, wherever it is; the shape of its input is said only where a Sequential begins with it."""
    inside = config.get("config")
    if isinstance(inside, Mapping):
        inside = {key: value for key, value in inside.items() if key != "batch_input_shape"}
    return config.get("class_name"), inside


@contextmanager
def numbered() -> Iterator[None]:
    """Let each layer have a number in its configuration, the same wherever the layer is part of others."""
    token = _numbers.set({})
    try:
        yield
    finally:
        _numbers.reset(token)


@contextmanager
def shared() -> Iterator[None]:
    """Make one layer of all configurations that have one number."""
    token = _made.set({})
    try:
        yield
    finally:
        _made.reset(token)

"""The random streams of a model and of the layers in it, as states for a file."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..core import random
from ..layers.base import Layer


def walk(model: Any) -> list[Layer]:
    """A model and the layers in it, in an order that its configuration fixes, each once."""
    found = {id(model): model}
    pending = [model]
    while pending:
        inside = [layer for layer in pending.pop(0)._sublayers() if id(layer) not in found]
        found.update((id(layer), layer) for layer in inside)
        pending += inside
    return list(found.values())


def get_streams(model: Any) -> list[list[Any]]:
    """The state of each stream, after the number of the layer it belongs to and the name of its attribute there."""
    return [
        [number, attribute, random.get_state(value)]
        for number, layer in enumerate(walk(model))
        for attribute, value in sorted(vars(layer).items())
        if isinstance(value, np.random.Generator)
    ]


def set_streams(model: Any, states: list[Any]) -> None:
    """Let all streams go on from what `get_streams` gave.

    Raises:
        LookupError, TypeError, ValueError, AttributeError: If they aren't those of the model's layers.
    """
    layers_inside = walk(model)
    for number, attribute, state in states:
        # a model's own stream begins when it is first used
        random.set_state(getattr(layers_inside[number], "stream" if attribute == "_stream" else attribute), state)

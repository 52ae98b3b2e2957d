"""Which function turns a layer of which class into nodes; a class that isn't listed is refused by name."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, NamedTuple, TypeVar

from ..core.symbolic import SymbolicTensor
from ..layers.base import Layer
from .values import Value
from .writer import GraphWriter

Function = TypeVar("Function", bound=Callable[..., Value])


class _Converter(NamedTuple):
    """The function, and whether it says the mask of its output itself."""

    function: Callable[..., Value]
    masks: bool


_converters: dict[type[Layer], _Converter] = {}


def converts(*classes: type[Layer], masks: bool = False) -> Callable[[Function], Function]:
    """A decorator for functions of (writer, layer, input value ...) that return the output's value.

    Args:
        *classes: The layers that it converts; not their subclasses, which may compute something else.
        masks: Whether the value carries the right mask; else it is that of the input where the layer supports masks.
    """

    def register(function: Function) -> Function:
        _converters.update(dict.fromkeys(classes, _Converter(function, masks)))
        return function

    return register


def convert_layer(writer: GraphWriter, layer: Layer, inputs: Sequence[Value]) -> Value:
    """Add the nodes of a layer.

    Args:
        writer: The graph.
        layer: The layer, built.
        inputs: What it is called on.

    Raises:
        ValueError: If it can't be exported.
    """
    converter = _converters.get(type(layer))
    if converter is None:
        raise ValueError(
            f"{layer}: a layer of the class {type(layer).__name__} can't be exported to ONNX, as it is code. Write it "
            "with layers of minikeras.layers, or export the parts of the model before and behind it"
        )
    with writer.scope(layer.name):
        ready = [_cast(writer, layer, value) for value in inputs]
        output = converter.function(writer, layer, *ready)
    if converter.masks:
        return output
    return replace(output, mask=inputs[0].mask if layer.supports_masking else None)


def weight_of(writer: GraphWriter, weight: Any, array: Any = None) -> Value:
    """A weight of a layer, or an array that is made of it, under the weight's name."""
    name = (weight.name or "weight").rpartition("/")[2]
    return writer.constant(weight.numpy() if array is None else array, name)


def _cast(writer: GraphWriter, layer: Layer, value: Value) -> Value:
    """The input in the dtype in which the layer computes."""
    return writer.cast(value, layer._cast(SymbolicTensor(value.shape, value.dtype)).dtype)

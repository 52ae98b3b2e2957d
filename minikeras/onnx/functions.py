"""Activation functions, and the layers that are activations."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .. import activations
from ..layers import ELU, Activation, LeakyReLU, PReLU, ReLU, Softmax, ThresholdedReLU
from ..layers.base import Layer
from .converters import convert_layer, converts
from .values import Value
from .writer import GraphWriter

_SELU = {"alpha": 1.6732632423543772, "gamma": 1.0507009873554805}
_FUNCTIONS: dict[Callable[..., Any], tuple[str, dict[str, Any]]] = {
    activations.elu: ("Elu", {"alpha": 1.0}),
    activations.exponential: ("Exp", {}),
    activations.hard_sigmoid: ("HardSigmoid", {"alpha": 0.2, "beta": 0.5}),
    activations.relu: ("Relu", {}),
    activations.selu: ("Selu", _SELU),
    activations.sigmoid: ("Sigmoid", {}),
    activations.softplus: ("Softplus", {}),
    activations.softsign: ("Softsign", {}),
    activations.tanh: ("Tanh", {}),
}


def activate(writer: GraphWriter, layer: Layer, x: Value) -> Value:
    """Apply the activation of a layer.

    Raises:
        ValueError: If it is a function of the user's own.
    """
    function = layer.activation  # type: ignore[attr-defined]  # of those that have one
    if function is activations.linear:
        return x
    if function is activations.softmax:
        return writer.like("Softmax", x, axis=x.place(-1))
    if isinstance(function, Layer):
        return convert_layer(writer, function, [x])
    if function not in _FUNCTIONS:
        raise ValueError(
            f"{layer}: its activation {getattr(function, '__name__', function)!r} can't be exported to ONNX, as it is "
            f"code. Those that can: {', '.join(sorted(known.__name__ for known in _FUNCTIONS))}, linear, softmax"
        )
    operation, attributes = _FUNCTIONS[function]
    return writer.like(operation, x, **attributes)


@converts(Activation)
def _activation(writer: GraphWriter, layer: Activation, x: Value) -> Value:
    return activate(writer, layer, x)


@converts(Softmax)
def _softmax(writer: GraphWriter, layer: Softmax, x: Value) -> Value:
    return writer.like("Softmax", x, axis=x.place(layer.axis))


@converts(ELU)
def _elu(writer: GraphWriter, layer: ELU, x: Value) -> Value:
    return writer.like("Elu", x, alpha=layer.alpha)


@converts(LeakyReLU)
def _leaky_relu(writer: GraphWriter, layer: LeakyReLU, x: Value) -> Value:
    return writer.like("LeakyRelu", x, alpha=layer.alpha)


@converts(ThresholdedReLU)
def _thresholded_relu(writer: GraphWriter, layer: ThresholdedReLU, x: Value) -> Value:
    return writer.like("ThresholdedRelu", x, alpha=layer.theta)


@converts(PReLU)
def _prelu(writer: GraphWriter, layer: PReLU, x: Value) -> Value:
    slopes = writer.stored_like(x, layer.alpha.numpy(), "alpha")
    return writer.node("PRelu", [x, slopes], x.shape, x.dtype, x.order)


@converts(ReLU)
def _relu(writer: GraphWriter, layer: ReLU, x: Value) -> Value:
    if layer.threshold:
        threshold = writer.scalar(layer.threshold, x)
        slope = writer.scalar(layer.negative_slope, x)
        below = writer.scalar(0.0, x)
        if layer.negative_slope:
            below = writer.elementwise("Mul", writer.elementwise("Sub", x, threshold), slope)
        above = writer.elementwise("GreaterOrEqual", x, threshold, dtype=bool)
        y = writer.elementwise("Where", above, x, below, dtype=x.dtype)
    elif layer.negative_slope:
        y = writer.like("LeakyRelu", x, alpha=layer.negative_slope)
    else:
        y = writer.like("Relu", x)
    return y if layer.max_value is None else writer.elementwise("Min", y, writer.scalar(layer.max_value, x))

"""Activation functions, and the layers that are activations."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from .. import activations
from ..layers import ELU, Activation, LeakyReLU, PReLU, ReLU, Softmax, ThresholdedReLU
from ..layers.base import Layer
from .converters import convert_layer, converts
from .values import Value
from .writer import GraphWriter

_SELU = {"alpha": 1.6732632423543772, "gamma": 1.0507009873554805}
_FUNCTIONS: dict[Callable[..., Any], tuple[str, dict[str, float]]] = {
    activations.exponential: ("Exp", {}),
    activations.hard_sigmoid: ("HardSigmoid", {"alpha": 0.2, "beta": 0.5}),
    activations.hard_sigmoid6: ("HardSigmoid", {"alpha": 1.0 / 6.0, "beta": 0.5}),
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
    function: Any = layer.activation  # type: ignore[attr-defined]  # of those that have one
    if isinstance(function, Layer):
        return convert_layer(writer, function, [x])
    keywords: dict[str, Any] = {}
    if isinstance(function, functools.partial) and not function.args:
        keywords, function = function.keywords, function.func
    if function in _WITH_ARGUMENTS:
        return _WITH_ARGUMENTS[function](writer, x, **keywords)
    if function not in _FUNCTIONS or keywords:
        known = sorted(one.__name__ for one in [*_FUNCTIONS, *_WITH_ARGUMENTS])
        raise ValueError(
            f"{layer}: its activation {getattr(function, '__name__', function)!r} can't be exported to ONNX, as it is "
            f"code. Those that can: {', '.join(known)}"
        )
    operation, attributes = _FUNCTIONS[function]
    return writer.like(operation, x, **attributes)


def _linear(writer: GraphWriter, x: Value) -> Value:
    return x


def _softmax(writer: GraphWriter, x: Value, axis: int = -1) -> Value:
    return writer.like("Softmax", x, axis=x.place(axis))


def _elu(writer: GraphWriter, x: Value, alpha: float = 1.0) -> Value:
    return writer.like("Elu", x, alpha=alpha)


def _relu(
    writer: GraphWriter, x: Value, alpha: float = 0.0, max_value: float | None = None, threshold: float = 0.0
) -> Value:
    if threshold:
        limit = writer.scalar(threshold, x)
        below = writer.scalar(0.0, x)
        if alpha:
            below = writer.elementwise("Mul", writer.elementwise("Sub", x, limit), writer.scalar(alpha, x))
        above = writer.elementwise("GreaterOrEqual", x, limit, dtype=bool)
        y = writer.elementwise("Where", above, x, below, dtype=x.dtype)
    else:
        y = writer.like("LeakyRelu", x, alpha=alpha) if alpha else writer.like("Relu", x)
    return y if max_value is None else writer.elementwise("Min", y, writer.scalar(max_value, x))


_WITH_ARGUMENTS: dict[Callable[..., Any], Callable[..., Value]] = {
    activations.elu: _elu,
    activations.linear: _linear,
    activations.relu: _relu,
    activations.softmax: _softmax,
}


@converts(Activation)
def _activation_layer(writer: GraphWriter, layer: Activation, x: Value) -> Value:
    return activate(writer, layer, x)


@converts(Softmax)
def _softmax_layer(writer: GraphWriter, layer: Softmax, x: Value) -> Value:
    return _softmax(writer, x, layer.axis)


@converts(ELU)
def _elu_layer(writer: GraphWriter, layer: ELU, x: Value) -> Value:
    return _elu(writer, x, layer.alpha)


@converts(LeakyReLU)
def _leaky_relu_layer(writer: GraphWriter, layer: LeakyReLU, x: Value) -> Value:
    return writer.like("LeakyRelu", x, alpha=layer.alpha)


@converts(ReLU)
def _relu_layer(writer: GraphWriter, layer: ReLU, x: Value) -> Value:
    return _relu(writer, x, layer.negative_slope, layer.max_value, layer.threshold)


@converts(ThresholdedReLU)
def _thresholded_relu_layer(writer: GraphWriter, layer: ThresholdedReLU, x: Value) -> Value:
    return writer.like("ThresholdedRelu", x, alpha=layer.theta)


@converts(PReLU)
def _prelu_layer(writer: GraphWriter, layer: PReLU, x: Value) -> Value:
    slopes = writer.stored_like(x, layer.alpha.numpy(), "alpha")
    return writer.node("PRelu", [x, slopes], x.shape, x.dtype, x.order)

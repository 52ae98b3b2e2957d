"""Activation functions, and the layers that are activations."""

from __future__ import annotations

import functools
import math
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
    activations.hard_silu: ("HardSwish", {}),
    activations.selu: ("Selu", _SELU),
    activations.sigmoid: ("Sigmoid", {}),
    activations.softplus: ("Softplus", {}),
    activations.softsign: ("Softsign", {}),
    activations.sparse_sigmoid: ("HardSigmoid", {"alpha": 0.5, "beta": 0.5}),
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


def _leaky_relu(writer: GraphWriter, x: Value, negative_slope: float = 0.2) -> Value:
    return writer.like("LeakyRelu", x, alpha=negative_slope)


def _celu(writer: GraphWriter, x: Value, alpha: float = 1.0) -> Value:
    scale = writer.scalar(alpha, x)
    return writer.elementwise("Mul", writer.like("Elu", writer.elementwise("Div", x, scale)), scale)


def _gelu(writer: GraphWriter, x: Value, approximate: bool = False) -> Value:
    half, one = writer.scalar(0.5, x), writer.scalar(1.0, x)
    if approximate:
        bent = writer.elementwise("Mul", writer.elementwise("Mul", x, x), writer.scalar(0.044715, x))
        bent = writer.elementwise("Mul", x, writer.elementwise("Add", bent, one))
        share = writer.like("Tanh", writer.elementwise("Mul", bent, writer.scalar(math.sqrt(2.0 / math.pi), x)))
    else:
        share = writer.like("Erf", writer.elementwise("Mul", x, writer.scalar(math.sqrt(0.5), x)))
    return writer.elementwise("Mul", writer.elementwise("Mul", x, half), writer.elementwise("Add", share, one))


def _silu(writer: GraphWriter, x: Value) -> Value:
    return writer.elementwise("Mul", x, writer.like("Sigmoid", x))


def _mish(writer: GraphWriter, x: Value) -> Value:
    return writer.elementwise("Mul", x, writer.like("Tanh", writer.like("Softplus", x)))


def _log_sigmoid(writer: GraphWriter, x: Value) -> Value:
    return writer.like("Neg", writer.like("Softplus", writer.like("Neg", x)))


def _log_softmax(writer: GraphWriter, x: Value, axis: int = -1) -> Value:
    return writer.like("LogSoftmax", x, axis=x.place(axis))


def _limited(writer: GraphWriter, x: Value, low: float, high: float) -> Value:
    return writer.elementwise("Min", writer.elementwise("Max", x, writer.scalar(low, x)), writer.scalar(high, x))


def _tanh_shrink(writer: GraphWriter, x: Value) -> Value:
    return writer.elementwise("Sub", x, writer.like("Tanh", x))


def _hard_shrink(writer: GraphWriter, x: Value, threshold: float = 0.5) -> Value:
    return writer.like("Shrink", x, bias=0.0, lambd=threshold)


def _soft_shrink(writer: GraphWriter, x: Value, threshold: float = 0.5) -> Value:
    return writer.like("Shrink", x, bias=threshold, lambd=threshold)


def _sparse_plus(writer: GraphWriter, x: Value) -> Value:
    half = writer.scalar(0.5, x)
    root = writer.elementwise("Add", writer.elementwise("Mul", _limited(writer, x, -1.0, 1.0), half), half)
    above = writer.like("Relu", writer.elementwise("Sub", x, writer.scalar(1.0, x)))
    return writer.elementwise("Add", writer.elementwise("Mul", root, root), above)


_WITH_ARGUMENTS: dict[Callable[..., Any], Callable[..., Value]] = {
    activations.celu: _celu,
    activations.elu: _elu,
    activations.gelu: _gelu,
    activations.hard_shrink: _hard_shrink,
    activations.hard_tanh: lambda writer, x: _limited(writer, x, -1.0, 1.0),
    activations.leaky_relu: _leaky_relu,
    activations.linear: _linear,
    activations.log_sigmoid: _log_sigmoid,
    activations.log_softmax: _log_softmax,
    activations.mish: _mish,
    activations.relu: _relu,
    activations.relu6: lambda writer, x: _relu(writer, x, max_value=6.0),
    activations.silu: _silu,
    activations.soft_shrink: _soft_shrink,
    activations.softmax: _softmax,
    activations.sparse_plus: _sparse_plus,
    activations.tanh_shrink: _tanh_shrink,
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
    return _leaky_relu(writer, x, layer.alpha)


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

"""Layers that hold layers: models, whatever their depth, and TimeDistributed; and operations between layers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from ..core.symbolic import Call, symbols_in
from ..core.tensor import Tensor
from ..layers import InputLayer, TimeDistributed
from ..layers.base import Layer
from ..layers.shapes import as_list
from .converters import convert_layer, converts
from .operations import convert_operation
from .values import Value
from .writer import GraphWriter


def convert_model(writer: GraphWriter, model: Any, inputs: Sequence[Value]) -> list[Value]:
    """Add the nodes of all layers of a model.

    Args:
        writer: The graph.
        model: A model, built.
        inputs: What it is called on.

    Raises:
        ValueError: If one of its layers can't be exported, or nobody knows how they are connected.
    """
    graph = model._connected()
    if graph is None:
        raise ValueError(
            f"{model}: a model that is a program, with a call of its own, can't be exported to ONNX: make it of layers "
            "by Model(inputs, outputs)"
        )
    constants = [tensor if tensor is None else writer.constant(tensor.numpy()) for tensor in model.input_tensors]
    given = [constant or value for constant, value in zip(constants, inputs, strict=True)]
    return graph.trace(given, lambda call, arguments: _convert_call(writer, call, arguments))


def _convert_call(writer: GraphWriter, call: Call, arguments: Sequence[Any]) -> list[Value]:
    operation = call.operation
    if not isinstance(operation, Layer):
        return [convert_operation(writer, call, [_value(writer, item) for item in arguments])]
    if isinstance(operation, InputLayer) and not arguments:
        return [writer.constant(operation.input_tensor.numpy())]  # type: ignore[union-attr]  # or it would be fed
    if call.static.get("training") or symbols_in([*call.static.values()]):
        raise ValueError(
            f"{operation}: it is called with {', '.join(call.static)}=..., which can't be exported to ONNX: what is "
            "exported is what predict computes, and masks go with the tensors"
        )
    return _convert(writer, operation, [_value(writer, item) for item in as_list(arguments[0])])


def _convert(writer: GraphWriter, layer: Layer, inputs: Sequence[Value]) -> list[Value]:
    if hasattr(layer, "_connected"):
        with writer.scope(layer.name):
            return convert_model(writer, layer, inputs)
    return [convert_layer(writer, layer, inputs)]


def _value(writer: GraphWriter, item: Any) -> Any:
    """The value of an argument; a Tensor with values is a constant."""
    if isinstance(item, (list, tuple)):
        return [_value(writer, part) for part in item]
    return writer.constant(item.numpy()) if isinstance(item, Tensor) else item


@converts(TimeDistributed, masks=True)
def _time_distributed(writer: GraphWriter, layer: TimeDistributed, x: Value) -> Value:
    """The steps become samples, and samples steps."""
    folded = _fold(writer, x)
    if x.mask is not None and x.mask.ndim > 2:
        folded = replace(folded, mask=_fold(writer, x.mask))
    (y,) = _convert(writer, layer.layer, [folded])
    mask = x.mask
    if y.mask is not None:
        mask = _unfold(writer, y.mask, x)
    elif mask is not None and mask.ndim > 2:
        mask = writer.any(mask, range(2, mask.ndim))
    return replace(_unfold(writer, replace(y, mask=None), x), mask=mask)


def _fold(writer: GraphWriter, x: Value) -> Value:
    batch, steps, *sizes = x.shape
    samples = None if batch is None or steps is None else batch * steps
    return writer.reshape(x, (samples, *sizes), {axis: (x, axis + 1) for axis in range(1, x.ndim - 1)})


def _unfold(writer: GraphWriter, y: Value, x: Value) -> Value:
    sources = {0: (x, 0), 1: (x, 1), **{axis + 1: (y, axis) for axis in range(1, y.ndim)}}
    return writer.reshape(y, (*x.shape[:2], *y.shape[1:]), sources)

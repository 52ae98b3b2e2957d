"""Convolutions: their kernels in ONNX's order, (outputs, inputs of the group, *window), and their padding."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..core.tensor import Tensor
from ..kernels import geometry
from ..layers import (
    Conv1D,
    Conv1DTranspose,
    Conv2D,
    Conv2DTranspose,
    Conv3D,
    Conv3DTranspose,
    DepthwiseConv1D,
    DepthwiseConv2D,
    LocallyConnected1D,
    LocallyConnected2D,
    SeparableConv1D,
    SeparableConv2D,
)
from ..layers.conv import BaseConv, Conv
from ..layers.conv_transpose import ConvTranspose
from ..layers.local import LocallyConnected, windows_at_positions
from ..layers.separable import BaseDepthwise, DepthwiseConv, SeparableConv
from ..layers.shapes import Shape
from ..layers.spatial import Lengths, SpatialLayer, join_shape
from .converters import converts, weight_of
from .functions import activate
from .values import Value, channels_first, channels_last
from .writer import GraphWriter

_ANY_LENGTH = 8  # in place of a free one, where the padding is the same for all


def space_first(writer: GraphWriter, layer: SpatialLayer, x: Value) -> Value:
    """The input of a layer over space as ONNX takes it, (batch, channels, *space)."""
    return writer.arranged(x, channels_first(x.ndim, layer.data_format))


def window_padding(padding: str, lengths: Lengths, window: Any, strides: Any, dilation: Any) -> dict[str, Any]:
    """The attributes that say the padding; "same" of a free length and a stride is left to who runs the graph."""
    if padding == "same" and any(n is None and s > 1 for n, s in zip(lengths, strides, strict=True)):
        return {"auto_pad": "SAME_UPPER"}
    known = tuple(_ANY_LENGTH if n is None else n for n in lengths)
    return _pads(geometry.explicit_padding(padding, known, window, strides, dilation))


def _pads(pairs: geometry.Padding) -> dict[str, Any]:
    return {"pads": [before for before, _ in pairs] + [after for _, after in pairs]}


def _convolved(
    writer: GraphWriter, layer: BaseConv, x: Value, kernel: Value, bias: Any, groups: int, shape: Shape
) -> Value:
    """x, stored as ONNX takes it, under the layer's window."""
    padding = window_padding(
        layer.padding, layer.split_shape(x.shape)[1], layer.kernel_size, layer.strides, layer.dilation_rate
    )
    return writer.node(
        "Conv",
        [x, kernel, *([] if bias is None else [weight_of(writer, bias)])],
        shape,
        x.dtype,
        x.order,
        kernel_shape=layer.kernel_size,
        strides=layer.strides,
        dilations=layer.dilation_rate,
        group=groups,
        **padding,
    )


@converts(Conv1D, Conv2D, Conv3D)
def _conv(writer: GraphWriter, layer: Conv, x: Value) -> Value:
    kernel = weight_of(writer, layer.kernel, np.moveaxis(layer.kernel.numpy(), (-1, -2), (0, 1)))
    shape = layer.compute_output_shape(x.shape)
    y = _convolved(writer, layer, space_first(writer, layer, x), kernel, layer.bias, layer.groups, shape)
    return activate(writer, layer, y)


def _depthwise(writer: GraphWriter, layer: BaseDepthwise, x: Value, bias: Any) -> Value:
    array = layer.depthwise_kernel.numpy()
    channels, multiplier = array.shape[-2:]
    kernel = np.moveaxis(array, (-2, -1), (0, 1)).reshape(channels * multiplier, 1, *layer.kernel_size)
    batch, lengths, _ = layer.split_shape(x.shape)
    shape = join_shape(batch, layer.output_lengths(lengths), channels * multiplier, layer.data_format)
    weight = weight_of(writer, layer.depthwise_kernel, kernel)
    return _convolved(writer, layer, space_first(writer, layer, x), weight, bias, channels, shape)


@converts(DepthwiseConv1D, DepthwiseConv2D)
def _depthwise_conv(writer: GraphWriter, layer: DepthwiseConv, x: Value) -> Value:
    return activate(writer, layer, _depthwise(writer, layer, x, layer.bias))


@converts(SeparableConv1D, SeparableConv2D)
def _separable_conv(writer: GraphWriter, layer: SeparableConv, x: Value) -> Value:
    between = _depthwise(writer, layer, x, None)
    kernel = np.moveaxis(layer.pointwise_kernel.numpy(), (-1, -2), (0, 1))
    weights = [weight_of(writer, layer.pointwise_kernel, kernel)]
    weights += [] if layer.bias is None else [weight_of(writer, layer.bias)]
    y = writer.node("Conv", [between, *weights], layer.compute_output_shape(x.shape), x.dtype, between.order)
    return activate(writer, layer, y)


@converts(Conv1DTranspose, Conv2DTranspose, Conv3DTranspose)
def _conv_transpose(writer: GraphWriter, layer: ConvTranspose, x: Value) -> Value:
    x = space_first(writer, layer, x)
    kernel = np.moveaxis(layer.kernel.numpy(), (-1, -2), (0, 1))
    known = tuple(n or _ANY_LENGTH for n in layer.split_shape(x.shape)[1])
    lengths = tuple(n for n in layer.output_lengths(known) if n is not None)
    padding = layer.explicit_padding(lengths)
    # what the padding leaves is the plain adjoint; the same for all lengths of the input
    adjoint = [
        (n - 1) * stride + geometry.window_span(window, dilation) - before - after
        for n, window, stride, dilation, (before, after) in zip(
            known, layer.kernel_size, layer.strides, layer.dilation_rate, padding, strict=True
        )
    ]
    y = writer.node(
        "ConvTranspose",
        [x, weight_of(writer, layer.kernel, kernel), *([] if layer.bias is None else [weight_of(writer, layer.bias)])],
        layer.compute_output_shape(x.shape),
        x.dtype,
        x.order,
        kernel_shape=layer.kernel_size,
        strides=layer.strides,
        dilations=layer.dilation_rate,
        group=layer.groups,
        output_padding=[length - plain for length, plain in zip(lengths, adjoint, strict=True)],
        **_pads(padding),
    )
    return activate(writer, layer, y)


@converts(LocallyConnected1D, LocallyConnected2D)
def _locally_connected(writer: GraphWriter, layer: LocallyConnected, x: Value) -> Value:
    """The elements under each window are gathered, and multiplied by the kernel of that position."""
    x = writer.arranged(x, channels_last(x.ndim, layer.data_format)).as_stored()
    batch, *sizes = x.shape
    lengths = [size for size in sizes if size is not None]  # all are known, or the layer would have no weights
    numbers = Tensor(np.arange(math.prod(lengths)).reshape(1, *lengths))
    seen = windows_at_positions(numbers, layer.kernel_size, layer.strides, layer.dilation_rate, layer.data_format)
    positions, taps, filters = layer.kernel.shape
    flat = writer.reshape(x, (batch, numbers.size))
    windows = writer.node("Gather", [flat, writer.constant(seen.numpy()[0])], (batch, positions, taps), x.dtype, axis=1)
    by_position = writer.node("Transpose", [windows], (positions, batch, taps), x.dtype, perm=(1, 0, 2))
    kernel = weight_of(writer, layer.kernel)
    products = writer.node("MatMul", [by_position, kernel], (positions, batch, filters), x.dtype)
    together = writer.node("Transpose", [products], (batch, positions, filters), x.dtype, perm=(1, 0, 2))
    y = writer.reshape(together, (batch, *layer.output_lengths(tuple(lengths[:-1])), filters))
    if layer.bias is not None:
        y = writer.elementwise("Add", y, writer.stored_like(y, layer.bias.numpy(), "bias"))
    y = activate(writer, layer, y)
    order = channels_last(y.ndim, layer.data_format)
    return y.seen_as(tuple(y.shape[order.index(axis)] for axis in range(y.ndim)), order)

"""Pooling, cropping, padding and upsampling, and normalization by known statistics."""

from __future__ import annotations

import numpy as np

from ..layers import (
    AveragePooling1D,
    AveragePooling2D,
    AveragePooling3D,
    BatchNormalization,
    Cropping1D,
    Cropping2D,
    Cropping3D,
    GlobalAveragePooling1D,
    GlobalAveragePooling2D,
    GlobalAveragePooling3D,
    GlobalMaxPooling1D,
    GlobalMaxPooling2D,
    GlobalMaxPooling3D,
    MaxPooling1D,
    MaxPooling2D,
    MaxPooling3D,
    UpSampling1D,
    UpSampling2D,
    UpSampling3D,
    ZeroPadding1D,
    ZeroPadding2D,
    ZeroPadding3D,
)
from ..layers.cropping import Cropping
from ..layers.padding import ZeroPadding
from ..layers.pooling import GlobalPooling, Pooling
from ..layers.spatial import SpatialLayer
from ..layers.upsampling import UpSampling
from .converters import converts
from .convolution import space_first, window_padding
from .values import Value
from .writer import GraphWriter

_END = np.iinfo(np.int64).max


@converts(MaxPooling1D, MaxPooling2D, MaxPooling3D)
def _max_pooling(writer: GraphWriter, layer: Pooling, x: Value) -> Value:
    return _pooled(writer, "MaxPool", layer, x)


@converts(AveragePooling1D, AveragePooling2D, AveragePooling3D)
def _average_pooling(writer: GraphWriter, layer: Pooling, x: Value) -> Value:
    return _pooled(writer, "AveragePool", layer, x, count_include_pad=0)


def _pooled(writer: GraphWriter, operation: str, layer: Pooling, x: Value, **attributes: int) -> Value:
    x = space_first(writer, layer, x)
    ones = (1,) * layer.rank
    padding = window_padding(layer.padding, layer.split_shape(x.shape)[1], layer.pool_size, layer.strides, ones)
    shape = layer.compute_output_shape(x.shape)
    settings = {"kernel_shape": layer.pool_size, "strides": layer.strides, **padding, **attributes}
    return writer.node(operation, [x], shape, x.dtype, x.order, **settings)


@converts(GlobalMaxPooling1D, GlobalMaxPooling2D, GlobalMaxPooling3D)
def _global_max_pooling(writer: GraphWriter, layer: GlobalPooling, x: Value) -> Value:
    return writer.reduce("ReduceMax", x, _space(layer, x), layer.keepdims)


@converts(GlobalAveragePooling1D, GlobalAveragePooling2D, GlobalAveragePooling3D, masks=True)
def _global_average_pooling(writer: GraphWriter, layer: GlobalPooling, x: Value) -> Value:
    """The mean; with a mask, which only the one over steps can have, that of the steps that count."""
    if x.mask is None:
        return writer.reduce("ReduceMean", x, _space(layer, x), layer.keepdims)
    (steps,) = _space(layer, x)
    counts = writer.unsqueeze(writer.cast(x.mask, x.dtype), [3 - steps])
    total = writer.reduce("ReduceSum", writer.elementwise("Mul", x, counts), [steps], layer.keepdims)
    number = writer.reduce("ReduceSum", counts, [steps], layer.keepdims)
    return writer.elementwise("Div", total, writer.elementwise("Max", number, writer.scalar(1.0, number)))


@converts(Cropping1D, Cropping2D, Cropping3D)
def _cropping(writer: GraphWriter, layer: Cropping, x: Value) -> Value:
    starts = [before for before, _ in layer.cropping]
    stops = [-after if after else _END for _, after in layer.cropping]
    places = [x.place(axis) for axis in _space(layer, x)]
    limits = [writer.constant(np.array(values, np.int64)) for values in (starts, stops, places)]
    return writer.node("Slice", [x, *limits], layer.compute_output_shape(x.shape), x.dtype, x.order)


@converts(ZeroPadding1D, ZeroPadding2D, ZeroPadding3D)
def _zero_padding(writer: GraphWriter, layer: ZeroPadding, x: Value) -> Value:
    pads = np.zeros((2, x.ndim), np.int64)
    for axis, pair in zip(_space(layer, x), layer.padding, strict=True):
        pads[:, x.place(axis)] = pair
    inputs = [x, writer.constant(pads.ravel()), writer.scalar(0, x)]
    return writer.node("Pad", inputs, layer.compute_output_shape(x.shape), x.dtype, x.order)


@converts(UpSampling1D, UpSampling2D, UpSampling3D)
def _upsampling(writer: GraphWriter, layer: UpSampling, x: Value) -> Value:
    linear = isinstance(layer, UpSampling2D) and layer.interpolation == "bilinear"
    if linear:
        x = space_first(writer, layer, x)
    centred = isinstance(layer, UpSampling2D) and linear and layer.half_pixel_centers
    scales = np.ones(x.ndim, np.float32)
    for axis, factor in zip(_space(layer, x), layer.size, strict=True):
        scales[x.place(axis)] = factor
    return writer.node(
        "Resize",
        [x, None, writer.constant(scales)],
        layer.compute_output_shape(x.shape),
        x.dtype,
        x.order,
        mode="linear" if linear else "nearest",
        coordinate_transformation_mode="half_pixel" if centred else "asymmetric",
        nearest_mode=None if linear else "floor",
    )


@converts(BatchNormalization)
def _batch_normalization(writer: GraphWriter, layer: BatchNormalization, x: Value) -> Value:
    """ONNX has an operation for channels that are stored behind the batch; elsewhere it is a scale and a shift."""
    mean, variance = layer.moving_mean.numpy(), layer.moving_variance.numpy()
    gamma = np.ones_like(mean) if layer.gamma is None else layer.gamma.numpy()
    beta = np.zeros_like(mean) if layer.beta is None else layer.beta.numpy()
    if x.place(layer.axis) == 1:
        named = {"gamma": gamma, "beta": beta, "moving_mean": mean, "moving_variance": variance}
        weights = [writer.constant(array, name) for name, array in named.items()]
        return writer.node("BatchNormalization", [x, *weights], x.shape, x.dtype, x.order, epsilon=layer.epsilon)
    scale = gamma / np.sqrt(variance + np.asarray(layer.epsilon, variance.dtype))
    scaled = writer.elementwise("Mul", x, writer.along(x, layer.axis, scale, "scale"))
    return writer.elementwise("Add", scaled, writer.along(x, layer.axis, beta - mean * scale, "shift"))


def _space(layer: SpatialLayer, x: Value) -> tuple[int, ...]:
    """The axes of space of the shape."""
    return tuple(range(2, x.ndim)) if layer.data_format == "channels_first" else tuple(range(1, x.ndim - 1))

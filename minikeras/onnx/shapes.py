"""Dense, Embedding and Masking, and the layers that change a shape or nothing at all."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..layers import (
    ActivityRegularization,
    AlphaDropout,
    Dense,
    Dropout,
    Embedding,
    Flatten,
    GaussianDropout,
    GaussianNoise,
    InputLayer,
    Masking,
    Permute,
    RepeatVector,
    Reshape,
    SpatialDropout1D,
    SpatialDropout2D,
    SpatialDropout3D,
)
from ..layers.base import Layer
from .converters import converts, weight_of
from .functions import activate
from .values import Value, channels_last, product
from .writer import GraphWriter


@converts(
    ActivityRegularization,
    AlphaDropout,
    Dropout,
    GaussianDropout,
    GaussianNoise,
    InputLayer,
    SpatialDropout1D,
    SpatialDropout2D,
    SpatialDropout3D,
    masks=True,
)
def _nothing(writer: GraphWriter, layer: Layer, x: Value) -> Value:
    """What disturbs or punishes in training only."""
    return x


@converts(Dense)
def _dense(writer: GraphWriter, layer: Dense, x: Value) -> Value:
    x = writer.plain(x)
    shape = layer.compute_output_shape(x.shape)
    weights = [weight_of(writer, weight) for weight in (layer.kernel, layer.bias) if weight is not None]
    if x.ndim == 2:
        return activate(writer, layer, writer.node("Gemm", [x, *weights], shape, x.dtype))
    y = writer.node("MatMul", [x, weights[0]], shape, x.dtype)
    if layer.bias is not None:
        y = writer.elementwise("Add", y, writer.along(y, -1, layer.bias.numpy(), "bias"))
    return activate(writer, layer, y)


@converts(Embedding, masks=True)
def _embedding(writer: GraphWriter, layer: Embedding, x: Value) -> Value:
    x = writer.plain(x)
    vectors = weight_of(writer, layer.embeddings)
    numbers = writer.cast(x, np.int64)
    y = writer.node("Gather", [vectors, numbers], layer.compute_output_shape(x.shape), vectors.dtype, axis=0)
    return replace(y, mask=_differs(writer, x, 0) if layer.mask_zero else None)


@converts(Masking, masks=True)
def _masking(writer: GraphWriter, layer: Masking, x: Value) -> Value:
    x = writer.plain(x)
    differs = _differs(writer, x, layer.mask_value)
    counts = writer.any(differs, [-1], keepdims=True)
    y = writer.elementwise("Where", counts, x, writer.scalar(0, x), dtype=x.dtype)
    return replace(y, mask=writer.any(differs, [-1]))


def _differs(writer: GraphWriter, x: Value, number: float) -> Value:
    return writer.like("Not", writer.elementwise("Equal", x, writer.scalar(number, x), dtype=bool))


# ---------------------------------------------------------------------- shape


@converts(Flatten)
def _flatten(writer: GraphWriter, layer: Flatten, x: Value) -> Value:
    x = writer.arranged(x, channels_last(x.ndim, layer.data_format)).as_stored()
    return writer.node("Flatten", [x], (x.shape[0], product(x.shape[1:])), x.dtype, axis=1)


@converts(Reshape)
def _reshape(writer: GraphWriter, layer: Reshape, x: Value) -> Value:
    return writer.reshape(x, layer.compute_output_shape(x.shape), {0: (x, 0)})


@converts(Permute)
def _permute(writer: GraphWriter, layer: Permute, x: Value) -> Value:
    """Nothing is computed: the same tensor is seen in another order."""
    dims = (0, *layer.dims)
    return x.seen_as(layer.compute_output_shape(x.shape), tuple(dims.index(axis) for axis in x.order))


@converts(RepeatVector)
def _repeat_vector(writer: GraphWriter, layer: RepeatVector, x: Value) -> Value:
    repeats = writer.constant(np.array([1, layer.n, 1], np.int64))
    shape = layer.compute_output_shape(x.shape)
    return writer.node("Tile", [writer.unsqueeze(x, [1]), repeats], shape, x.dtype)

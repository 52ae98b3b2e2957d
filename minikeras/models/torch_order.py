"""In which order PyTorch has the axes and the features of the tensors between layers.

PyTorch's images are (batch, channels, rows, columns), and so what becomes of them when they are flattened stands in
another order than behind minikeras's Flatten, which puts the channels last. Weights that are made for single features
follow that order: the rows of a Dense kernel, the vectors of a BatchNormalization.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..layers import (
    Concatenate,
    Dense,
    Embedding,
    Flatten,
    RepeatVector,
    TimeDistributed,
)
from ..layers.base import Layer
from ..layers.merge import ElementwiseMerge
from ..layers.shapes import Shape, is_shape
from ..layers.spatial import SpatialLayer


@dataclass(frozen=True)
class Order:
    """How PyTorch has a tensor.

    Attributes:
        shape: The shape that layers of minikeras see.
        axes: Its axes in PyTorch's order; None for an input, which the first layer over space decides.
        features: The features, that is the places along the last axis, in PyTorch's order; None for the same.
    """

    shape: Shape
    axes: tuple[int, ...] | None = None
    features: np.ndarray | None = None

    def numbers(self) -> np.ndarray:
        """Return for each feature of PyTorch's the number that it has in minikeras."""
        return np.arange(self.shape[-1] or 0) if self.features is None else self.features


Visit = Callable[[Layer, Order, str], None]


def follow(layer: Layer, inputs: Sequence[Order], visit: Visit, name: str) -> list[Order]:
    """The order of a layer's outputs.

    Args:
        layer: A layer, or a model.
        inputs: Those of what it is called on.
        visit: Called with each layer that isn't made of layers, its order and its full name.
        name: The layer's full name.

    Raises:
        ValueError: If inputs that are merged are flattened in different orders.
    """
    graph = layer._connected() if hasattr(layer, "_connected") else None
    if graph is not None:
        return follow_graph(graph, inputs, visit, f"{name}.")
    if isinstance(layer, TimeDistributed):
        return [_each_step(layer, inputs[0], visit, name)]
    visit(layer, inputs[0], name)
    shapes = layer.compute_output_shape([x.shape for x in inputs] if len(inputs) > 1 else inputs[0].shape)
    if not is_shape(shapes):
        return [_plain(shape) for shape in shapes]
    return [_behind(layer, inputs, tuple(shapes))]


def follow_graph(graph: Any, inputs: Sequence[Order], visit: Visit, prefix: str = "") -> list[Order]:
    """The order of a model's outputs; names of its layers get the prefix."""

    def step(call: Any, arguments: tuple[Any, ...]) -> list[Order]:
        layer = call.operation
        given = arguments[0] if arguments and isinstance(arguments[0], (list, tuple)) else arguments
        orders = [item for item in given if isinstance(item, Order)]
        if isinstance(layer, Layer) and orders:
            return follow(layer, orders, visit, f"{prefix}{layer.name}")
        kept = orders[0] if orders and len(call.outputs) == 1 else None
        return [
            kept if kept is not None and kept.shape == output.shape else _plain(output.shape) for output in call.outputs
        ]

    return graph.trace(list(inputs), step)


def _behind(layer: Layer, inputs: Sequence[Order], shape: Shape) -> Order:
    x = inputs[0]
    if isinstance(layer, SpatialLayer):
        return Order(shape, _channels_first(len(shape), layer.data_format))
    if isinstance(layer, Flatten):
        return _flattened(layer, x, shape)
    if isinstance(layer, Concatenate):
        return _joined(layer, inputs, shape)
    if isinstance(layer, ElementwiseMerge):
        _expect_one_order(layer, inputs)
        return replace(x if len(x.shape) == len(shape) else _plain(shape), shape=shape)
    if isinstance(layer, RepeatVector):
        return replace(_plain(shape), features=x.features)
    if x.shape == shape and not isinstance(layer, (Dense, Embedding)):
        return x
    return _plain(shape)


def _each_step(layer: TimeDistributed, x: Order, visit: Visit, name: str) -> Order:
    inside = x.axes is not None and x.axes[1] == 1
    axes = (0, *(axis - 1 for axis in x.axes[2:])) if inside and x.axes is not None else None
    step = Order((None, *x.shape[2:]), axes, x.features)
    (y,) = follow(layer.layer, [step], visit, name)
    shape = (*x.shape[:2], *y.shape[1:])
    outer = None if y.axes is None else (0, 1, *(axis + 1 for axis in y.axes[1:]))
    return Order(shape, outer, y.features)


def _flattened(layer: Flatten, x: Order, shape: Shape) -> Order:
    """Number the features in minikeras's order, and read the numbers in PyTorch's."""
    ndim = len(x.shape)
    axes = x.axes
    if axes is None:  # an input: PyTorch's images are channels first, and sequences are as they are
        axes = _channels_first(ndim, layer.data_format) if ndim > 3 else tuple(range(ndim))
    own = (0, *range(2, ndim), 1) if layer.data_format == "channels_first" else tuple(range(ndim))
    if axes == own or ndim == 2:
        return Order(shape, (0, 1), x.features if ndim == 2 else None)
    sizes = [x.shape[axis] for axis in own[1:]]
    if None in sizes:
        return _plain(shape)
    numbers = np.arange(math.prod(sizes)).reshape(1, *sizes)  # type: ignore[arg-type]  # none is free
    numbers = numbers.transpose(np.argsort(own)).transpose(axes)
    return Order(shape, (0, 1), numbers.ravel())


def _joined(layer: Concatenate, inputs: Sequence[Order], shape: Shape) -> Order:
    x = inputs[0]
    if layer.axis % len(shape) != len(shape) - 1:
        _expect_one_order(layer, inputs)
        return replace(x, shape=shape)
    if all(one.features is None for one in inputs):
        return replace(x, shape=shape)
    sizes = [one.shape[-1] or 0 for one in inputs]
    starts = np.cumsum([0, *sizes[:-1]])
    numbers = [start + one.numbers() for start, one in zip(starts, inputs, strict=True)]
    return replace(x, shape=shape, features=np.concatenate(numbers))


def _expect_one_order(layer: Layer, inputs: Sequence[Order]) -> None:
    for x in inputs[1:]:
        if not np.array_equal(inputs[0].numbers(), x.numbers()):
            raise ValueError(
                f"{layer}: its inputs come from images that are flattened in different orders in PyTorch, where "
                "channels come first: their features can't be told from one another there"
            )


def _channels_first(ndim: int, data_format: str) -> tuple[int, ...]:
    return (0, ndim - 1, *range(1, ndim - 1)) if data_format == "channels_last" else tuple(range(ndim))


def _plain(shape: Shape) -> Order:
    return Order(shape, tuple(range(len(shape))))

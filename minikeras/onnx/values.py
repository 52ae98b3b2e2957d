"""Values: the tensors of an ONNX graph, with the shape that Keras sees and the order in which ONNX stores their axes.

Layers of "channels_last" see (batch, *space, channels), and ONNX's convolutions take (batch, channels, *space). So the
axes of a value may be stored in another order than Keras counts them. A layer that needs an order asks for it; only
there is a Transpose, and none between layers that agree.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ..layers.shapes import Shape

Order = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Value:
    """A tensor of the graph.

    Attributes:
        name: Its name in the graph.
        shape: The shape that layers see; None where a size is free.
        dtype: The NumPy dtype.
        order: The axes of the shape in the order in which they are stored; the batch comes first.
        mask: Which steps count, stored as it is seen; None for all.
    """

    name: str
    shape: Shape
    dtype: np.dtype
    order: Order
    mask: Value | None = None

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    def place(self, axis: int) -> int:
        """Return where an axis of the shape is stored."""
        return self.order.index(axis % self.ndim)

    def as_stored(self) -> Value:
        """Return the same tensor, whose axes are seen as they are stored."""
        return replace(self, shape=tuple(self.shape[axis] for axis in self.order), order=plain(self.ndim))

    def seen_as(self, shape: Shape, order: Order) -> Value:
        """Return the same tensor, whose axes are seen in another order than stored."""
        return replace(self, shape=shape, order=order)


def plain(ndim: int) -> Order:
    """The order in which axes are counted."""
    return tuple(range(ndim))


def channels_first(ndim: int, data_format: str) -> Order:
    """The order of storage (batch, channels, *space) for a shape in a data format."""
    return (0, ndim - 1, *range(1, ndim - 1)) if data_format == "channels_last" else plain(ndim)


def channels_last(ndim: int, data_format: str) -> Order:
    """The order of storage (batch, *space, channels) for a shape in a data format."""
    return (0, *range(2, ndim), 1) if data_format == "channels_first" else plain(ndim)


def stretched(shapes: list[Shape]) -> Shape:
    """The shape that shapes of one length are stretched to, where one has size 1."""
    sizes = ([size for size in along if size != 1] or [1] for along in zip(*shapes, strict=True))
    return tuple(next((size for size in along if size is not None), None) for along in sizes)


def product(sizes: Sequence[int | None]) -> int | None:
    """The product of sizes; None if one is free."""
    known = [size for size in sizes if size is not None]
    return math.prod(known) if len(known) == len(sizes) else None

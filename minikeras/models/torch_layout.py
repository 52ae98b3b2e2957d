"""The weights of a layer as those of modules of PyTorch: which names they have there, and in which order their axes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..core.tensor import Parameter
from ..layers import BatchNormalization, Dense, Embedding, PReLU
from ..layers.base import Layer
from ..layers.conv import BaseConv, Conv
from ..layers.local import LocallyConnected
from ..layers.separable import BaseDepthwise, SeparableConv
from .torch_order import Order

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Entry:
    """One weight.

    Attributes:
        module: Name of the module inside of the layer's; "" for the layer's own.
        name: What PyTorch calls it: "weight", "bias", "running_mean" ...
        weight: The layer's weight; None where minikeras has none.
        constant: What stands there in PyTorch, where minikeras has none.
        axes: The axes of the layer's weight in PyTorch's order.
        shape: The shape in PyTorch.
        features: The places along the weight's first axis in PyTorch's order; None for the same.
    """

    module: str
    name: str
    weight: Parameter | None
    axes: tuple[int, ...]
    shape: Shape
    features: np.ndarray | None = None
    constant: float = 0.0

    def to_torch(self) -> np.ndarray:
        """Return the values in PyTorch's layout."""
        if self.weight is None:
            return np.full(self.shape, self.constant, np.float32)
        array = self.weight.numpy()
        if self.features is not None:
            array = array[self.features]
        return np.ascontiguousarray(array.transpose(self.axes)).reshape(self.shape)

    def from_torch(self, array: np.ndarray, weight: Parameter) -> np.ndarray:
        """Return values in the layout of the layer's weight."""
        found = array.reshape([weight.shape[axis] for axis in self.axes]).transpose(np.argsort(self.axes))
        if self.features is None:
            return found
        result = np.empty_like(found)
        result[self.features] = found
        return result


def entries(layer: Layer, x: Order) -> list[Entry]:
    """The weights of a layer that is called on a tensor of this order.

    Raises:
        ValueError: If PyTorch has no module for the layer.
    """
    if not layer.weights:
        return []
    for kind, make in _KINDS.items():
        if isinstance(layer, kind):
            return make(layer, x)
    raise ValueError(
        f"{layer}: PyTorch has no module for a layer of the class {type(layer).__name__}. Take its weights by "
        "layer.get_weights(), and leave the layer out of the model that is converted"
    )


def _vector(name: str, weight: Parameter, features: np.ndarray | None = None) -> Entry:
    return Entry("", name, weight, (0,), weight.shape, features)


def _conv(layer: BaseConv, x: Order) -> list[Entry]:
    """(outputs, inputs of the group, *window); of a transposed convolution its inputs come first, also in minikeras."""
    return _with_bias(layer, [_turned("", layer.kernel)])  # type: ignore[attr-defined]  # of those listed


def _depthwise(layer: BaseDepthwise, x: Order) -> list[Entry]:
    kernel = layer.depthwise_kernel
    *window, channels, multiplier = kernel.shape
    ndim = kernel.ndim
    shape = (channels * multiplier, 1, *window)
    module = "depthwise" if isinstance(layer, SeparableConv) else ""
    found = [Entry(module, "weight", kernel, (ndim - 2, ndim - 1, *range(ndim - 2)), shape)]
    if isinstance(layer, SeparableConv):
        found.append(_turned("pointwise", layer.pointwise_kernel))
    return _with_bias(layer, found)


def _turned(module: str, kernel: Parameter) -> Entry:
    axes = (kernel.ndim - 1, kernel.ndim - 2, *range(kernel.ndim - 2))
    return Entry(module, "weight", kernel, axes, tuple(kernel.shape[axis] for axis in axes))


def _with_bias(layer: Any, found: list[Entry]) -> list[Entry]:
    if layer.bias is None:
        return found
    return [*found, Entry(found[-1].module, "bias", layer.bias, (0,), layer.bias.shape)]


def _dense(layer: Dense, x: Order) -> list[Entry]:
    kernel = layer.kernel
    return _with_bias(layer, [Entry("", "weight", kernel, (1, 0), kernel.shape[::-1], x.features)])


def _batch_normalization(layer: BatchNormalization, x: Order) -> list[Entry]:
    shape = layer.moving_mean.shape
    features = x.features if layer.axis % len(x.shape) == len(x.shape) - 1 else None
    found = []
    if layer.gamma is not None or layer.beta is not None:
        found = [
            Entry("", name, weight, (0,), shape, features, constant)
            for name, weight, constant in (("weight", layer.gamma, 1.0), ("bias", layer.beta, 0.0))
        ]
    return [
        *found,
        _vector("running_mean", layer.moving_mean, features),
        _vector("running_var", layer.moving_variance, features),
    ]


def _prelu(layer: PReLU, x: Order) -> list[Entry]:
    """PyTorch's slopes are one for each channel, which is its axis 1, or one for all."""
    alpha = layer.alpha
    own = [axis + 1 for axis, size in enumerate(alpha.shape) if size > 1]
    channel = (x.axes or tuple(range(len(x.shape))))[1]
    if own and own != [channel]:
        raise ValueError(
            f"{layer}: PyTorch's PReLU has one slope for each channel or one for all; here the slopes have the shape "
            f"{alpha.shape}. Share the axes of space by shared_axes"
        )
    features = x.features if own and own == [len(x.shape) - 1] else None
    if features is not None and alpha.ndim > 1:
        raise ValueError(f"{layer}: slopes of features that come from a flattened image, of shape {alpha.shape}")
    return [Entry("", "weight", alpha, tuple(range(alpha.ndim)), (alpha.size,), features)]


def _embedding(layer: Embedding, x: Order) -> list[Entry]:
    return [Entry("", "weight", layer.embeddings, (0, 1), layer.embeddings.shape)]


def _local(layer: LocallyConnected, x: Order) -> list[Entry]:
    raise ValueError(
        f"{layer}: PyTorch has no locally connected layers. Take the weights by layer.get_weights(): the kernel is "
        "(positions, window and channels, filters)"
    )


_KINDS: dict[type, Callable[..., list[Entry]]] = {
    BaseDepthwise: _depthwise,
    LocallyConnected: _local,
    Conv: _conv,
    Dense: _dense,
    BatchNormalization: _batch_normalization,
    PReLU: _prelu,
    Embedding: _embedding,
}

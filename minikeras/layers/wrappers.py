"""Layers that wrap a layer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .. import ops
from ..core import symbolic
from ..core.symbolic import SymbolicTensor
from ..core.tensor import Tensor
from . import catalog
from .base import Layer
from .measures import says
from .shapes import InputSpec, Shape


class Wrapper(Layer):
    """Base of the layers that wrap another one, whose weights are theirs.

    Args:
        layer: The layer.
        **kwargs: Those of `Layer`.

    Raises:
        TypeError: If it is no layer.
    """

    def __init__(self, layer: Layer, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if not isinstance(layer, Layer):
            raise TypeError(f"{self}: layer must be a layer. Received: {layer!r}")
        self.layer = layer
        if "trainable" in kwargs:
            self.trainable = bool(kwargs["trainable"])

    @property
    def trainable(self) -> bool:
        """Whether training updates the weights: that of the wrapped layer."""
        return self.layer.trainable

    @trainable.setter
    def trainable(self, value: bool) -> None:
        if "layer" in vars(self):  # not yet so while the base is being made
            self.layer.trainable = value

    def build(self, input_shape: Any = None) -> None:
        """Be built; a wrapper that builds its layer overrides this.

        Args:
            input_shape: Not used.
        """
        super().build(input_shape)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments as plain values, with the configuration of the wrapped layer."""
        return {**super().get_config(), "layer": catalog.serialize(self.layer)}

    @classmethod
    def from_config(cls, config: Mapping[str, Any], custom_objects: Mapping[str, Any] | None = None) -> Any:
        """Return a layer from what `get_config` gave.

        Args:
            config: The configuration, with that of the wrapped layer.
            custom_objects: Dict from names to classes and functions of yours.
        """
        inner = catalog.deserialize(config["layer"], custom_objects)
        return super().from_config({**config, "layer": inner})


class TimeDistributed(Wrapper):
    """Applies a layer to each step of a sequence: the same layer, with the same weights.

    Args:
        layer: The layer, of one input and one output.
        **kwargs: Those of `Layer`.

    Input and output: (batch, steps, ...) for a layer that takes (batch, ...), and (batch, steps, output of the layer).
    A mask (batch, steps) is handed on as it is. A deeper one, and one that the layer makes, is the layer's business.

    Raises:
        TypeError: If it wraps no layer.
        ValueError: When called, for an input without steps or one that the layer refuses.

    Example:
        >>> from minikeras.layers import Conv2D
        >>> TimeDistributed(Conv2D(8, 3)).compute_output_shape((None, 10, 28, 28, 3))
        (None, 10, 26, 26, 8)
    """

    def __init__(self, layer: Layer, **kwargs: Any) -> None:
        super().__init__(layer, **kwargs)
        self.input_spec = InputSpec(min_ndim=3)

    def build(self, input_shape: Shape) -> None:  # type: ignore[override]  # there is no layer without a shape
        """Build the layer for one step."""
        self.layer.ensure_built(_of_step(input_shape))
        super().build(input_shape)

    def call(self, inputs: Tensor, mask: Tensor | None = None) -> Tensor:
        """Apply the layer to all steps at once, as to a larger batch."""
        keywords: dict[str, Any] = {} if mask is None or mask.ndim == 2 else {"mask": _fold(mask)}
        y = self.layer(_fold(inputs), **keywords)
        return ops.reshape(y, shape=(*inputs.shape[:2], *y.shape[1:]))

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Return (batch, steps, what the layer makes of one step)."""
        InputSpec(min_ndim=3).check(tuple(input_shape), self)
        return (*input_shape[:2], *self.layer.compute_output_shape(_of_step(input_shape))[1:])

    def flops(self, input_shape: Shape, output_shape: Shape) -> int | None:
        """Those of the layer, for each step."""
        one = self.layer.flops(_of_step(input_shape), _of_step(output_shape)) if says(self.layer, "flops") else None
        return None if one is None else one * (input_shape[1] or 0)

    def compute_mask(self, inputs: Tensor, mask: Tensor | None = None) -> Tensor | None:
        """Return the layer's mask of the steps; the input's, of whole steps, if the layer gives none."""
        deep = mask if mask is not None and mask.ndim > 2 else None
        step = SymbolicTensor(_of_step(inputs.shape), inputs.dtype)
        step_mask = None if deep is None else SymbolicTensor(_of_step(deep.shape), deep.dtype)
        if self.layer.compute_mask(step, step_mask) is not None:
            if inputs.symbolic:
                return symbolic.record(self._inner_mask, (inputs, deep), {})
            return self._inner_mask(inputs, deep)
        return mask if deep is None else ops.any(deep, axis=tuple(range(2, deep.ndim)))

    def _inner_mask(self, inputs: Tensor, mask: Tensor | None) -> Tensor:
        found = self.layer.compute_mask(_fold(inputs), None if mask is None else _fold(mask))
        return ops.reshape(found, shape=(*inputs.shape[:2], *found.shape[1:]))

    def _symbolic_outputs(self, inputs: Any, keywords: dict[str, Any]) -> Any:
        step = SymbolicTensor(_of_step(inputs.shape), inputs.dtype)
        ((_, dtype),) = self.layer._symbolic_outputs(step, {})
        return [(self.compute_output_shape(inputs.shape), dtype)]


def _of_step(shape: Shape) -> Shape:
    return (None, *shape[2:])


def _fold(x: Tensor) -> Tensor:
    """Make one axis of batch and steps."""
    return ops.reshape(x, shape=(x.shape[0] * x.shape[1], *x.shape[2:]))

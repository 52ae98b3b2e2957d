"""Masking: which steps of a sequence count."""

from __future__ import annotations

from typing import Any

from .. import checks, ops
from ..core.tensor import Tensor
from .base import Layer
from .measures import elements
from .shapes import InputSpec, Shape


class Masking(Layer):
    """Masks the steps of a sequence at which every channel has one value, and sets them to 0.

    The layers that follow hand the mask on, and leave those steps out where they sum over steps; so do losses and
    metrics.

    Args:
        mask_value: The value.
        **kwargs: Those of `Layer`.

    Input and output: (batch, steps, ..., channels), and the same, with a mask (batch, steps, ...).

    Example:
        >>> y = Masking(-1.0)([[[2.0, 3.0], [-1.0, -1.0], [-1.0, 4.0]]])
        >>> y.tolist()
        [[[2.0, 3.0], [0.0, 0.0], [-1.0, 4.0]]]
        >>> y.mask.tolist()
        [[True, False, True]]
    """

    casts_integers = True
    supports_masking = True
    _keeps_places = True

    def __init__(self, mask_value: float = 0.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.mask_value = checks.number(str(self), "mask_value", mask_value)
        self.input_spec = InputSpec(min_ndim=2)

    def call(self, inputs: Tensor) -> Tensor:
        """Set the masked steps to 0."""
        return ops.where(self._counts(inputs, keepdims=True), inputs, 0.0)

    def compute_mask(self, inputs: Tensor, mask: Any = None) -> Tensor:
        """Return where at least one channel has another value; a mask of the input is replaced."""
        return self._counts(inputs)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Return the input's shape."""
        return tuple(input_shape)

    def flops(self, input_shape: Shape, output_shape: Shape) -> int:
        """A comparison for each element."""
        return elements(input_shape)

    def _counts(self, x: Tensor, keepdims: bool = False) -> Tensor:
        return ops.any(ops.not_equal(x, self.mask_value), axis=-1, keepdims=keepdims)

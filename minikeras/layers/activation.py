"""Activations that are layers: those with arguments or weights of their own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import activations, checks, constraints, initializers, ops, regularizers
from ..core.tensor import Parameter, Tensor
from .base import Layer
from .measures import Reach, activation_flops, elements, keep_places
from .shapes import InputSpec, Shape, as_list, as_size


class AdvancedActivation(Layer):
    """Base of the layers that change every element and keep the shape.

    Args:
        **kwargs: Those of `Layer`.
    """

    casts_integers = True
    supports_masking = True
    _keeps_places = True

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Return the input's shape."""
        return tuple(input_shape)

    def flops(self, input_shape: Shape, output_shape: Shape) -> int:
        """One for each element."""
        return elements(output_shape)


class LeakyReLU(AdvancedActivation):
    """Rectifier with a slope below zero: ``x`` where positive, else ``alpha * x`` (Maas et al. 2013).

    Args:
        alpha: The slope, at least 0.
        **kwargs: Those of `Layer`.

    Input and output: any shape, and the same.

    Raises:
        ValueError: For a negative slope.

    Example:
        >>> LeakyReLU(0.5)([[-2.0, 2.0]]).tolist()
        [[-1.0, 2.0]]
    """

    def __init__(self, alpha: float = 0.3, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.alpha = checks.number(str(self), "alpha", alpha, "[0, inf)")

    def call(self, inputs: Tensor) -> Tensor:
        """Apply the rectifier."""
        return ops.relu(inputs, self.alpha)


class PReLU(AdvancedActivation):
    """Rectifier with a learned slope below zero: ``max(x, 0) + alpha * min(x, 0)`` (He et al. 2015).

    Args:
        alpha_initializer: Initializer of the slopes: one for each element of a sample, but for the shared axes.
        alpha_regularizer: Penalty on the slopes.
        alpha_constraint: Applied to the slopes after each update.
        shared_axes: Axes, counted from 1, along which all elements share one slope: ``[1, 2]`` has one for each
            channel of (batch, rows, columns, channels).
        **kwargs: Those of `Layer`.

    Input and output: (batch, ...), and the same.

    Raises:
        ValueError: For axes that aren't positive integers; when built, for axes that the input doesn't have and for
            sizes that aren't known.

    Example:
        >>> layer = PReLU(shared_axes=[1, 2])
        >>> layer.build((None, 28, 28, 3))
        >>> layer.alpha.shape
        (1, 1, 3)
    """

    alpha: Parameter

    def __init__(
        self,
        alpha_initializer: Any = "zeros",
        alpha_regularizer: Any = None,
        alpha_constraint: Any = None,
        shared_axes: int | Sequence[int] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.alpha_initializer = self.resolve(initializers, "alpha_initializer", alpha_initializer)
        self.alpha_regularizer = self.resolve(regularizers, "alpha_regularizer", alpha_regularizer)
        self.alpha_constraint = self.resolve(constraints, "alpha_constraint", alpha_constraint)
        self.shared_axes: list[int] | None = None
        if shared_axes is not None:
            self.shared_axes = [as_size(axis, self, "each item of shared_axes") for axis in as_list(shared_axes)]
        self.input_spec = InputSpec(min_ndim=2)

    def build(self, input_shape: Shape) -> None:
        """Make the slopes."""
        shared = self.shared_axes or []
        if shared and max(shared) >= len(input_shape):
            raise ValueError(
                f"{self}: the input has the axes 1 to {len(input_shape) - 1} besides the batch. "
                f"Received: shared_axes={shared}, input shape {tuple(input_shape)}"
            )
        own = {axis: size for axis, size in enumerate(input_shape) if axis > 0 and axis not in shared}
        sizes = {axis: size for axis, size in own.items() if size is not None}
        if len(sizes) < len(own):
            raise ValueError(
                f"{self}: the sizes of the axes that are not shared must be known when the weights are made. "
                f"Received: shared_axes={self.shared_axes}, input shape {tuple(input_shape)}"
            )
        self.input_spec = InputSpec(ndim=len(input_shape), axes=sizes)
        self.alpha = self.add_weight(
            "alpha",
            [sizes.get(axis, 1) for axis in range(1, len(input_shape))],
            initializer=self.alpha_initializer,
            regularizer=self.alpha_regularizer,
            constraint=self.alpha_constraint,
        )
        super().build(input_shape)

    def call(self, inputs: Tensor) -> Tensor:
        """Apply the rectifier; at 0 its derivative is 0."""
        return ops.relu(inputs) - self.alpha * ops.relu(-inputs)


class ELU(AdvancedActivation):
    """Exponential linear unit: ``x`` where positive, else ``alpha * (exp(x) - 1)`` (Clevert et al. 2016).

    Args:
        alpha: Minus the limit for small x.
        **kwargs: Those of `Layer`.

    Input and output: any shape, and the same.

    Example:
        >>> ELU()([[0.0, 2.0]]).tolist()
        [[0.0, 2.0]]
    """

    def __init__(self, alpha: float = 1.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.alpha = checks.number(str(self), "alpha", alpha)

    def call(self, inputs: Tensor) -> Tensor:
        """Apply the unit."""
        return ops.elu(inputs, alpha=self.alpha)


class ThresholdedReLU(AdvancedActivation):
    """Rectifier with a threshold: ``x`` where it is greater than theta, else 0 (Konda et al. 2015).

    Args:
        theta: The threshold, at least 0.
        **kwargs: Those of `Layer`.

    Input and output: any shape, and the same.

    Raises:
        ValueError: For a negative threshold.

    Example:
        >>> ThresholdedReLU(1.0)([[0.5, 1.0, 1.5]]).tolist()
        [[0.0, 0.0, 1.5]]
    """

    def __init__(self, theta: float = 1.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.theta = checks.number(str(self), "theta", theta, "[0, inf)")

    def call(self, inputs: Tensor) -> Tensor:
        """Apply the rectifier."""
        return ops.where(ops.greater(inputs, self.theta), inputs, 0.0)


class Softmax(AdvancedActivation):
    """``exp(x) / sum(exp(x))``: positive values that sum to one along an axis.

    Args:
        axis: The axis of the classes; not the batch.
        **kwargs: Those of `Layer`.

    Input and output: any shape of at least two axes, and the same.

    Raises:
        ValueError: For an axis that isn't an integer; when built, for one that the input doesn't have.

    Example:
        >>> Softmax()([[1.0, 1.0]]).tolist()
        [[0.5, 0.5]]
    """

    def __init__(self, axis: int = -1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.axis = as_axis(axis, self)
        self.input_spec = InputSpec(min_ndim=2)

    def build(self, input_shape: Shape) -> None:
        """Refuse an input without the axis."""
        if not -len(input_shape) < self.axis < len(input_shape):
            raise ValueError(
                f"{self}: the input has no axis {self.axis} besides the batch. Received: input shape {input_shape}"
            )
        super().build(input_shape)

    def call(self, inputs: Tensor) -> Tensor:
        """Apply softmax."""
        return activations.softmax(inputs, axis=self.axis)

    def flops(self, input_shape: Shape, output_shape: Shape) -> int:
        """Five for each element: maximum, subtraction, exponential, sum and division."""
        return activation_flops(activations.softmax, output_shape)

    def reach(self, input_shape: Shape) -> Reach:
        """All of the axis is read."""
        axis = self.axis % len(input_shape) - 1
        return keep_places(input_shape, mixed=[axis], channels=[axis] if axis == len(input_shape) - 2 else [])


class ReLU(AdvancedActivation):
    """Rectified linear unit (Nair and Hinton 2010) with a limit, a slope and a threshold.

    ``max_value`` where x is at least that, ``x`` between the threshold and it, and
    ``negative_slope * (x - threshold)`` below the threshold.

    Args:
        max_value: The limit, at least 0; none if None.
        negative_slope: The slope below the threshold, at least 0.
        threshold: Where the slope changes.
        **kwargs: Those of `Layer`.

    Input and output: any shape, and the same.

    Raises:
        ValueError: For a negative limit or slope.

    Example:
        >>> ReLU(max_value=6.0)([[-1.0, 2.0, 8.0]]).tolist()
        [[0.0, 2.0, 6.0]]
    """

    def __init__(
        self, max_value: float | None = None, negative_slope: float = 0.0, threshold: float = 0.0, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.max_value = None if max_value is None else checks.number(str(self), "max_value", max_value, "[0, inf)")
        self.negative_slope = checks.number(str(self), "negative_slope", negative_slope, "[0, inf)")
        self.threshold = checks.number(str(self), "threshold", threshold)

    def call(self, inputs: Tensor) -> Tensor:
        """Apply the unit."""
        return ops.relu(inputs, self.negative_slope, self.max_value, self.threshold)


def as_axis(value: Any, owner: Layer, argument: str = "axis") -> int:
    """Return an axis as int; raise ValueError, naming ``owner``, unless it is an integer other than 0, the batch."""
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, (int, np.integer)) or value == 0:
        raise ValueError(f"{owner}: {argument} must be an integer other than 0, the batch. Received: {value!r}")
    return int(value)


activations.layer_classes.update((cls.__name__, cls) for cls in (ELU, LeakyReLU, PReLU, ReLU, Softmax, ThresholdedReLU))

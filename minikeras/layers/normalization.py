"""Batch normalization."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import checks, constraints, initializers, ops, regularizers
from ..core.tensor import Parameter, Tensor
from .base import Layer
from .context import is_frozen
from .measures import elements
from .shapes import InputSpec, Shape


class BatchNormalization(Layer):
    """Batch normalization (Ioffe and Szegedy 2015): each channel gets mean 0 and variance 1, then a scale and a shift.

    In training these are the statistics of the batch, over all axes but one, and a moving average of them is kept:
    ``moving = momentum * moving + (1 - momentum) * batch``, with the biased variance. Outside of training, and in a
    layer that isn't trainable, or is inside of a model that isn't, the moving statistics are used.

    Args:
        axis: The axis of the channels: 1 with "channels_first".
        momentum: How much of the moving average each batch leaves, from 0 to 1. With 0.99 the averages need some
            hundreds of batches to follow; for shorter trainings take 0.9.
        epsilon: Added to the variance, at least 0.
        center: Whether there is a shift, beta.
        scale: Whether there is a scale, gamma.
        beta_initializer: Initializer of beta, of shape (channels,).
        gamma_initializer: Initializer of gamma, of shape (channels,).
        moving_mean_initializer: Initializer of the moving mean, of shape (channels,).
        moving_variance_initializer: Initializer of the moving variance, of shape (channels,).
        beta_regularizer: Penalty on beta.
        gamma_regularizer: Penalty on gamma.
        beta_constraint: Applied to beta after each update.
        gamma_constraint: Applied to gamma after each update.
        **kwargs: Those of `Layer`.

    The weights are gamma, beta, moving_mean and moving_variance, in this order.

    Input and output: any shape of at least two axes, and the same.

    Raises:
        ValueError: For numbers outside of these ranges; when built, for an axis that the input doesn't have or whose
            size isn't known.

    Example:
        >>> layer = BatchNormalization()
        >>> layer.build((None, 28, 28, 3))
        >>> [weight.shape for weight in layer.weights]
        [(3,), (3,), (3,), (3,)]
    """

    casts_integers = True
    supports_masking = True
    _keeps_places = True
    gamma: Parameter | None
    beta: Parameter | None
    moving_mean: Parameter
    moving_variance: Parameter

    def __init__(
        self,
        axis: int = -1,
        momentum: float = 0.99,
        epsilon: float = 1e-3,
        center: bool = True,
        scale: bool = True,
        beta_initializer: Any = "zeros",
        gamma_initializer: Any = "ones",
        moving_mean_initializer: Any = "zeros",
        moving_variance_initializer: Any = "ones",
        beta_regularizer: Any = None,
        gamma_regularizer: Any = None,
        beta_constraint: Any = None,
        gamma_constraint: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if isinstance(axis, bool) or not isinstance(axis, (int, np.integer)) or axis == 0:
            raise ValueError(f"{self}: axis must be an integer other than 0, the batch. Received: {axis!r}")
        self.axis = int(axis)
        self.momentum = checks.number(str(self), "momentum", momentum, "[0, 1]")
        self.epsilon = checks.number(str(self), "epsilon", epsilon, "[0, inf)")
        self.center = checks.flag(str(self), "center", center)
        self.scale = checks.flag(str(self), "scale", scale)
        self.beta_initializer = self.resolve(initializers, "beta_initializer", beta_initializer)
        self.gamma_initializer = self.resolve(initializers, "gamma_initializer", gamma_initializer)
        self.moving_mean_initializer = self.resolve(initializers, "moving_mean_initializer", moving_mean_initializer)
        self.moving_variance_initializer = self.resolve(
            initializers, "moving_variance_initializer", moving_variance_initializer
        )
        self.beta_regularizer = self.resolve(regularizers, "beta_regularizer", beta_regularizer)
        self.gamma_regularizer = self.resolve(regularizers, "gamma_regularizer", gamma_regularizer)
        self.beta_constraint = self.resolve(constraints, "beta_constraint", beta_constraint)
        self.gamma_constraint = self.resolve(constraints, "gamma_constraint", gamma_constraint)
        self.input_spec = InputSpec(min_ndim=2)

    def build(self, input_shape: Shape) -> None:
        """Make gamma, beta and the moving statistics."""
        channels = self._channels(input_shape)
        self.input_spec = InputSpec(ndim=len(input_shape), axes={self.axis: channels})
        self.gamma = self.beta = None
        if self.scale:
            self.gamma = self.add_weight(
                "gamma",
                (channels,),
                initializer=self.gamma_initializer,
                regularizer=self.gamma_regularizer,
                constraint=self.gamma_constraint,
            )
        if self.center:
            self.beta = self.add_weight(
                "beta",
                (channels,),
                initializer=self.beta_initializer,
                regularizer=self.beta_regularizer,
                constraint=self.beta_constraint,
            )
        self.moving_mean = self.add_weight(
            "moving_mean", (channels,), initializer=self.moving_mean_initializer, trainable=False
        )
        self.moving_variance = self.add_weight(
            "moving_variance", (channels,), initializer=self.moving_variance_initializer, trainable=False
        )
        super().build(input_shape)

    def call(self, inputs: Tensor, training: bool | None = None) -> Tensor:
        """Normalise by the statistics of the batch in training, by the moving ones else."""
        if not training or is_frozen(self):
            return self._by_moving_statistics(inputs)
        y, mean, variance = ops.batch_norm(inputs, self.gamma, self.beta, axis=self.axis, epsilon=self.epsilon)
        statistics = (self.moving_mean, mean), (self.moving_variance, variance)
        self.add_update(
            [(moving, self.momentum * moving.data + (1.0 - self.momentum) * now.data) for moving, now in statistics]
        )
        return y

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Return the input's shape."""
        return tuple(input_shape)

    def flops(self, input_shape: Shape, output_shape: Shape) -> int:
        """A multiply-add for each element: one scale and one shift of a channel."""
        return 2 * elements(output_shape)

    def _by_moving_statistics(self, x: Tensor) -> Tensor:
        """``(x - mean) / deviation * gamma + beta`` as one scale and one shift for each channel."""
        scale = 1.0 / ops.sqrt(self.moving_variance + self.epsilon)
        scale = scale if self.gamma is None else scale * self.gamma
        shift = -self.moving_mean * scale
        shift = shift if self.beta is None else shift + self.beta
        return ops.channel_affine(x, scale, shift, axis=self.axis)

    def _channels(self, shape: Shape) -> int:
        if not -len(shape) < self.axis < len(shape):
            raise ValueError(
                f"{self}: the input has no axis {self.axis} besides the batch. Received: input shape {shape}"
            )
        channels = shape[self.axis]
        if channels is None:
            raise ValueError(
                f"{self}: the size of axis {self.axis} must be known when the weights are made. "
                f"Received: input shape {shape}"
            )
        return channels

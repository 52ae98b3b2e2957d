"""Depthwise and separable convolution: a kernel of its own for each channel, and then a mixture of the channels.

Separable convolution is Chollet, "Xception: Deep learning with depthwise separable convolutions" (2017).
"""

from __future__ import annotations

import math
from typing import Any

from .. import constraints, initializers, ops, regularizers
from ..core.tensor import Parameter, Tensor
from .conv import BaseConv
from .measures import elements
from .shapes import Shape, as_size
from .spatial import Channels


class BaseDepthwise(BaseConv):
    """Base of the layers with a depthwise kernel, (*kernel_size, channels, depth_multiplier)."""

    depthwise_kernel: Parameter

    def __init__(
        self,
        *,
        depth_multiplier: int,
        depthwise_initializer: Any,
        depthwise_regularizer: Any,
        depthwise_constraint: Any,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.depth_multiplier = as_size(depth_multiplier, self, "depth_multiplier")
        self.depthwise_initializer = self.resolve(initializers, "depthwise_initializer", depthwise_initializer)
        self.depthwise_regularizer = self.resolve(regularizers, "depthwise_regularizer", depthwise_regularizer)
        self.depthwise_constraint = self.resolve(constraints, "depthwise_constraint", depthwise_constraint)

    def make_kernels(self, channels: int) -> None:
        """Make the depthwise kernel."""
        self.depthwise_kernel = self.add_weight(
            "depthwise_kernel",
            (*self.kernel_size, channels, self.depth_multiplier),
            initializer=self.depthwise_initializer,
            regularizer=self.depthwise_regularizer,
            constraint=self.depthwise_constraint,
        )

    def convolve_depthwise(self, x: Tensor, bias: Tensor | None = None, activation: str | None = None) -> Tensor:
        """Convolve each channel of x (batch, *space, channels) with its own kernels."""
        return ops.depthwise_conv(
            x,
            self.depthwise_kernel,
            bias,
            strides=self.strides,
            padding=self.explicit_padding(x.shape[1:-1]),
            dilation=self.dilation_rate,
            activation=activation,
        )


class DepthwiseConv(BaseDepthwise):
    """Depthwise convolution: ``depth_multiplier`` outputs from each channel, through kernels of its own.

    Args:
        kernel_size: Size of the window; an integer, or a tuple of one per axis.
        strides: Step of the window; an integer, or a tuple of one per axis, which may differ.
        padding: "valid", "same" or (with one axis) "causal", in any case.
        depth_multiplier: Number of output channels for each input channel; those of channel c are the
            ``c * depth_multiplier``-th and following.
        data_format: "channels_last" or "channels_first"; ``image_data_format`` if None, but "channels_last" with
            one axis.
        activation: Name or function applied to the output; none if None.
        use_bias: Whether a bias is added.
        depthwise_initializer: Initializer of the kernel, of shape (*kernel_size, channels, depth_multiplier).
        bias_initializer: Initializer of the bias, of shape (channels * depth_multiplier,).
        depthwise_regularizer: Penalty on the kernel.
        bias_regularizer: Penalty on the bias.
        activity_regularizer: Penalty on the output.
        depthwise_constraint: Applied to the kernel after each update.
        bias_constraint: Applied to the bias after each update.
        dilation_rate: Spacing of the window's taps; an integer, or a tuple of one per axis. (An extension of
            Keras 2.)
        **kwargs: Those of `Layer`.

    Raises:
        ValueError: As `Conv`.
    """

    def __init__(
        self,
        kernel_size: Any,
        strides: Any = 1,
        padding: str = "valid",
        depth_multiplier: int = 1,
        data_format: str | None = None,
        activation: Any = None,
        use_bias: bool = True,
        depthwise_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        depthwise_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        depthwise_constraint: Any = None,
        bias_constraint: Any = None,
        dilation_rate: Any = 1,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            kernel_size=kernel_size,
            strides=strides,
            padding=padding,
            depth_multiplier=depth_multiplier,
            data_format=data_format,
            dilation_rate=dilation_rate,
            activation=activation,
            use_bias=use_bias,
            depthwise_initializer=depthwise_initializer,
            bias_initializer=bias_initializer,
            depthwise_regularizer=depthwise_regularizer,
            bias_regularizer=bias_regularizer,
            activity_regularizer=activity_regularizer,
            depthwise_constraint=depthwise_constraint,
            bias_constraint=bias_constraint,
            **kwargs,
        )

    def convolve(self, x: Tensor, activation: str | None) -> Tensor:
        """Convolve each channel of x (batch, *space, channels) with its own kernels."""
        return self.convolve_depthwise(x, self.bias, activation)

    def output_channels(self, channels: Channels) -> Channels:
        """``depth_multiplier`` for each channel."""
        return None if channels is None else channels * self.depth_multiplier

    def flops(self, input_shape: Shape, output_shape: Shape) -> int:
        """A multiply-add for each tap, for each output; the bias; the activation."""
        return self.finishing_flops(output_shape) + 2 * math.prod(self.kernel_size) * elements(output_shape)


class DepthwiseConv1D(DepthwiseConv):
    """Depthwise convolution over one axis, such as time.

    Args:
        *args, **kwargs: Those of `DepthwiseConv`.

    Input and output: (batch, steps, channels) and (batch, new steps, channels * depth_multiplier).

    Example:
        >>> DepthwiseConv1D(3, depth_multiplier=2).compute_output_shape((None, 10, 4))
        (None, 8, 8)
    """

    rank = 1


class DepthwiseConv2D(DepthwiseConv):
    """Depthwise convolution over images.

    Args:
        *args, **kwargs: Those of `DepthwiseConv`.

    Input and output: (batch, rows, columns, channels) and (batch, new rows, new columns,
    channels * depth_multiplier), or with "channels_first" (batch, channels, rows, columns) and so on.

    Example:
        >>> DepthwiseConv2D(3, padding="same").compute_output_shape((None, 10, 10, 4))
        (None, 10, 10, 4)
    """

    rank = 2


class SeparableConv(BaseDepthwise):
    """Separable convolution: a depthwise convolution, and then one of window 1 that mixes the channels.

    Args:
        filters: Number of output channels.
        kernel_size: Size of the window; an integer, or a tuple of one per axis.
        strides: Step of the window; an integer, or a tuple of one per axis, which may differ.
        padding: "valid", "same" or (with one axis) "causal", in any case.
        data_format: "channels_last" or "channels_first"; ``image_data_format`` if None, but "channels_last" with
            one axis.
        dilation_rate: Spacing of the window's taps; an integer, or a tuple of one per axis.
        depth_multiplier: Number of intermediate channels for each input channel.
        activation: Name or function applied to the output; none if None.
        use_bias: Whether a bias is added, after the mixing.
        depthwise_initializer: Initializer of the depthwise kernel, (*kernel_size, channels, depth_multiplier).
        pointwise_initializer: Initializer of the mixing kernel, (1, ..., 1, channels * depth_multiplier, filters).
        bias_initializer: Initializer of the bias, of shape (filters,).
        depthwise_regularizer: Penalty on the depthwise kernel.
        pointwise_regularizer: Penalty on the mixing kernel.
        bias_regularizer: Penalty on the bias.
        activity_regularizer: Penalty on the output.
        depthwise_constraint: Applied to the depthwise kernel after each update.
        pointwise_constraint: Applied to the mixing kernel after each update.
        bias_constraint: Applied to the bias after each update.
        **kwargs: Those of `Layer`.

    Raises:
        ValueError: As `Conv`.
    """

    pointwise_kernel: Parameter

    def __init__(
        self,
        filters: int,
        kernel_size: Any,
        strides: Any = 1,
        padding: str = "valid",
        data_format: str | None = None,
        dilation_rate: Any = 1,
        depth_multiplier: int = 1,
        activation: Any = None,
        use_bias: bool = True,
        depthwise_initializer: Any = "glorot_uniform",
        pointwise_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        depthwise_regularizer: Any = None,
        pointwise_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        depthwise_constraint: Any = None,
        pointwise_constraint: Any = None,
        bias_constraint: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            kernel_size=kernel_size,
            strides=strides,
            padding=padding,
            data_format=data_format,
            dilation_rate=dilation_rate,
            depth_multiplier=depth_multiplier,
            activation=activation,
            use_bias=use_bias,
            depthwise_initializer=depthwise_initializer,
            bias_initializer=bias_initializer,
            depthwise_regularizer=depthwise_regularizer,
            bias_regularizer=bias_regularizer,
            activity_regularizer=activity_regularizer,
            depthwise_constraint=depthwise_constraint,
            bias_constraint=bias_constraint,
            **kwargs,
        )
        self.filters = as_size(filters, self, "filters")
        self.pointwise_initializer = self.resolve(initializers, "pointwise_initializer", pointwise_initializer)
        self.pointwise_regularizer = self.resolve(regularizers, "pointwise_regularizer", pointwise_regularizer)
        self.pointwise_constraint = self.resolve(constraints, "pointwise_constraint", pointwise_constraint)

    def make_kernels(self, channels: int) -> None:
        """Make the depthwise and the pointwise kernel."""
        super().make_kernels(channels)
        self.pointwise_kernel = self.add_weight(
            "pointwise_kernel",
            (*(1,) * self.rank, channels * self.depth_multiplier, self.filters),
            initializer=self.pointwise_initializer,
            regularizer=self.pointwise_regularizer,
            constraint=self.pointwise_constraint,
        )

    def convolve(self, x: Tensor, activation: str | None) -> Tensor:
        """Convolve each channel of x (batch, *space, channels) with its own kernels, and mix the results."""
        ones = (1,) * self.rank
        return ops.conv(
            self.convolve_depthwise(x),
            self.pointwise_kernel,
            self.bias,
            strides=ones,
            padding=((0, 0),) * self.rank,
            dilation=ones,
            activation=activation,
        )

    def flops(self, input_shape: Shape, output_shape: Shape) -> int:
        """A multiply-add for each tap of the depthwise outputs and for each of their mixtures; bias; activation."""
        depthwise = (self.split_shape(input_shape)[2] or 0) * self.depth_multiplier
        places = elements(output_shape) // self.filters
        taps = depthwise * math.prod(self.kernel_size)
        return self.finishing_flops(output_shape) + 2 * places * (taps + depthwise * self.filters)

    def output_channels(self, channels: Channels) -> Channels:
        """One per filter."""
        return self.filters


class SeparableConv1D(SeparableConv):
    """Separable convolution over one axis, such as time.

    Args:
        *args, **kwargs: Those of `SeparableConv`.

    Input and output: (batch, steps, channels) and (batch, new steps, filters).

    Example:
        >>> SeparableConv1D(16, 3, padding="causal").compute_output_shape((None, None, 4))
        (None, None, 16)
    """

    rank = 1


class SeparableConv2D(SeparableConv):
    """Separable convolution over images.

    Args:
        *args, **kwargs: Those of `SeparableConv`.

    Input and output: (batch, rows, columns, channels) and (batch, new rows, new columns, filters), or with
    "channels_first" (batch, channels, rows, columns) and so on.

    Example:
        >>> SeparableConv2D(32, 3, strides=(2, 1), padding="same").compute_output_shape((None, 28, 28, 8))
        (None, 14, 28, 32)
    """

    rank = 2

"""Convolution of one, two and three axes of space, and what all convolution layers share."""

from __future__ import annotations

import math
from typing import Any

from .. import activations, checks, constraints, initializers, ops, regularizers
from ..core.tensor import Parameter, Tensor
from ..kernels import geometry
from .measures import Reads, activation_flops, elements, read_by_windows
from .shapes import Shape, as_size
from .spatial import Channels, Lengths, SpatialLayer, as_tuple, window_lengths


class BaseConv(SpatialLayer):
    """Base of the layers that slide a kernel: the window, the bias and the activation.

    A subclass writes `make_kernels`, `convolve` and `output_channels`.
    """

    casts_integers = True
    bias: Parameter | None

    def __init__(
        self,
        *,
        kernel_size: Any,
        strides: Any,
        padding: str,
        data_format: str | None,
        dilation_rate: Any,
        activation: Any,
        use_bias: bool,
        bias_initializer: Any,
        bias_regularizer: Any,
        activity_regularizer: Any,
        bias_constraint: Any,
        **kwargs: Any,
    ) -> None:
        super().__init__(data_format=data_format, **kwargs)
        self.kernel_size = as_tuple(kernel_size, self.rank, self, "kernel_size")
        self.strides = as_tuple(strides, self.rank, self, "strides")
        self.padding = checks.choice(str(self), "padding", padding, self._paddings())
        self.dilation_rate = as_tuple(dilation_rate, self.rank, self, "dilation_rate")
        self.activation = self.resolve(activations, "activation", activation)
        self.use_bias = checks.flag(str(self), "use_bias", use_bias)
        self.bias_initializer = self.resolve(initializers, "bias_initializer", bias_initializer)
        self.bias_regularizer = self.resolve(regularizers, "bias_regularizer", bias_regularizer)
        self.activity_regularizer = self.resolve(regularizers, "activity_regularizer", activity_regularizer)
        self.bias_constraint = self.resolve(constraints, "bias_constraint", bias_constraint)
        if max(self.strides) > 1 and max(self.dilation_rate) > 1:
            raise ValueError(
                f"{self}: strides other than 1 and a dilation_rate other than 1 exclude each other. "
                f"Received: strides={self.strides}, dilation_rate={self.dilation_rate}"
            )
        if self.padding == "causal" and self.data_format == "channels_first":
            raise ValueError(
                f"{self}: padding='causal' needs data_format='channels_last'. Received: data_format='channels_first'"
            )

    # ------------------------------------------------------------------ what a subclass writes

    def make_kernels(self, channels: int) -> None:
        """Make the weights other than the bias, for an input with this number of channels."""
        raise NotImplementedError(f"{type(self).__name__} must write make_kernels(self, channels)")

    def convolve(self, x: Tensor, activation: str | None) -> Tensor:
        """Return the output with the bias and, if one is given, the activation that is fused into the operation."""
        raise NotImplementedError(f"{type(self).__name__} must write convolve(self, x, activation)")

    # ------------------------------------------------------------------ what it gets for that

    def build(self, input_shape: Shape) -> None:
        """Make the kernels and the bias, once the input is known to be wide enough."""
        channels = self.known_channels(input_shape)
        self.compute_output_shape(input_shape)
        self.make_kernels(channels)
        self.bias = None
        if self.use_bias:
            self.bias = self.add_weight(
                "bias",
                self.bias_shape(channels),
                initializer=self.bias_initializer,
                regularizer=self.bias_regularizer,
                constraint=self.bias_constraint,
            )
        super().build(input_shape)

    def bias_shape(self, channels: int) -> tuple[int, ...]:
        """Return the bias's shape for an input with this number of channels."""
        return (self.output_channels(channels),)

    def compute(self, x: Tensor) -> Tensor:
        """Convolve, add the bias and apply the activation."""
        fused = activations.fused_name(self.activation)
        y = self.convolve(x, fused)
        return y if fused else self.activation(y)

    def output_lengths(self, lengths: Lengths) -> Lengths:
        """Return how often the window fits along each axis."""
        return window_lengths(lengths, self.kernel_size, self.strides, self.dilation_rate, self.padding, self)

    def axis_reads(self, lengths: Lengths) -> tuple[Reads, ...]:
        """Return what the window reads along each axis."""
        return read_by_windows(lengths, self.kernel_size, self.strides, self.dilation_rate, self.padding)

    def finishing_flops(self, output_shape: Shape) -> int:
        """Return the operations of the bias and the activation."""
        return self.use_bias * elements(output_shape) + activation_flops(self.activation, output_shape)

    def explicit_padding(self, lengths: tuple[int, ...]) -> geometry.Padding:
        """Return (before, after) for each axis of these lengths."""
        return geometry.explicit_padding(self.padding, lengths, self.kernel_size, self.strides, self.dilation_rate)

    def _paddings(self) -> tuple[str, ...]:
        return ("valid", "same", "causal") if self.rank == 1 else ("valid", "same")


class Conv(BaseConv):
    """Convolution: each output is a weighted sum of the inputs under a window, through a kernel learned for it.

    Args:
        filters: Number of output channels.
        kernel_size: Size of the window; an integer, or a tuple of one per axis.
        strides: Step of the window; an integer, or a tuple of one per axis.
        padding: "valid" for windows inside the input only, "same" for ``ceil(length / stride)`` outputs, "causal"
            (with one axis) so that no output sees a later input; in any case.
        data_format: "channels_last" or "channels_first"; ``image_data_format`` if None, but "channels_last" with
            one axis.
        dilation_rate: Spacing of the window's taps; an integer, or a tuple of one per axis.
        activation: Name or function applied to the output; none if None.
        use_bias: Whether a bias is added.
        kernel_initializer: Initializer of the kernel, of shape (*kernel_size, channels / groups, filters).
        bias_initializer: Initializer of the bias, of shape (filters,).
        kernel_regularizer: Penalty on the kernel.
        bias_regularizer: Penalty on the bias.
        activity_regularizer: Penalty on the output.
        kernel_constraint: Applied to the kernel after each update.
        bias_constraint: Applied to the bias after each update.
        groups: Number of groups that channels and filters are split into; each group of filters sees its own group
            of channels only. (An extension of Keras 2.)
        **kwargs: Those of `Layer`.

    Raises:
        ValueError: For sizes that aren't positive integers, strides together with a dilation, filters that the
            groups don't divide; when built, for an input narrower than the window or channels that aren't known.
    """

    kernel: Parameter

    def __init__(
        self,
        filters: int,
        kernel_size: Any,
        strides: Any = 1,
        padding: str = "valid",
        data_format: str | None = None,
        dilation_rate: Any = 1,
        activation: Any = None,
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        bias_constraint: Any = None,
        groups: int = 1,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            kernel_size=kernel_size,
            strides=strides,
            padding=padding,
            data_format=data_format,
            dilation_rate=dilation_rate,
            activation=activation,
            use_bias=use_bias,
            bias_initializer=bias_initializer,
            bias_regularizer=bias_regularizer,
            activity_regularizer=activity_regularizer,
            bias_constraint=bias_constraint,
            **kwargs,
        )
        self.filters = as_size(filters, self, "filters")
        self.kernel_initializer = self.resolve(initializers, "kernel_initializer", kernel_initializer)
        self.kernel_regularizer = self.resolve(regularizers, "kernel_regularizer", kernel_regularizer)
        self.kernel_constraint = self.resolve(constraints, "kernel_constraint", kernel_constraint)
        self.groups = as_size(groups, self, "groups")
        if self.filters % self.groups:
            raise ValueError(
                f"{self}: filters must be divisible by groups. Received: filters={filters}, groups={groups}"
            )

    def make_kernels(self, channels: int) -> None:
        """Make the kernel."""
        if channels % self.groups:
            raise ValueError(
                f"{self}: the channels of the input must be divisible by groups. "
                f"Received: {channels} channels, groups={self.groups}"
            )
        self.kernel = self.add_weight(
            "kernel",
            self.kernel_shape(channels),
            initializer=self.kernel_initializer,
            regularizer=self.kernel_regularizer,
            constraint=self.kernel_constraint,
        )

    def kernel_shape(self, channels: int) -> tuple[int, ...]:
        """Return the kernel's shape for an input with this number of channels."""
        return (*self.kernel_size, channels // self.groups, self.filters)

    def convolve(self, x: Tensor, activation: str | None) -> Tensor:
        """Convolve x (batch, *space, channels) with the kernel."""
        return ops.conv(
            x,
            self.kernel,
            self.bias,
            strides=self.strides,
            padding=self.explicit_padding(x.shape[1:-1]),
            dilation=self.dilation_rate,
            groups=self.groups,
            activation=activation,
        )

    def output_channels(self, channels: Channels) -> Channels:
        """One per filter."""
        return self.filters

    def flops(self, input_shape: Shape, output_shape: Shape) -> int:
        """A multiply-add for each tap and channel of the group, for each output; the bias; the activation."""
        taps = math.prod(self.kernel_size) * (self.split_shape(input_shape)[2] or 0) // self.groups
        return self.finishing_flops(output_shape) + 2 * taps * elements(output_shape)


class Conv1D(Conv):
    """Convolution over one axis, such as time.

    Args:
        *args, **kwargs: Those of `Conv`. ``padding="causal"`` is possible, ``data_format`` is "channels_last" unless
            given.

    Input and output: (batch, steps, channels) and (batch, new steps, filters).

    Example:
        >>> Conv1D(16, 3, padding="causal", dilation_rate=2).compute_output_shape((None, 128, 4))
        (None, 128, 16)
    """

    rank = 1


class Conv2D(Conv):
    """Convolution over images.

    Args:
        *args, **kwargs: Those of `Conv`.

    Input and output: (batch, rows, columns, channels) and (batch, new rows, new columns, filters), or with
    "channels_first" (batch, channels, rows, columns) and so on.

    Example:
        >>> Conv2D(32, (3, 3), activation="relu").compute_output_shape((None, 28, 28, 1))
        (None, 26, 26, 32)
    """

    rank = 2


class Conv3D(Conv):
    """Convolution over volumes.

    Args:
        *args, **kwargs: Those of `Conv`.

    Input and output: (batch, planes, rows, columns, channels) and (batch, new planes, new rows, new columns,
    filters), or with "channels_first" (batch, channels, planes, rows, columns) and so on.

    Example:
        >>> Conv3D(8, 3, padding="same", strides=2).compute_output_shape((None, 16, 16, 16, 1))
        (None, 8, 8, 8, 8)
    """

    rank = 3

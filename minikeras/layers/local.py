"""Locally connected layers: convolutions without shared weights, with a kernel of its own at each position."""

from __future__ import annotations

import math
from typing import Any

from .. import constraints, initializers, ops, regularizers
from ..core.tensor import Parameter, Tensor
from ..kernels import geometry
from .conv import BaseConv
from .measures import elements
from .shapes import InputSpec, Shape, as_size
from .spatial import Channels, from_channels_last

Ints = tuple[int, ...]


class LocallyConnected(BaseConv):
    """Convolution whose weights aren't shared: each position of the window has a kernel and a bias of its own.

    Args:
        filters: Number of output channels.
        kernel_size: Size of the window; an integer, or a tuple of one per axis.
        strides: Step of the window; an integer, or a tuple of one per axis.
        padding: Only "valid", windows inside the input, in any case.
        data_format: "channels_last" or "channels_first"; ``image_data_format`` if None, but "channels_last" with
            one axis.
        activation: Name or function applied to the output; none if None.
        use_bias: Whether a bias is added.
        kernel_initializer: Initializer of the kernel, of shape (positions, window and channels, filters): the
            elements of a window in the order of ``data_format``.
        bias_initializer: Initializer of the bias, of shape (*positions, filters).
        kernel_regularizer: Penalty on the kernel.
        bias_regularizer: Penalty on the bias.
        activity_regularizer: Penalty on the output.
        kernel_constraint: Applied to the kernel after each update.
        bias_constraint: Applied to the bias after each update.
        **kwargs: Those of `Layer`.

    Raises:
        ValueError: For sizes that aren't positive integers, another padding; when built, for an input narrower than
            the window or a size that isn't known.
    """

    _config_excludes = (*BaseConv._config_excludes, "dilation_rate")
    kernel: Parameter
    _positions: tuple[int, ...]

    def __init__(
        self,
        filters: int,
        kernel_size: Any,
        strides: Any = 1,
        padding: str = "valid",
        data_format: str | None = None,
        activation: Any = None,
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        bias_constraint: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            kernel_size=kernel_size,
            strides=strides,
            padding=padding,
            data_format=data_format,
            dilation_rate=1,
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

    def build(self, input_shape: Shape) -> None:
        """Make the kernels and the biases, once the size of the input is known."""
        lengths = self.split_shape(input_shape)[1]
        known = tuple(length for length in lengths if length is not None)
        if len(known) < self.rank:
            raise ValueError(
                f"{self}: all sizes of the input must be known when the weights are made, since each position has its "
                f"own. Received: input shape {tuple(input_shape)}"
            )
        self.output_lengths(known)
        self._positions = geometry.output_lengths(
            known, self.kernel_size, self.strides, self.dilation_rate, ((0, 0),) * self.rank
        )
        super().build(input_shape)
        self.input_spec = InputSpec(shape=(None, *input_shape[1:]))

    def make_kernels(self, channels: int) -> None:
        """Make the kernel."""
        self.kernel = self.add_weight(
            "kernel",
            (math.prod(self._positions), math.prod(self.kernel_size) * channels, self.filters),
            initializer=self.kernel_initializer,
            regularizer=self.kernel_regularizer,
            constraint=self.kernel_constraint,
        )

    def bias_shape(self, channels: int) -> tuple[int, ...]:
        """Return (*positions, filters)."""
        return (*self._positions, self.filters)

    def compute(self, x: Tensor) -> Tensor:
        """Multiply what the window sees at each position by the kernel there."""
        windows = windows_at_positions(x, self.kernel_size, self.strides, self.dilation_rate, self.data_format)
        y = products_at_positions(windows, self.kernel)
        y = ops.reshape(y, shape=(x.shape[0], *self._positions, self.filters))
        return self.activation(y if self.bias is None else y + self.bias)

    def output_channels(self, channels: Channels) -> Channels:
        """One per filter."""
        return self.filters

    def flops(self, input_shape: Shape, output_shape: Shape) -> int:
        """A multiply-add for each tap and channel, for each output; the bias; the activation."""
        taps = math.prod(self.kernel_size) * (self.split_shape(input_shape)[2] or 0)
        return self.finishing_flops(output_shape) + 2 * taps * elements(output_shape)

    def _paddings(self) -> tuple[str, ...]:
        return ("valid",)


def windows_at_positions(x: Tensor, window: Ints, strides: Ints, dilation: Ints, data_format: str) -> Tensor:
    """What a window sees at each position of (batch, *space, channels): (batch, positions, taps and channels).

    The elements of a window are in the order of ``data_format``.
    """
    batch, *lengths, channels = x.shape
    reads = geometry.taps(tuple(lengths), window, strides, dilation, ((0, 0),) * len(window))
    seen = ops.stack([x[(slice(None), *inputs)] for _, inputs in reads], axis=-2)
    positions = math.prod(seen.shape[1:-2])
    seen = from_channels_last(ops.reshape(seen, shape=(batch * positions, len(reads), channels)), data_format)
    return ops.reshape(seen, shape=(batch, positions, len(reads) * channels))


def products_at_positions(windows: Tensor, kernel: Tensor) -> Tensor:
    """(batch, positions, taps) by (positions, taps, filters), position by position: (batch, positions, filters)."""
    return ops.transpose(ops.matmul(ops.transpose(windows, axes=(1, 0, 2)), kernel), axes=(1, 0, 2))


class LocallyConnected1D(LocallyConnected):
    """Locally connected layer over one axis, such as time.

    Args:
        *args, **kwargs: Those of `LocallyConnected`.

    Input and output: (batch, steps, channels) and (batch, new steps, filters).

    Example:
        >>> layer = LocallyConnected1D(8, 3)
        >>> layer.build((None, 10, 2))
        >>> layer.kernel.shape, layer.bias.shape
        ((8, 6, 8), (8, 8))
    """

    rank = 1


class LocallyConnected2D(LocallyConnected):
    """Locally connected layer over images.

    Args:
        *args, **kwargs: Those of `LocallyConnected`.

    Input and output: (batch, rows, columns, channels) and (batch, new rows, new columns, filters), or with
    "channels_first" (batch, channels, rows, columns) and so on.

    Example:
        >>> LocallyConnected2D(4, (3, 3)).compute_output_shape((None, 28, 28, 1))
        (None, 26, 26, 4)
    """

    rank = 2

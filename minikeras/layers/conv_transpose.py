"""Transposed convolution of one, two and three axes of space: the adjoint of a convolution, which widens its input."""

from __future__ import annotations

import math
from typing import Any

from .. import ops
from ..core.tensor import Tensor
from ..kernels import geometry
from .conv import Conv
from .measures import Reads, elements, read_by_adjoint
from .shapes import Shape
from .spatial import Lengths, as_tuple, counted


class ConvTranspose(Conv):
    """Transposed convolution: the adjoint of the convolution that takes the output's space to the input's.

    Without ``output_padding`` the output is ``length * strides`` long with padding "same", and with "valid" as long
    as the shortest input whose convolution sees every element. "same" is the padding of that convolution, so it
    follows from the output's length.

    Args:
        filters: Number of output channels.
        kernel_size: Size of the window; an integer, or a tuple of one per axis.
        strides: How much the output widens; an integer, or a tuple of one per axis.
        padding: "valid" or "same", in any case.
        output_padding: Elements added at the end of each axis, less than its stride, to an output of
            ``(length - 1) * strides + window``, less ``2 * (window // 2)`` with padding "same"; None for the lengths
            said above.
        data_format: "channels_last" or "channels_first"; ``image_data_format`` if None, but "channels_last" with
            one axis.
        dilation_rate: Spacing of the window's taps; an integer, or a tuple of one per axis.
        activation: Name or function applied to the output; none if None.
        use_bias: Whether a bias is added.
        kernel_initializer: Initializer of the kernel, of shape (*kernel_size, filters / groups, channels).
        bias_initializer: Initializer of the bias, of shape (filters,).
        kernel_regularizer: Penalty on the kernel.
        bias_regularizer: Penalty on the bias.
        activity_regularizer: Penalty on the output.
        kernel_constraint: Applied to the kernel after each update.
        bias_constraint: Applied to the bias after each update.
        groups: Number of groups that channels and filters are split into. (An extension of Keras 2.)
        **kwargs: Those of `Layer`.

    Raises:
        ValueError: As `Conv`; for an output_padding that isn't less than the stride; when built, if no convolution
            of this window takes the output's length to the input's, as with padding "same", an even window and an
            output_padding of 0.
    """

    def __init__(
        self,
        filters: int,
        kernel_size: Any,
        strides: Any = 1,
        padding: str = "valid",
        output_padding: Any = None,
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
            filters=filters,
            kernel_size=kernel_size,
            strides=strides,
            padding=padding,
            data_format=data_format,
            dilation_rate=dilation_rate,
            activation=activation,
            use_bias=use_bias,
            kernel_initializer=kernel_initializer,
            bias_initializer=bias_initializer,
            kernel_regularizer=kernel_regularizer,
            bias_regularizer=bias_regularizer,
            activity_regularizer=activity_regularizer,
            kernel_constraint=kernel_constraint,
            bias_constraint=bias_constraint,
            groups=groups,
            **kwargs,
        )
        self.output_padding = output_padding
        if output_padding is not None:
            self.output_padding = as_tuple(output_padding, self.rank, self, "output_padding", minimum=0)
            if any(extra >= stride for extra, stride in zip(self.output_padding, self.strides, strict=True)):
                raise ValueError(
                    f"{self}: output_padding must be less than the stride. "
                    f"Received: output_padding={self.output_padding}, strides={self.strides}"
                )

    def kernel_shape(self, channels: int) -> tuple[int, ...]:
        """Return the kernel's shape: that of the convolution from the output to the input."""
        return (*self.kernel_size, self.filters // self.groups, channels)

    def convolve(self, x: Tensor, activation: str | None) -> Tensor:
        """Apply the adjoint of the convolution from the output's space to that of x (batch, *space, channels)."""
        lengths = tuple(n for n in self.output_lengths(x.shape[1:-1]) if n is not None)
        return ops.conv_input_grad(
            x,
            self.kernel,
            self.bias,
            input_size=lengths,
            strides=self.strides,
            padding=self.explicit_padding(lengths),
            dilation=self.dilation_rate,
            groups=self.groups,
            activation=activation,
        )

    def output_lengths(self, lengths: Lengths) -> Lengths:
        """Return the lengths of the output, Keras's deconv_length."""
        return tuple(self._output_length(axis, length) for axis, length in enumerate(lengths))

    def axis_reads(self, lengths: Lengths) -> tuple[Reads, ...]:
        """Return what the adjoint of the window reads along each axis."""
        outputs = self.output_lengths(lengths)
        return read_by_adjoint(outputs, self.kernel_size, self.strides, self.dilation_rate, self.padding)

    def flops(self, input_shape: Shape, output_shape: Shape) -> int:
        """A multiply-add for each tap and filter of the group, for each input; the bias; the activation."""
        taps = math.prod(self.kernel_size) * self.filters // self.groups
        return self.finishing_flops(output_shape) + 2 * taps * elements(input_shape)

    def _output_length(self, axis: int, length: int | None) -> int | None:
        n = 1 if length is None else length  # whether the convolution exists doesn't depend on the length
        window, stride, dilation = self.kernel_size[axis], self.strides[axis], self.dilation_rate[axis]
        extra = None if self.output_padding is None else self.output_padding[axis]
        output = geometry.transposed_length(n, window, stride, self.padding, extra, dilation)
        (pair,) = geometry.explicit_padding(self.padding, (output,), (window,), (stride,), (dilation,))
        back = geometry.output_length(output, window, stride, dilation, *pair)
        if back != n or n == 0:
            noun = counted(self.rank)[axis]
            raise ValueError(
                f"{self}: this would be the adjoint of no convolution: from {n} {noun} it would make {output}, and the "
                f"convolution of these gives {back}. Received: kernel_size={self.kernel_size}, strides={self.strides}, "
                f"padding={self.padding!r}, output_padding={self.output_padding}, dilation_rate={self.dilation_rate}"
            )
        return None if length is None else output

    def _paddings(self) -> tuple[str, ...]:
        return ("valid", "same")


class Conv1DTranspose(ConvTranspose):
    """Transposed convolution over one axis, such as time.

    Args:
        *args, **kwargs: Those of `ConvTranspose`.

    Input and output: (batch, steps, channels) and (batch, new steps, filters).

    Example:
        >>> Conv1DTranspose(4, 3, strides=2, padding="same").compute_output_shape((None, 64, 8))
        (None, 128, 4)
    """

    rank = 1


class Conv2DTranspose(ConvTranspose):
    """Transposed convolution over images.

    Args:
        *args, **kwargs: Those of `ConvTranspose`.

    Input and output: (batch, rows, columns, channels) and (batch, new rows, new columns, filters), or with
    "channels_first" (batch, channels, rows, columns) and so on.

    Example:
        >>> Conv2DTranspose(3, 5, strides=(2, 2), padding="same").compute_output_shape((None, 14, 14, 32))
        (None, 28, 28, 3)
    """

    rank = 2


class Conv3DTranspose(ConvTranspose):
    """Transposed convolution over volumes.

    Args:
        All those of `ConvTranspose`; ``dilation_rate`` and ``groups`` by keyword only, as Keras 2's has none.

    Input and output: (batch, planes, rows, columns, channels) and (batch, new planes, new rows, new columns,
    filters), or with "channels_first" (batch, channels, planes, rows, columns) and so on.

    Example:
        >>> Conv3DTranspose(2, 3, strides=2).compute_output_shape((None, 4, 4, 4, 8))
        (None, 9, 9, 9, 2)
    """

    rank = 3

    def __init__(
        self,
        filters: int,
        kernel_size: Any,
        strides: Any = 1,
        padding: str = "valid",
        output_padding: Any = None,
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
        *,
        dilation_rate: Any = 1,
        groups: int = 1,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            filters=filters,
            kernel_size=kernel_size,
            strides=strides,
            padding=padding,
            output_padding=output_padding,
            data_format=data_format,
            dilation_rate=dilation_rate,
            activation=activation,
            use_bias=use_bias,
            kernel_initializer=kernel_initializer,
            bias_initializer=bias_initializer,
            kernel_regularizer=kernel_regularizer,
            bias_regularizer=bias_regularizer,
            activity_regularizer=activity_regularizer,
            kernel_constraint=kernel_constraint,
            bias_constraint=bias_constraint,
            groups=groups,
            **kwargs,
        )

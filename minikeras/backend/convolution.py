"""Convolution, its relatives and pooling, with Keras's arguments: padding and data format by name.

Shapes are given for "channels_last": (batch, *space, channels); with "channels_first" they are
(batch, channels, *space), of inputs and outputs alike. Kernels are the same in both.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .. import checks, ops
from ..core.tensor import Tensor
from ..kernels import geometry
from ..layers.spatial import as_tuple, channels_last, from_channels_last, window_lengths
from .recording import as_ints, as_tensor, recorded
from .settings import normalize_data_format

Padding = tuple[tuple[int, int], ...]


@recorded
def conv1d(
    x: Any,
    kernel: Any,
    strides: Any = 1,
    padding: str = "valid",
    data_format: str | None = None,
    dilation_rate: Any = 1,
) -> Tensor:
    """Convolution of sequences.

    Args:
        x: (batch, steps, channels).
        kernel: (window, channels, filters).
        strides: Integer.
        padding: "valid", "same" or "causal".
        data_format: "channels_last" or "channels_first"; `image_data_format` if None.
        dilation_rate: Integer.

    Returns:
        Tensor (batch, positions, filters).

    Raises:
        ValueError: If a shape or an argument doesn't fit, or the input is narrower than the window.
    """
    return _convolve("conv1d", ops.conv, 1, x, kernel, strides, padding, data_format, dilation_rate)


@recorded
def conv2d(
    x: Any,
    kernel: Any,
    strides: Any = (1, 1),
    padding: str = "valid",
    data_format: str | None = None,
    dilation_rate: Any = (1, 1),
) -> Tensor:
    """Convolution of images.

    Args:
        x: (batch, rows, columns, channels).
        kernel: (rows, columns, channels, filters).
        strides: Integer or pair.
        padding: "valid" or "same".
        data_format: "channels_last" or "channels_first"; `image_data_format` if None.
        dilation_rate: Integer or pair.

    Returns:
        Tensor (batch, rows, columns, filters).

    Raises:
        ValueError: As `conv1d`.
    """
    return _convolve("conv2d", ops.conv, 2, x, kernel, strides, padding, data_format, dilation_rate)


@recorded
def conv3d(
    x: Any,
    kernel: Any,
    strides: Any = (1, 1, 1),
    padding: str = "valid",
    data_format: str | None = None,
    dilation_rate: Any = (1, 1, 1),
) -> Tensor:
    """Convolution of volumes.

    Args:
        x: (batch, planes, rows, columns, channels).
        kernel: (planes, rows, columns, channels, filters).
        strides: Integer or triple.
        padding: "valid" or "same".
        data_format: "channels_last" or "channels_first"; `image_data_format` if None.
        dilation_rate: Integer or triple.

    Returns:
        Tensor (batch, planes, rows, columns, filters).

    Raises:
        ValueError: As `conv1d`.
    """
    return _convolve("conv3d", ops.conv, 3, x, kernel, strides, padding, data_format, dilation_rate)


@recorded
def depthwise_conv2d(
    x: Any,
    depthwise_kernel: Any,
    strides: Any = (1, 1),
    padding: str = "valid",
    data_format: str | None = None,
    dilation_rate: Any = (1, 1),
) -> Tensor:
    """Convolution of each channel with kernels of its own.

    Args:
        x: (batch, rows, columns, channels).
        depthwise_kernel: (rows, columns, channels, multiplier).
        strides, padding, data_format, dilation_rate: As of `conv2d`.

    Returns:
        Tensor (batch, rows, columns, channels * multiplier).
    """
    return _convolve(
        "depthwise_conv2d", ops.depthwise_conv, 2, x, depthwise_kernel, strides, padding, data_format, dilation_rate
    )


@recorded
def separable_conv1d(
    x: Any,
    depthwise_kernel: Any,
    pointwise_kernel: Any,
    strides: Any = 1,
    padding: str = "valid",
    data_format: str | None = None,
    dilation_rate: Any = 1,
) -> Tensor:
    """Convolution of each channel of sequences, and then a mixture of the channels (Chollet 2017).

    Args:
        x: (batch, steps, channels).
        depthwise_kernel: (window, channels, multiplier).
        pointwise_kernel: (1, channels * multiplier, filters).
        strides, padding, data_format, dilation_rate: As of `conv1d`.

    Returns:
        Tensor (batch, positions, filters).
    """
    return _separable(
        "separable_conv1d", 1, x, depthwise_kernel, pointwise_kernel, strides, padding, data_format, dilation_rate
    )


@recorded
def separable_conv2d(
    x: Any,
    depthwise_kernel: Any,
    pointwise_kernel: Any,
    strides: Any = (1, 1),
    padding: str = "valid",
    data_format: str | None = None,
    dilation_rate: Any = (1, 1),
) -> Tensor:
    """Convolution of each channel of images, and then a mixture of the channels (Chollet 2017).

    Args:
        x: (batch, rows, columns, channels).
        depthwise_kernel: (rows, columns, channels, multiplier).
        pointwise_kernel: (1, 1, channels * multiplier, filters).
        strides, padding, data_format, dilation_rate: As of `conv2d`.

    Returns:
        Tensor (batch, rows, columns, filters).
    """
    return _separable(
        "separable_conv2d", 2, x, depthwise_kernel, pointwise_kernel, strides, padding, data_format, dilation_rate
    )


@recorded
def conv2d_transpose(
    x: Any,
    kernel: Any,
    output_shape: Any,
    strides: Any = (1, 1),
    padding: str = "valid",
    data_format: str | None = None,
    dilation_rate: Any = (1, 1),
) -> Tensor:
    """Transposed convolution of images: the adjoint of the convolution from the output's shape to the input's.

    Args:
        x: (batch, rows, columns, channels).
        kernel: (rows, columns, filters, channels).
        output_shape: Shape of the output: (batch, rows, columns, filters); batch and filters aren't read.
        strides, padding, data_format, dilation_rate: Those of the convolution, as of `conv2d`.

    Returns:
        Tensor of the output's shape.

    Raises:
        ValueError: If that convolution doesn't lead to the shape of ``x``.
    """
    return _transposed("conv2d_transpose", 2, x, kernel, output_shape, strides, padding, data_format, dilation_rate)


@recorded
def conv3d_transpose(
    x: Any,
    kernel: Any,
    output_shape: Any,
    strides: Any = (1, 1, 1),
    padding: str = "valid",
    data_format: str | None = None,
) -> Tensor:
    """Transposed convolution of volumes: the adjoint of the convolution from the output's shape to the input's.

    Args:
        x: (batch, planes, rows, columns, channels).
        kernel: (planes, rows, columns, filters, channels).
        output_shape: Shape of the output: (batch, planes, rows, columns, filters); batch and filters aren't read.
        strides, padding, data_format: Those of the convolution, as of `conv3d`.

    Returns:
        Tensor of the output's shape.

    Raises:
        ValueError: If that convolution doesn't lead to the shape of ``x``.
    """
    return _transposed("conv3d_transpose", 3, x, kernel, output_shape, strides, padding, data_format, 1)


@recorded
def pool2d(
    x: Any,
    pool_size: Any,
    strides: Any = (1, 1),
    padding: str = "valid",
    data_format: str | None = None,
    pool_mode: str = "max",
) -> Tensor:
    """The maximum or the mean of every window of images.

    Args:
        x: (batch, rows, columns, channels).
        pool_size: Integer or pair.
        strides: Integer or pair.
        padding: "valid" or "same"; what it adds never wins and isn't counted.
        data_format: "channels_last" or "channels_first"; `image_data_format` if None.
        pool_mode: "max" or "avg".

    Returns:
        Tensor (batch, rows, columns, channels).

    Raises:
        ValueError: If a shape or an argument doesn't fit, or the input is narrower than the window.
    """
    return _pooled("pool2d", 2, x, pool_size, strides, padding, data_format, pool_mode)


@recorded
def pool3d(
    x: Any,
    pool_size: Any,
    strides: Any = (1, 1, 1),
    padding: str = "valid",
    data_format: str | None = None,
    pool_mode: str = "max",
) -> Tensor:
    """The maximum or the mean of every window of volumes.

    Args:
        x: (batch, planes, rows, columns, channels).
        pool_size: Integer or triple.
        strides: Integer or triple.
        padding: "valid" or "same"; what it adds never wins and isn't counted.
        data_format: "channels_last" or "channels_first"; `image_data_format` if None.
        pool_mode: "max" or "avg".

    Returns:
        Tensor (batch, planes, rows, columns, channels).

    Raises:
        ValueError: As `pool2d`.
    """
    return _pooled("pool3d", 3, x, pool_size, strides, padding, data_format, pool_mode)


# ---------------------------------------------------------------------- for any number of axes


def _convolve(
    name: str,
    operation: Callable[..., Tensor],
    rank: int,
    x: Any,
    kernel: Any,
    strides: Any,
    padding: str,
    data_format: str | None,
    dilation_rate: Any,
) -> Tensor:
    order = normalize_data_format(data_format)
    x, kernel = spatial_input(name, rank, x, order), _kernel(name, rank, kernel)
    window, steps = kernel.shape[:rank], as_tuple(strides, rank, name, "strides")
    dilation = as_tuple(dilation_rate, rank, name, "dilation_rate")
    pairs = _pairs(name, padding, x.shape[1:-1], window, steps, dilation)
    return from_channels_last(operation(x, kernel, strides=steps, padding=pairs, dilation=dilation), order)


def _separable(
    name: str,
    rank: int,
    x: Any,
    depthwise_kernel: Any,
    pointwise_kernel: Any,
    strides: Any,
    padding: str,
    data_format: str | None,
    dilation_rate: Any,
) -> Tensor:
    pointwise_kernel = _kernel(name, rank, pointwise_kernel)
    if pointwise_kernel.shape[:rank] != (1,) * rank:
        raise ValueError(f"{name}: pointwise_kernel must have a window of 1. Received: shape {pointwise_kernel.shape}")
    arguments = (strides, padding, data_format, dilation_rate)
    y = _convolve(name, ops.depthwise_conv, rank, x, depthwise_kernel, *arguments)
    return _convolve(name, ops.conv, rank, y, pointwise_kernel, 1, "valid", data_format, 1)


def _transposed(
    name: str,
    rank: int,
    x: Any,
    kernel: Any,
    output_shape: Any,
    strides: Any,
    padding: str,
    data_format: str | None,
    dilation_rate: Any,
) -> Tensor:
    order = normalize_data_format(data_format)
    x, kernel = spatial_input(name, rank, x, order), _kernel(name, rank, kernel)
    if len(output_shape) != rank + 2:
        raise ValueError(f"{name}: output_shape must have {rank + 2} sizes. Received: {output_shape!r}")
    space = output_shape[2:] if order == "channels_first" else output_shape[1:-1]
    lengths = as_ints(name, "output_shape", space)
    window, steps = kernel.shape[:rank], as_tuple(strides, rank, name, "strides")
    dilation = as_tuple(dilation_rate, rank, name, "dilation_rate")
    pairs = _pairs(name, padding, lengths, window, steps, dilation)
    reached = geometry.output_lengths(lengths, window, steps, dilation, pairs)
    if reached != x.shape[1:-1]:
        raise ValueError(
            f"{name}: the convolution from the output's space {lengths} leads to {reached}, and the input has "
            f"{x.shape[1:-1]}. Received: strides={steps}, padding={padding!r}, a window of {window}"
        )
    y = ops.conv_input_grad(x, kernel, input_size=lengths, strides=steps, padding=pairs, dilation=dilation)
    return from_channels_last(y, order)


def _pooled(
    name: str,
    rank: int,
    x: Any,
    pool_size: Any,
    strides: Any,
    padding: str,
    data_format: str | None,
    pool_mode: str,
) -> Tensor:
    order = normalize_data_format(data_format)
    x = spatial_input(name, rank, x, order)
    window, steps = as_tuple(pool_size, rank, name, "pool_size"), as_tuple(strides, rank, name, "strides")
    pool = {"max": ops.max_pool, "avg": ops.average_pool}[checks.choice(name, "pool_mode", pool_mode, ("max", "avg"))]
    pairs = _pairs(name, padding, x.shape[1:-1], window, steps, (1,) * rank)
    return from_channels_last(pool(x, window=window, strides=steps, padding=pairs), order)


def spatial_input(name: str, rank: int, x: Any, data_format: str) -> Tensor:
    """The input as (batch, *space, channels)."""
    x = as_tensor(x)
    if x.ndim != rank + 2:
        raise ValueError(f"{name}: x must have {rank + 2} axes, batch and channels included. Received: shape {x.shape}")
    return channels_last(x, data_format)


def _kernel(name: str, rank: int, kernel: Any) -> Tensor:
    kernel = as_tensor(kernel)
    if kernel.ndim != rank + 2:
        raise ValueError(f"{name}: the kernel must have {rank + 2} axes. Received: shape {kernel.shape}")
    return kernel


def _pairs(name: str, padding: str, lengths: Any, window: Any, strides: Any, dilation: Any) -> Padding:
    """The padding by name as (before, after) per axis; raises ValueError for a window that is too wide."""
    known = ("valid", "same", "causal") if name == "conv1d" else ("valid", "same")
    padding = checks.choice(name, "padding", padding, known)
    window_lengths(lengths, window, strides, dilation, padding, name)
    return geometry.explicit_padding(padding, lengths, window, strides, dilation)

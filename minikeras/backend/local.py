"""Locally connected layers' operation: convolution with a kernel of its own at each position."""

from __future__ import annotations

from typing import Any

from .. import ops
from ..core.tensor import Tensor
from ..layers.local import products_at_positions, windows_at_positions
from ..layers.spatial import as_tuple, from_channels_last, window_lengths
from .convolution import spatial_input
from .recording import as_tensor, recorded
from .settings import normalize_data_format


@recorded
def local_conv1d(inputs: Any, kernel: Any, kernel_size: Any, strides: Any, data_format: str | None = None) -> Tensor:
    """Convolution of sequences with a kernel of its own at each position.

    Args:
        inputs: (batch, steps, channels).
        kernel: (positions, window * channels, filters).
        kernel_size: Tuple with the window.
        strides: Tuple with the step.
        data_format: "channels_last" or "channels_first"; `image_data_format` if None.

    Returns:
        Tensor (batch, positions, filters).

    Raises:
        ValueError: If the kernel doesn't have these sizes.
    """
    return _local("local_conv1d", 1, inputs, kernel, kernel_size, strides, data_format)


@recorded
def local_conv2d(
    inputs: Any, kernel: Any, kernel_size: Any, strides: Any, output_shape: Any, data_format: str | None = None
) -> Tensor:
    """Convolution of images with a kernel of its own at each position.

    Args:
        inputs: (batch, rows, columns, channels).
        kernel: (positions, window, filters): positions and window in rows; a window is (rows, columns, channels), or
            (channels, rows, columns) with "channels_first".
        kernel_size: Pair with the window's rows and columns.
        strides: Pair with the steps.
        output_shape: Pair with the positions' rows and columns.
        data_format: "channels_last" or "channels_first"; `image_data_format` if None.

    Returns:
        Tensor (batch, *output_shape, filters).

    Raises:
        ValueError: If the kernel or ``output_shape`` doesn't have these sizes.
    """
    return _local("local_conv2d", 2, inputs, kernel, kernel_size, strides, data_format, output_shape)


def _local(
    name: str,
    rank: int,
    inputs: Any,
    kernel: Any,
    kernel_size: Any,
    strides: Any,
    data_format: str | None,
    output_shape: Any = None,
) -> Tensor:
    order = normalize_data_format(data_format)
    x, kernel = spatial_input(name, rank, inputs, order), as_tensor(kernel)
    window, steps = as_tuple(kernel_size, rank, name, "kernel_size"), as_tuple(strides, rank, name, "strides")
    ones = (1,) * rank
    positions = tuple([n or 0 for n in window_lengths(x.shape[1:-1], window, steps, ones, "valid", name)])
    windows = windows_at_positions(x, window, steps, ones, order)
    if kernel.shape[:-1] != windows.shape[1:] or (output_shape is not None and tuple(output_shape) != positions):
        raise ValueError(
            f"{name}: the kernel must be {(*windows.shape[1:], 'filters')} for the positions {positions}. "
            f"Received: a kernel of shape {kernel.shape}, output_shape={output_shape!r}"
        )
    y = products_at_positions(windows, kernel)
    return from_channels_last(ops.reshape(y, (x.shape[0], *positions, kernel.shape[-1])), order)

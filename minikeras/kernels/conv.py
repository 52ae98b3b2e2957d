"""Convolution and its two gradients: the three faces of one trilinear form <conv(x, w), g>.

Each lowers its input to columns, a block at a time, and leaves the arithmetic to one GEMM per block. The columns
of a block stay in cache between being written and being read, as do the results until bias and activation are applied.
Shapes: x (N, *spatial, C), w (*window, C / groups, F), g (N, *output, F).
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from .blocks import Block, input_blocks, windows
from .depthwise import depthwise_conv, depthwise_input_grad, depthwise_kernel_grad
from .epilogue import add_bias_and_activate
from .geometry import Padding, output_lengths, phases

Ints = tuple[int, ...]


def conv(
    x: np.ndarray,
    w: np.ndarray,
    bias: np.ndarray | None = None,
    *,
    strides: Ints,
    padding: Padding,
    dilation: Ints,
    groups: int = 1,
    activation: str | None = None,
) -> np.ndarray:
    """Convolution (cross-correlation, as every network library means it) with bias and activation.

    Parameters
    ----------
    x : ndarray (N, *spatial, C)
    w : ndarray (*window, C / groups, F)
    bias : ndarray (F,) or None
    strides, dilation : tuples of int, one per spatial axis
    padding : tuple of (lo, hi), one per spatial axis
    groups : int
        Output channels ``[i F / groups, (i + 1) F / groups)`` see the i-th of as many parts of the input channels.
    activation : {None, "relu", "tanh", "sigmoid"}

    Returns
    -------
    ndarray (N, *output, F)
    """
    if groups == x.shape[-1] > 1:
        w = w.reshape(*w.shape[:-2], groups, -1)
        return depthwise_conv(x, w, bias, strides=strides, padding=padding, dilation=dilation, activation=activation)
    sizes = output_lengths(x.shape[1:-1], w.shape[:-2], strides, dilation, padding)
    out = np.empty((len(x), *sizes, w.shape[-1]), np.result_type(x, w))
    _convolve(x, w, bias, out, strides, padding, dilation, groups, activation)
    return out


def conv_input_grad(
    g: np.ndarray,
    w: np.ndarray,
    bias: np.ndarray | None = None,
    *,
    input_size: Ints,
    strides: Ints,
    padding: Padding,
    dilation: Ints,
    groups: int = 1,
    activation: str | None = None,
) -> np.ndarray:
    """Adjoint of `conv` in x; with bias and activation, the transposed convolution (Dumoulin and Visin 2016).

    The inputs that a strided convolution reads fall into phases by their remainder modulo the stride. Each phase is
    reached by some taps only, and is an ordinary convolution of `g` with those: no zeros are stuffed between the
    elements of `g`, and every result is written once.

    Parameters
    ----------
    g : ndarray (N, *output, F)
    w : ndarray (*window, C / groups, F)
    bias : ndarray (C,) or None
    input_size : tuple of int
        Spatial sizes of x, which those of `g` do not determine.
    strides, padding, dilation, groups
        Those of the convolution.
    activation : {None, "relu", "tanh", "sigmoid"}

    Returns
    -------
    ndarray (N, *input_size, C)
    """
    window = w.shape[:-2]
    if groups > 1 == w.shape[-2]:
        w = w.reshape(*window, groups, -1)
        out = depthwise_input_grad(g, w, input_size=input_size, strides=strides, padding=padding, dilation=dilation)
        add_bias_and_activate(out, bias, activation)
        return out
    w = _transposed_kernel(w, groups)
    out = np.empty((len(g), *input_size, w.shape[-1]), np.result_type(g, w))
    for phase in phases(input_size, g.shape[1:-1], window, strides, dilation, padding):
        source, kernel = g[(slice(None), *phase.reads)], w[phase.taps]
        part = out[(slice(None), *phase.inputs)]
        if kernel.size:
            _convolve(source, kernel, bias, part, (1,) * len(window), phase.padding, phase.dilation, groups, activation)
        else:
            part[...] = 0
            add_bias_and_activate(part, bias, activation)
    return out


def conv_kernel_grad(
    x: np.ndarray, g: np.ndarray, *, window: Ints, strides: Ints, padding: Padding, dilation: Ints, groups: int = 1
) -> np.ndarray:
    """Adjoint of `conv` in w.

    Parameters
    ----------
    x : ndarray (N, *spatial, C)
    g : ndarray (N, *output, F)
    window : tuple of int
        Spatial sizes of the kernel.
    strides, padding, dilation, groups
        Those of the convolution.

    Returns
    -------
    ndarray (*window, C / groups, F)
    """
    channels, filters = x.shape[-1] // groups, g.shape[-1]
    if groups == x.shape[-1] > 1:
        dw = depthwise_kernel_grad(x, g, window=window, strides=strides, padding=padding, dilation=dilation)
        return dw.reshape(*window, channels, filters)
    sizes = g.shape[1:-1]
    rowwise = _rowwise(sizes, window, strides, x.shape[-1], 0)
    rows = window[0] if rowwise else 1
    total = np.zeros((rows, groups, math.prod(window) // rows * channels, filters // groups), np.result_type(x, g))
    for block, columns in _column_blocks(x, sizes, window, strides, dilation, padding, groups, filters, rowwise):
        cotangent = _grouped(g[block], groups, columns[0].shape[1])
        for row, column in zip(total, columns, strict=True):
            # (G, images, taps C/G, positions) @ (G, images, positions, F/G)
            row += np.matmul(column.swapaxes(-1, -2), cotangent).sum(axis=1)
    return np.ascontiguousarray(total.swapaxes(1, 2)).reshape(*window, channels, filters)


def _convolve(
    x: np.ndarray,
    w: np.ndarray,
    bias: np.ndarray | None,
    out: np.ndarray,
    strides: Ints,
    padding: Padding,
    dilation: Ints,
    groups: int,
    activation: str | None,
) -> None:
    """Write the convolution into `out` (N, *output, F), which may be any view."""
    window, filters, sizes = w.shape[:-2], w.shape[-1], out.shape[1:-1]
    rowwise = _rowwise(sizes, window, strides, x.shape[-1], filters)
    rows = window[0] if rowwise else 1
    kernels = w.reshape(rows, -1, groups, filters // groups).swapaxes(1, 2)[:, :, None]  # (rows, G, 1, taps C/G, F/G)
    for block, columns in _column_blocks(x, sizes, window, strides, dilation, padding, groups, filters, rowwise):
        target = out[block]
        result = target if target.flags.c_contiguous else np.empty(target.shape, out.dtype)
        total = _grouped(result, groups, columns[0].shape[1])
        np.matmul(columns[0], kernels[0], out=total)
        for column, kernel in zip(columns[1:], kernels[1:], strict=True):
            total += np.matmul(column, kernel)
        add_bias_and_activate(result, bias, activation)
        if result is not target:
            target[...] = result


def _rowwise(sizes: Ints, window: Ints, strides: Ints, channels: int, filters: int) -> bool:
    """Whether to lower all axes but the first, and sum one GEMM per tap of that (Cho and Brand 2017).

    It copies fewer columns, but costs sums of `filters` results per position, and GEMMs of single images.
    """
    rows, rest = window[0], math.prod(window[1:])
    if rows == 1 or strides[0] > 1 or math.prod(sizes) < 256:
        return False
    lowered = rest * channels if rest > 1 else 0
    return lowered + 1.5 * (rows - 1) * filters < rows * rest * channels


def _column_blocks(
    x: np.ndarray,
    sizes: Ints,
    window: Ints,
    strides: Ints,
    dilation: Ints,
    padding: Padding,
    groups: int,
    filters: int,
    rowwise: bool,
) -> Iterator[tuple[Block, list[np.ndarray]]]:
    """Lower `x` in blocks: (block, [columns (G, images, positions, taps C/G)]).

    The list has one entry for each tap of the window's first axis if `rowwise`, else a single one that takes the
    images for one. The columns lie in memory by position, or by tap where that gives the copy the longer runs:
    NumPy copies run by run, and a first layer's three colours are too short a run.
    """
    channels = x.shape[-1]
    run = (window[-1] if dilation[-1] == 1 and len(window) > rowwise else 1) * (channels // groups)
    by_tap = not rowwise and run < min(sizes[-1], 16) and math.prod(window) > 1
    taps = (1, *window[1:]) if rowwise else window
    width, depth = math.prod(sizes[1:]), math.prod(taps) * channels
    visits = input_blocks(
        x,
        sizes,
        window,
        strides,
        dilation,
        padding,
        row_bytes=(depth + (1 + rowwise) * filters) * width * x.itemsize,
        at_least=depth * filters // groups * x.itemsize,
        split=channels if by_tap else groups,
    )
    for block, part in visits:
        height = block[1].stop - block[1].start
        if not rowwise:
            view = windows(part, (height, *sizes[1:]), window, strides, dilation)
            yield block, [_lower(view, groups, by_tap).reshape(groups, 1, -1, depth // groups)]
            continue
        view = windows(part, (height + (window[0] - 1) * dilation[0], *sizes[1:]), taps, strides, dilation)
        columns = _lower(view, groups, by_tap)
        starts = (tap * dilation[0] * width for tap in range(window[0]))
        yield block, [columns[:, :, start : start + height * width] for start in starts]


def _lower(view: np.ndarray, groups: int, by_tap: bool) -> np.ndarray:
    """Columns (G, images, positions, taps C/G) of windows (images, split, *sizes, *window, C / split)."""
    images, split, rank = *view.shape[:2], view.ndim // 2 - 1
    sizes, offsets = tuple(range(2, 2 + rank)), tuple(range(2 + rank, 3 + 2 * rank))
    size, depth = math.prod(view.shape[2 : 2 + rank]), math.prod(view.shape[2 + rank :])
    if not by_tap:
        return view.transpose(1, 0, *sizes, *offsets).reshape(groups, images, size, depth)
    channels = split // groups
    grouped = view.reshape(images, groups, channels, *view.shape[2:-1])
    sizes, window = tuple(n + 1 for n in sizes), tuple(n + 1 for n in offsets[:-1])
    lowered = grouped.transpose(1, *window, 2, 0, *sizes).reshape(groups, depth * channels, images, size)
    return lowered.transpose(0, 2, 3, 1)


def _grouped(array: np.ndarray, groups: int, images: int) -> np.ndarray:
    """(*any, F) seen as (groups, images, the rest, F / groups)."""
    return array.reshape(images, -1, groups, array.shape[-1] // groups).transpose(2, 0, 1, 3)


def _transposed_kernel(w: np.ndarray, groups: int) -> np.ndarray:
    """(*window, C/G, F) with taps reversed and the channels' roles exchanged: (*window, F/G, C)."""
    window, (channels, filters) = w.shape[:-2], w.shape[-2:]
    split = w.reshape(*window, channels, groups, filters // groups)
    swapped = np.moveaxis(split, -1, -3)  # (*window, F/G, C/G, G)
    swapped = np.swapaxes(swapped, -1, -2).reshape(*window, filters // groups, groups * channels)
    return np.flip(swapped, tuple(range(len(window))))

"""Convolution and its two gradients: the three faces of one trilinear form <conv(x, w), g>.

Each lowers its input to columns, a block at a time, and leaves the arithmetic to one GEMM per block. The columns
of a block stay in cache between being written and being read, as do the results until bias and activation are applied.
Shapes: x (N, *spatial, C), w (*window, C / groups, F), g (N, *output, F).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import product

import numpy as np

from .blocks import Block, window_blocks
from .depthwise import depthwise_conv, depthwise_input_grad, depthwise_kernel_grad
from .epilogue import add_bias_and_activate
from .geometry import Padding, output_lengths

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
    axes = zip(input_size, g.shape[1:-1], window, strides, dilation, padding, strict=True)
    for phase in product(*(_phases(*axis) for axis in axes)):
        target, taps, reads, pads, steps = zip(*phase, strict=True)
        part = out[(slice(None), *target)]
        if all(t.stop > t.start for t in taps):
            source, kernel = g[(slice(None), *reads)], w[taps]
            _convolve(source, kernel, bias, part, (1,) * len(window), pads, steps, groups, activation)
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
    shape = (*window, channels, filters)
    if groups == x.shape[-1] > 1:
        dw = depthwise_kernel_grad(x, g, window=window, strides=strides, padding=padding, dilation=dilation)
        return dw.reshape(shape)
    depth = math.prod(window) * channels
    total = np.zeros((groups, depth, filters // groups), np.result_type(x, g))
    partial = np.empty_like(total)
    blocks = _column_blocks(x, g.shape[1:-1], window, strides, dilation, padding, groups, filters)
    for block, columns in blocks:
        # (G, C/G taps, positions) @ (G, positions, F/G)
        np.matmul(columns.transpose(0, 2, 1), _grouped(g[block], groups), out=partial)
        total += partial
    return np.ascontiguousarray(total.transpose(1, 0, 2)).reshape(shape)


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
    kernel = _grouped(w, groups)  # (G, taps C/G, F/G)
    for block, columns in _column_blocks(x, sizes, window, strides, dilation, padding, groups, filters):
        target = out[block]
        result = target if target.flags.c_contiguous else np.empty(target.shape, out.dtype)
        np.matmul(columns, kernel, out=_grouped(result, groups))
        add_bias_and_activate(result, bias, activation)
        if result is not target:
            target[...] = result


def _column_blocks(
    x: np.ndarray,
    sizes: Ints,
    window: Ints,
    strides: Ints,
    dilation: Ints,
    padding: Padding,
    groups: int,
    filters: int,
) -> Iterator[tuple[Block, np.ndarray]]:
    """Lower `x` in blocks: (block, columns (G, positions, taps C/G)).

    The columns lie in memory by position, or by tap where that gives the copy the longer runs: NumPy copies
    run by run, and a first layer's three colours are too short a run.
    """
    rank, channels, taps = len(window), x.shape[-1], math.prod(window)
    depth = taps * channels
    run = (window[-1] if dilation[-1] == 1 and groups == 1 else 1) * (channels // groups)
    by_tap = taps > 1 and run < min(sizes[-1], 32)
    row_bytes = (depth + filters) * math.prod(sizes[1:]) * x.itemsize
    visits = window_blocks(
        x, sizes, window, strides, dilation, padding, row_bytes, depth * filters // groups * x.itemsize, by_tap
    )
    positions = tuple(range(rank + 1))
    offsets = (*range(rank + 1, 2 * rank + 1), 2 * rank + 2)  # window and channels of the group
    order = (2 * rank + 1, *offsets, *positions) if by_tap else (2 * rank + 1, *positions, *offsets)
    for block, view in visits:
        size = math.prod(view.shape[: rank + 1])
        if taps == groups == 1:
            yield block, view.reshape(1, size, depth)
            continue
        grouped = view.reshape(*view.shape[:-1], groups, channels // groups).transpose(order)
        lowered = np.empty(grouped.shape, x.dtype)
        lowered[...] = grouped
        if by_tap:
            yield block, lowered.reshape(groups, depth // groups, size).transpose(0, 2, 1)
        else:
            yield block, lowered.reshape(groups, size, depth // groups)


def _grouped(array: np.ndarray, groups: int) -> np.ndarray:
    """(*any, F) seen as (groups, any, F / groups)."""
    return array.reshape(-1, groups, array.shape[-1] // groups).transpose(1, 0, 2)


def _transposed_kernel(w: np.ndarray, groups: int) -> np.ndarray:
    """(*window, C/G, F) with taps reversed and the channels' roles exchanged: (*window, F/G, C)."""
    window, (channels, filters) = w.shape[:-2], w.shape[-2:]
    split = w.reshape(*window, channels, groups, filters // groups)
    swapped = np.moveaxis(split, -1, -3)  # (*window, F/G, C/G, G)
    swapped = np.swapaxes(swapped, -1, -2).reshape(*window, filters // groups, groups * channels)
    return np.flip(swapped, tuple(range(len(window))))


def _phases(
    length: int, outputs: int, window: int, stride: int, dilation: int, pad: tuple[int, int]
) -> Iterator[tuple[slice, slice, slice, tuple[int, int], int]]:
    """Cut an axis of the input into phases by remainder modulo the stride.

    Input i, counted from the padded start as ``i + lo = q stride + phase``, is read by tap t at output
    ``q - (t dilation - phase) / stride`` where that is whole: by every ``stride / gcd``-th tap.

    Yields
    ------
    (inputs, taps, reads, padding, dilation)
        For each phase: its inputs; its taps in the reversed kernel; and the convolution over the outputs that gives
        them, as the slice it reads, what to pad that with, and the distance of its taps.
    """
    lo = pad[0]
    common = math.gcd(stride, dilation)
    step, spacing = stride // common, dilation // common
    for first in range(min(stride, length)):
        quotient, phase = divmod(first + lo, stride)
        count = -(-(length - first) // stride)
        inputs = slice(first, None, stride)
        taps = [t for t in range(window) if t * dilation % stride == phase]
        if not taps:
            yield inputs, slice(0, 0), slice(0, 0), (0, 0), 1
            continue
        start = quotient - (taps[-1] * dilation - phase) // stride
        stop = start + count + (len(taps) - 1) * spacing
        before = min(max(-start, 0), stop - start)
        reads = slice(min(max(start, 0), outputs), max(min(stop, outputs), 0))
        behind = stop - start - before - max(reads.stop - reads.start, 0)
        yield inputs, slice(window - 1 - taps[-1], window - taps[0], step), reads, (before, behind), spacing

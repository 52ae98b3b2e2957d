"""Depthwise convolution and its two gradients: every channel is filtered by itself.

With one product per element and tap there is nothing for a GEMM to reuse. Instead of lowering, a sum of products
runs over the windows as they lie in memory, with the kernel repeated along the last spatial axis, so that the
innermost loop takes a row of pixels with all their channels at once. A stride along that axis is taken apart first.
Shapes: x (N, *spatial, C), w (*window, C, M), g (N, *output, C M), channel c M + m.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from ..core.threads import spread
from .blocks import Block, input_blocks, windows
from .epilogue import add_bias_and_activate
from .geometry import Ints, Padding, Slide, interleaved, output_lengths, phases


def depthwise_conv(
    x: np.ndarray,
    w: np.ndarray,
    bias: np.ndarray | None = None,
    *,
    strides: Ints,
    padding: Padding,
    dilation: Ints,
    activation: str | None = None,
) -> np.ndarray:
    """Convolve every channel with its own M kernels.

    Args:
        x: ndarray (N, *spatial, C).
        w: ndarray (*window, C, M).
        bias: ndarray (C M,) or None.
        strides, dilation: tuples of int, one per spatial axis.
        padding: tuple of (lo, hi), one per spatial axis.
        activation: {None, "relu", "tanh", "sigmoid"}.

    Returns:
        ndarray (N, *output, C M): Channel ``c M + m`` is input channel c under its m-th kernel.
    """
    window, (channels, multiplier) = w.shape[:-2], w.shape[-2:]
    sizes = output_lengths(x.shape[1:-1], window, strides, dilation, padding)
    out = np.empty((len(x), *sizes, channels, multiplier), np.result_type(x, w))
    slide = Slide(window, strides, dilation, padding)
    if 0 in sizes:
        return out.reshape(len(x), *sizes, channels * multiplier)

    parts = _stepless(x.shape[-2], sizes[-1], slide)

    def work(images: slice) -> None:
        for m in range(multiplier):
            target = out[images, ..., m]
            for number, (inputs, reached, steps) in enumerate(parts):
                result = np.empty(target.shape, out.dtype) if number else target
                _filter(x[images][..., inputs, :], w[..., reached, :, m], result, steps)
                if number:
                    target += result
        part = out[images]
        add_bias_and_activate(part.reshape(len(part), *sizes, channels * multiplier), bias, activation)

    spread(work, len(x), out.size * math.prod(window))
    return out.reshape(len(x), *sizes, channels * multiplier)


def depthwise_input_grad(
    g: np.ndarray, w: np.ndarray, *, input_size: Ints, strides: Ints, padding: Padding, dilation: Ints
) -> np.ndarray:
    """Adjoint of `depthwise_conv` in x.

    Args:
        g: ndarray (N, *output, C M).
        w: ndarray (*window, C, M).
        input_size: tuple of int. Spatial sizes of x.
        strides, padding, dilation: Those of the convolution.

    Returns:
        ndarray (N, *input_size, C)
    """
    window, (channels, multiplier) = w.shape[:-2], w.shape[-2:]
    sizes = g.shape[1:-1]
    g = g.reshape(len(g), *sizes, channels, multiplier)
    reversed_kernel = w[(slice(None, None, -1),) * len(window)]
    dx = np.zeros((len(g), *input_size, channels), np.result_type(g, w))
    parts = [p for p in phases(input_size, sizes, window, strides, dilation, padding) if 0 not in p.slide.window]

    def work(images: slice) -> None:
        for phase in parts:
            target = dx[(images, *phase.inputs)]
            for m in range(multiplier):
                source, kernel = g[(images, *phase.reads)][..., m], reversed_kernel[phase.taps][..., m]
                result = target if m == 0 else np.empty(target.shape, dx.dtype)
                _filter(source, kernel, result, phase.slide)
                if m:
                    target += result

    spread(work, len(g), g.size * math.prod(window))
    return dx


def depthwise_kernel_grad(
    x: np.ndarray, g: np.ndarray, *, window: Ints, strides: Ints, padding: Padding, dilation: Ints
) -> np.ndarray:
    """Adjoint of `depthwise_conv` in w.

    Args:
        x: ndarray (N, *spatial, C).
        g: ndarray (N, *output, C M).
        window: tuple of int, the kernel's spatial sizes.
        strides, padding, dilation: Those of the convolution.

    Returns:
        ndarray (*window, C, M)
    """
    channels = x.shape[-1]
    dw = np.empty((*window, channels, g.shape[-1] // channels), np.result_type(x, g))
    parts = _stepless(x.shape[-2], g.shape[-2], Slide(window, strides, dilation, padding))

    def work(images: slice) -> list[np.ndarray]:
        return [_kernel_grad(x[images][..., inputs, :], g[images], steps) for inputs, _, steps in parts]

    sums = zip(*spread(work, len(x), g.size * math.prod(window)), strict=True)
    for (_, reached, _), each in zip(parts, sums, strict=True):
        dw[..., reached, :, :] = sum(each[1:], start=each[0])
    return dw


def _stepless(length: int, outputs: int, slide: Slide) -> list[tuple[slice, slice, Slide]]:
    """Windows that move by one along the last axis and together do what `slide` does, as (inputs, taps, how).

    Those are of the last axis. The rows that such a window reads are copied into one piece, as those with padding are.
    """
    window, strides, dilation, padding = slide
    if strides[-1] == 1 or dilation[-1] > 1:
        return [(slice(None), slice(None), slide)]
    found = []
    for inputs, taps, pad in interleaved(length, outputs, window[-1], strides[-1], padding[-1][0]):
        count = len(range(window[-1])[taps])
        steps = Slide((*window[:-1], count), (*strides[:-1], 1), dilation, (*padding[:-1], pad))
        found.append((inputs, taps, steps))
    return found


def _kernel_grad(x: np.ndarray, g: np.ndarray, slide: Slide) -> np.ndarray:
    channels, sizes, window = x.shape[-1], g.shape[1:-1], slide.window
    multiplier = g.shape[-1] // channels
    g = g.reshape(len(g), *sizes, channels, multiplier)
    dw = np.zeros((*window, channels, multiplier), np.result_type(x, g))
    for block, view, width, positions, _, row in _row_windows(x, sizes, slide):
        axes = [*positions, *row]
        sums = np.empty((*window, *(view.shape[axis] for axis in row)), dw.dtype)
        for m in range(multiplier):
            cotangent = g[block][..., m].reshape([view.shape[axis] for axis in axes])
            for tap in np.ndindex(*window):
                of_tap = view[(..., *tap, *[slice(None)] * len(row))]
                np.einsum(of_tap, axes, cotangent, axes, list(row), out=sums[tap])
            # the positions along a row are summed last, for the sake of long inner loops
            dw[..., m] += sums.reshape(*window, width, channels).sum(axis=-2)
    return dw


def _filter(x: np.ndarray, w: np.ndarray, out: np.ndarray, slide: Slide) -> None:
    """Write the convolution of every channel of `x` with its kernel in `w` (*window, C) into `out`, any view."""
    kernel = None
    for block, view, width, positions, taps, row in _row_windows(x, out.shape[1:-1], slide):
        if kernel is None:  # no later block is wider
            kernel = np.repeat(w[..., None, :], width, axis=-2)
        target = out[block]
        result = target if target.flags.c_contiguous else np.empty(target.shape, out.dtype)
        np.einsum(
            view,
            [*positions, *taps, *row],
            kernel[..., :width, :].reshape([view.shape[axis] for axis in (*taps, *row)]),
            [*taps, *row],
            [*positions, *row],
            out=result.reshape([view.shape[axis] for axis in (*positions, *row)]),
        )
        if result is not target:
            target[...] = result


def _row_windows(
    x: np.ndarray, sizes: Ints, slide: Slide
) -> Iterator[tuple[Block, np.ndarray, int, range, range, range]]:
    """Visit the windows of `x` in blocks, as a view whose last axis is a row of positions with their channels.

    Where the window moves by more than one element, a row isn't contiguous, and stays two axes.

    Yields:
        (block, view, positions in a row, axes of images and other positions, axes of taps, axes of the row)
    """
    rank, channels, joined = len(sizes), x.shape[-1], slide.strides[-1] == 1
    positions, taps, row = range(rank), range(rank, 2 * rank), range(2 * rank, 2 * rank + 2 - joined)
    kernel_rows = math.prod(slide.window) if rank == 1 else 0  # that are cut with the block
    row_bytes = (2 + kernel_rows) * math.prod(sizes[1:]) * channels * x.itemsize
    for block, part in input_blocks(x, sizes, slide, row_bytes=row_bytes):
        heights = (block[1].stop - block[1].start, *sizes[1:])
        view = windows(part, heights, slide)[:, 0]
        view = view.transpose(*range(rank), *range(rank + 1, 2 * rank + 1), rank, 2 * rank + 1)
        if joined:
            view = view.reshape(*view.shape[:-2], heights[-1] * channels)
        yield block, view, heights[-1], positions, taps, row

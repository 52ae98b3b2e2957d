"""Convolution and its two gradients, each by one of three ways: Winograd's, columns, or sums of products.

*Columns*: compiled loops lower the input to columns and one GEMM per block multiplies them with the kernel. *Sums*: one
GEMM multiplies every pixel with every tap, and compiled loops sum what meets at a position; that is the adjoint of
columns, so a gradient in the input does it by nature, and a convolution with few filters as if it were one.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from ...core import tiers
from ...core.threads import spread
from .. import conv as by_numpy
from ..blocks import blocks
from ..conv import effort, transposed_kernel
from ..epilogue import add_bias_and_activate
from ..geometry import Ints, Padding, Slide, mirrored_padding, output_lengths
from . import winograd
from .depthwise import depthwise_conv, depthwise_input_grad, depthwise_kernel_grad
from .jit import is_covered, plain
from .lowering import add_bias, add_lowered, geometry, lower, with_three_axes

LEAST_RESULTS = 256
"""Pixels of the output from which Winograd's algorithm pays."""
SHORT_RUN = 12
"""Elements in a row of the window, below which NumPy copies columns faster: tap by tap, in long runs."""


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
    """As `minikeras.kernels.conv`."""
    slide = Slide(w.shape[:-2], strides, dilation, padding)
    if groups == x.shape[-1] > 1:
        w = w.reshape(*w.shape[:-2], groups, -1)
        return depthwise_conv(x, w, bias, strides=strides, padding=padding, dilation=dilation, activation=activation)
    if groups > 1 or not _is_covered(x, w, bias):
        return by_numpy.conv(x, w, bias, **_options(slide), groups=groups, activation=activation)
    sizes = output_lengths(x.shape[1:-1], *slide)
    if _suits_winograd(len(x), sizes, slide, w.shape[-2:]):
        return winograd.convolve(x, w, bias, sizes=sizes, padding=padding, activation=activation)
    if _has_few(w.shape[-1], w.shape[-2], slide):
        mirrored = slide._replace(padding=mirrored_padding(slide))
        return _by_sums(x, transposed_kernel(w), bias, sizes, mirrored, activation)
    if _has_short_runs(x.shape[-1], slide) and math.prod(slide.window[:-1]) > 3:
        return by_numpy.conv(x, w, bias, **_options(slide), activation=activation)
    return _by_columns(x, w, bias, sizes, slide, activation)


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
    """As `minikeras.kernels.conv_input_grad`."""
    slide = Slide(w.shape[:-2], strides, dilation, padding)
    if groups > 1 == w.shape[-2]:
        w = w.reshape(*w.shape[:-2], groups, -1)
        out = depthwise_input_grad(g, w, input_size=input_size, strides=strides, padding=padding, dilation=dilation)
        add_bias_and_activate(out, bias, activation)
        return out
    if groups > 1 or not _is_covered(g, w, bias):
        options = _options(slide)
        return by_numpy.conv_input_grad(
            g, w, bias, input_size=input_size, **options, groups=groups, activation=activation
        )
    mirrored = mirrored_padding(slide)
    if _suits_winograd(len(g), input_size, slide, w.shape[-2:]):
        return winograd.convolve(
            g, transposed_kernel(w), bias, sizes=input_size, padding=mirrored, activation=activation
        )
    if slide.strides == slide.window == (1,) * len(slide.window) or _has_few(w.shape[-1], w.shape[-2], slide):
        return _by_columns(g, transposed_kernel(w), bias, input_size, slide._replace(padding=mirrored), activation)
    return _by_sums(g, w, bias, input_size, slide, activation)


def conv_kernel_grad(
    x: np.ndarray, g: np.ndarray, *, window: Ints, strides: Ints, padding: Padding, dilation: Ints, groups: int = 1
) -> np.ndarray:
    """As `minikeras.kernels.conv_kernel_grad`."""
    slide, channels, filters = Slide(window, strides, dilation, padding), x.shape[-1], g.shape[-1]
    if groups == channels > 1:
        dw = depthwise_kernel_grad(x, g, window=window, strides=strides, padding=padding, dilation=dilation)
        return dw.reshape(*window, 1, filters)
    if groups > 1 or not _is_covered(x, g):
        return by_numpy.conv_kernel_grad(x, g, window=window, **_options(slide), groups=groups)
    if _suits_winograd(len(x), g.shape[1:-1], slide, (channels, filters)):
        return winograd.kernel_grad(x, g, padding)
    if _has_few(filters, channels, slide):  # lower the smaller one: with stride 1 they are symmetric
        mirrored = slide._replace(padding=mirrored_padding(slide))
        return plain(transposed_kernel(_kernel_grad(g, x, mirrored)))
    if _has_short_runs(channels, slide):
        return by_numpy.conv_kernel_grad(x, g, window=window, **_options(slide))
    return _kernel_grad(x, g, slide)


def _options(slide: Slide) -> dict[str, Any]:
    """What NumPy's versions take by name."""
    return {"strides": slide.strides, "padding": slide.padding, "dilation": slide.dilation}


# ---------------------------------------------------------------------- the choice


def _is_covered(*arrays: np.ndarray | None) -> bool:
    return arrays[0] is not None and arrays[0].ndim <= 5 and is_covered(*arrays)


def _suits_winograd(images: int, sizes: Ints, slide: Slide, channels: Ints) -> bool:
    """Whether the products saved outweigh the transforms, that of the kernel included.

    Tiles of 4 x 4 results mustn't go far beyond the edge.
    """
    if slide.window != (3, 3) or slide.strides != (1, 1) or slide.dilation != (1, 1) or not tiers.winograd():
        return False
    results = math.prod(sizes)
    computed = math.prod(4 * -(-size // 4) for size in sizes)
    is_wide = 16 <= min(channels) <= max(channels) <= winograd.MOST_CHANNELS
    return is_wide and computed <= 2 * results and images * results >= LEAST_RESULTS


def _has_few(filters: int, channels: int, slide: Slide) -> bool:
    """Whether columns of `filters` are much less to copy than those of `channels`, where both are possible."""
    return 2 * filters <= channels and math.prod(slide.window) > 1 and all(s == 1 for s in slide.strides)


def _has_short_runs(channels: int, slide: Slide) -> bool:
    """Whether copying columns position by position is slow, as it is for a first layer with few channels."""
    return channels * slide.window[-1] < SHORT_RUN and math.prod(slide.window) > 1


# ---------------------------------------------------------------------- the ways


def _by_columns(
    x: np.ndarray, w: np.ndarray, bias: np.ndarray | None, sizes: Ints, slide: Slide, activation: str | None
) -> np.ndarray:
    filters, depth = w.shape[-1], math.prod(w.shape[:-1])
    out = np.empty((len(x), *sizes, filters), x.dtype)
    kernel, results = w.reshape(depth, filters), out.reshape(_lines(out), sizes[-1], filters)

    def work(lines: slice) -> None:
        for block, columns in _columns(x, lines, sizes, slide, filters):
            result = results[block].reshape(len(columns), filters)
            np.matmul(columns, kernel, out=result)
            _finish(result, bias, activation)

    spread(work, len(results), effort(out.size, depth, filters))
    return out


def _by_sums(
    g: np.ndarray, w: np.ndarray, bias: np.ndarray | None, input_size: Ints, slide: Slide, activation: str | None
) -> np.ndarray:
    """The adjoint of `_by_columns` with kernel `w`, for inputs of `input_size`."""
    channels, depth, positions = w.shape[-2], math.prod(w.shape[:-1]), g.shape[-2]
    out = np.empty((len(g), *input_size, channels), g.dtype)
    kernel, targets, numbers = w.reshape(depth, -1).T, with_three_axes(out), geometry(slide)
    lines = math.prod(g.shape[1:-2])  # of an image
    cotangent, sizes = plain(g).reshape(len(g), lines, positions, g.shape[-1]), with_three_axes(g).shape[1:-1]

    def work(images: slice) -> None:
        row_bytes = (depth + g.shape[-1]) * positions * g.itemsize
        for part, rows in blocks(images.stop - images.start, lines, row_bytes, kernel.nbytes):
            block = slice(images.start + part.start, images.start + part.stop)
            if rows.start == 0:
                out[block] = 0
            columns = np.matmul(cotangent[block, rows].reshape(-1, g.shape[-1]), kernel)
            columns = columns.reshape(-1, positions, depth)
            add_lowered(columns, targets, block.start * lines + rows.start, sizes, *numbers)
            if rows.stop == lines:
                _finish(out[block].reshape(-1, channels), bias, activation)

    if g.size:
        spread(work, len(g), effort(g.size, depth, g.shape[-1]))
    else:
        out[...] = 0
        _finish(out.reshape(-1, channels), bias, activation)
    return out


def _kernel_grad(x: np.ndarray, g: np.ndarray, slide: Slide) -> np.ndarray:
    channels, filters, sizes = x.shape[-1], g.shape[-1], g.shape[1:-1]
    depth = math.prod(slide.window) * channels
    cotangent = plain(g).reshape(_lines(g), sizes[-1], filters)

    def work(lines: slice) -> np.ndarray:
        total = np.zeros((depth, filters), x.dtype)
        for block, columns in _columns(x, lines, sizes, slide, filters):
            total += np.matmul(columns.T, cotangent[block].reshape(len(columns), filters))
        return total

    parts = spread(work, len(cotangent), effort(g.size, depth, filters))
    return sum(parts[1:], start=parts[0]).reshape(*slide.window, channels, filters)


def _columns(
    x: np.ndarray, lines: slice, sizes: Ints, slide: Slide, filters: int
) -> Iterator[tuple[slice, np.ndarray]]:
    """Lower some lines of positions in blocks: (lines, columns (positions, taps C), valid until the next block)."""
    depth = math.prod(slide.window) * x.shape[-1]
    source, numbers = with_three_axes(x), geometry(slide)
    line_bytes = (depth + filters) * sizes[-1] * x.itemsize
    is_lowered = depth > x.shape[-1] or slide.is_padded or any(s > 1 for s in slide.strides)
    buffer = None
    for part, _ in blocks(lines.stop - lines.start, 1, line_bytes, depth * filters * x.itemsize):
        block, count = slice(lines.start + part.start, lines.start + part.stop), part.stop - part.start
        if not is_lowered:
            pixels = source.reshape(_lines(source), *source.shape[3:])
            yield block, pixels[block].reshape(count * sizes[-1], depth)
            continue
        if buffer is None:  # no later block is larger
            buffer = np.empty((count, sizes[-1], depth), x.dtype)
        columns = buffer[:count]
        lower(source, columns, block.start, (1, 1, *sizes)[-3:], *numbers)
        yield block, columns.reshape(count * sizes[-1], depth)


def _lines(array: np.ndarray) -> int:
    """How many lines of pixels an array (N, *spatial, C) has, also where they are empty."""
    return math.prod(array.shape[:-2])


def _finish(rows: np.ndarray, bias: np.ndarray | None, activation: str | None) -> None:
    if activation not in (None, "relu"):
        add_bias_and_activate(rows, bias, activation)
    elif bias is not None or activation is not None:
        add_bias(rows, np.zeros(rows.shape[-1], rows.dtype) if bias is None else plain(bias), activation == "relu")

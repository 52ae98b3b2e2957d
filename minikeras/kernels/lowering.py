"""Windows of an array as the rows of a matrix, a block at a time ("im2col"), in the order that copies fastest.

NumPy copies run by run, and a run costs as much as 50 more elements in it. So columns lie in memory by position,
where the copied runs are a window's width times the channels; or by tap, where they are rows of pixels, if a
first layer's few channels would make the former too short.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from .blocks import Block, input_blocks, windows
from .geometry import Ints, Slide

ROWWISE_POSITIONS = 64
"""Positions per image from which GEMMs of single images are efficient."""


def lowers_by_tap(sizes: Ints, slide: Slide, channels: int) -> bool:
    """Whether columns of `channels` (per group) are better copied tap by tap than position by position."""
    run = channels * (slide.window[-1] if slide.dilation[-1] == 1 else 1)
    return math.prod(slide.window) > 1 and run < min(sizes[-1], 16)


def lowers_rowwise(sizes: Ints, slide: Slide, channels: int, filters: int) -> bool:
    """Whether to lower all axes but the first, and sum one GEMM per tap of that (Cho and Brand 2017).

    It copies fewer columns, but costs sums of `filters` results per position, and GEMMs of single images.
    """
    rows, rest = slide.window[0], math.prod(slide.window[1:])
    if rows == 1 or slide.strides[0] > 1 or math.prod(sizes) < ROWWISE_POSITIONS:
        return False
    lowered = rest * channels if rest > 1 else 0
    return lowered + (rows - 1) * filters < rows * rest * channels


def columns_by_position(
    x: np.ndarray,
    sizes: Ints,
    slide: Slide,
    *,
    groups: int,
    filters: int,
    rowwise: bool,
) -> Iterator[tuple[Block, list[np.ndarray]]]:
    """Lower `x` (N, *spatial, C) in blocks.

    Yields:
        (block of the outputs, list of columns (groups, images, positions, taps C / groups)): If `rowwise`, one entry
        for each tap of the window's first axis, else a single one that takes all images for one.
    """
    channels, width = x.shape[-1], math.prod(sizes[1:])
    taps, spacing = slide.window[0], slide.dilation[0]
    lowered = slide._replace(window=(1, *slide.window[1:])) if rowwise else slide
    depth = math.prod(lowered.window) * channels
    row_bytes = (depth + (1 + rowwise) * filters) * width * x.itemsize
    kernel_bytes = depth * filters // groups * x.itemsize
    visits = input_blocks(x, sizes, slide, row_bytes=row_bytes, at_least=kernel_bytes, split=groups)
    for block, part in visits:
        height = block[1].stop - block[1].start
        if rowwise:
            view = windows(part, (height + (taps - 1) * spacing, *sizes[1:]), lowered)
            columns = view.swapaxes(0, 1).reshape(groups, len(part), -1, depth // groups)
            starts = range(0, taps * spacing * width, spacing * width)
            yield block, [columns[:, :, start : start + height * width] for start in starts]
        else:
            view = windows(part, (height, *sizes[1:]), lowered)
            yield block, [view.swapaxes(0, 1).reshape(groups, 1, -1, depth // groups)]


def columns_by_tap(
    x: np.ndarray,
    sizes: Ints,
    slide: Slide,
    *,
    groups: int,
    filters: int,
    whole_rows: bool,
    ones: int = 0,
) -> Iterator[tuple[Block, np.ndarray, int]]:
    """Lower `x` (N, *spatial, C) in blocks, with positions contiguous in memory.

    Args:
        whole_rows: Whether positions go on through the ends of the rows of the input, so that the copied runs are
            whole images. What lies between one row of outputs and the next belongs to none.
        ones: 1 for an additional column of ones, by which a GEMM adds a bias.

    Yields:
        (block of the outputs, columns (groups, taps C / groups + ones, positions), positions in a row)
    """
    rank, channels = len(sizes), x.shape[-1]
    depth = math.prod(slide.window) * channels
    row_bytes = (depth + filters) * math.prod(sizes[1:]) * x.itemsize
    visits = input_blocks(x, sizes, slide, row_bytes=row_bytes, split=channels)
    for block, part in visits:
        view = windows(part, (block[1].stop - block[1].start, *sizes[1:]), slide)
        pitch = sizes[-1]
        if whole_rows:
            view, pitch = _join_rows(view, part), part.shape[-2]
        positions = view.ndim - 3 - rank
        # (images, C, *positions, *window, 1) to (G, *window, C/G, images, *positions)
        view = view.reshape(len(part), groups, channels // groups, *view.shape[2:-1])
        axes = [*range(3 + positions, 3 + positions + rank), 2, 0, *range(3, 3 + positions)]
        view = view.transpose(1, *axes)
        size = math.prod(view.shape[2 + rank :])
        columns = np.empty((groups, depth // groups + ones, size), x.dtype)
        columns[:, depth // groups :] = 1
        columns[:, : depth // groups].reshape(view.shape)[...] = view
        yield block, columns, pitch


def _join_rows(view: np.ndarray, part: np.ndarray) -> np.ndarray:
    """Make one axis of the last two axes of positions, from the first to the last pixel they need."""
    rank = part.ndim - 3
    height, width = view.shape[rank : rank + 2]
    length = (height - 1) * part.shape[-2] + width
    shape = (*view.shape[:rank], length, *view.shape[rank + 2 :])
    return np.ndarray(shape, part.dtype, part, 0, (*view.strides[:rank], *view.strides[rank + 1 :]))


def split_rows(joined: np.ndarray, sizes: Ints, pitch: int) -> np.ndarray:
    """View (images, *sizes, F) of contiguous results (positions, F) of rows that were joined, `pitch` apart."""
    *outer, height, width = sizes
    images, filters = len(joined) // (math.prod(outer) * ((height - 1) * pitch + width)), joined.shape[-1]
    planes = joined.reshape(images, *outer, -1, filters)
    steps = planes.strides
    return np.ndarray((images, *sizes, filters), joined.dtype, joined, 0, (*steps[:-2], pitch * steps[-2], *steps[-2:]))


def shifted_products(products: np.ndarray, sizes: Ints, dilation: Ints) -> np.ndarray:
    """View (*window, F, images, *sizes) of contiguous products (*window, F, images, *spatial), those of each tap
    starting at the pixel that the first position reads through it."""
    rank = len(sizes)
    steps = products.strides
    taps = (tap + d * pixel for tap, d, pixel in zip(steps[:rank], dilation, steps[-rank:], strict=True))
    shape = (*products.shape[:-rank], *sizes)
    return np.ndarray(shape, products.dtype, products, 0, (*taps, *steps[rank:]))

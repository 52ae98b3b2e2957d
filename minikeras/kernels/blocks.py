"""Work cut into blocks that stay in cache, and the windows of a block as a view.

A block is some images, or some rows (positions along the first spatial axis) of a single large image.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from .geometry import Padding, window_span

BLOCK_BYTES = 1 << 20
"""What a block's largest temporary array may take: about half of a core's second-level cache."""

Block = tuple[slice, slice]


def blocks(images: int, rows: int, row_bytes: int, at_least: int = 0) -> Iterator[Block]:
    """Cut `images` of `rows` rows into blocks as even as possible.

    Parameters
    ----------
    images, rows : int
    row_bytes : int
        Memory that the caller needs for one row.
    at_least : int
        Bytes that a block may take beyond `BLOCK_BYTES`: the size of what every block must read again.

    Yields
    ------
    (slice of images, slice of rows)
        Whole images where one fits, else rows of one image.
    """
    limit = max(BLOCK_BYTES, at_least)
    if rows * row_bytes <= limit:
        fit = limit // max(rows * row_bytes, 1)
        every_row = slice(0, rows)
        for part in _parts(images, fit):
            yield part, every_row
    else:
        fit = max(limit // row_bytes, 1)
        for image in range(images):
            for part in _parts(rows, fit):
                yield slice(image, image + 1), part


def _parts(length: int, fit: int) -> Iterator[slice]:
    if length <= fit:
        if length:
            yield slice(0, length)
        return
    step = -(-length // -(-length // fit))
    for start in range(0, length, step):
        yield slice(start, min(start + step, length))


def window_blocks(
    x: np.ndarray,
    sizes: tuple[int, ...],
    window: tuple[int, ...],
    strides: tuple[int, ...],
    dilation: tuple[int, ...],
    padding: Padding,
    row_bytes: int,
    at_least: int = 0,
    channels_first: bool = False,
) -> Iterator[tuple[Block, np.ndarray]]:
    """Visit the windows of `x` in blocks.

    Parameters
    ----------
    x : ndarray (N, *spatial, C)
    sizes : output lengths, one per spatial axis
    window, strides, dilation, padding : one entry per spatial axis
    row_bytes, at_least : the size of blocks, see `blocks`
    channels_first : whether the block is copied so that its last spatial axis, and not C, is contiguous in memory

    Yields
    ------
    ((slice of images, slice of rows), ndarray (images, rows, *rest, *window, C))
        The windows are a view, valid until the next block, and never to be written.
    """
    plan = blocks(len(x), sizes[0], row_bytes, at_least)
    if x.flags.c_contiguous and not channels_first and not any(lo or hi for lo, hi in padding):
        view = _windows(x, sizes, window, strides, dilation)
        for block in plan:
            yield block, view[block]
        return
    buffer = None
    for images, rows in plan:
        count, height = images.stop - images.start, rows.stop - rows.start
        if buffer is None:  # the first block is the largest
            extent = (height - 1) * strides[0] + window_span(window[0], dilation[0])
            rest = [n + lo + hi for n, (lo, hi) in zip(x.shape[2:-1], padding[1:], strict=True)]
            buffer = _buffer((count, extent, *rest, x.shape[-1]), x.dtype, channels_first)
            view = _windows(buffer, (height, *sizes[1:]), window, strides, dilation)
        _fill(buffer, x[images], rows.start * strides[0] - padding[0][0], padding)
        yield (images, rows), view[:count, :height]


def _buffer(shape: tuple[int, ...], dtype: np.dtype, channels_first: bool) -> np.ndarray:
    """Zeros of `shape` (N, *spatial, C); in memory the channels may come first of all axes."""
    if not channels_first:
        return np.zeros(shape, dtype)
    return np.moveaxis(np.zeros((shape[-1], *shape[:-1]), dtype), 0, -1)


def _fill(buffer: np.ndarray, x: np.ndarray, start: int, padding: Padding) -> None:
    """Copy rows `start`, `start` + 1, … of `x` into `buffer`, zeros where `x` has none; other borders are zero."""
    extent, length = buffer.shape[1], x.shape[1]
    top = min(max(-start, 0), extent)
    bottom = max(min(length - start, extent), top)
    interior = tuple(slice(lo, lo + n) for n, (lo, _) in zip(x.shape[2:-1], padding[1:], strict=True))
    target = buffer[: len(x)]
    target[:, :top] = 0
    target[:, bottom:] = 0
    target[(slice(None), slice(top, bottom), *interior)] = x[:, start + top : start + bottom]


def _windows(
    x: np.ndarray,
    sizes: tuple[int, ...],
    window: tuple[int, ...],
    strides: tuple[int, ...],
    dilation: tuple[int, ...],
) -> np.ndarray:
    """View (N, *sizes, *window, C) of `x` (N, *spatial, C); nothing is copied."""
    steps = x.strides[1:-1]
    shape = (len(x), *sizes, *window, x.shape[-1])
    outer = [step * s for step, s in zip(steps, strides, strict=True)]
    inner = [step * d for step, d in zip(steps, dilation, strict=True)]
    return np.lib.stride_tricks.as_strided(x, shape, (x.strides[0], *outer, *inner, x.strides[-1]), writeable=False)

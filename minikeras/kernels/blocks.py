"""Work cut into blocks that stay in cache.

A block is some images, or some rows (positions along the first spatial axis) of a single large image.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import numpy as np

from ..core.threads import is_shared, spread
from .geometry import Ints, Slide, window_span

BLOCK_BYTES = 1 << 20
"""What a block's temporary arrays may take: about half of a core's second-level cache."""

SHARED = 2
"""How much larger blocks are while threads share the work: between two calls of NumPy they may wait for each other."""

SMALL = 1024
"""Elements up to which it takes longer to see what could be done in blocks than to do it."""

BUFFER = 1 << 11
"""Elements that NumPy's loops copy at a time where arrays aren't in one piece; its own 8192 makes them slower.

Rows that are longer are left where they are. Others are copied before and after they are added, without need: sums of
rows of 1552 elements took 3 times as long, of 64 elements 1.4 times (NumPy 2.4).
"""

BUFFERED = 1 << 14
"""Elements from which telling NumPy so, which takes 3 µs, is worth it."""

Block = tuple[slice, slice]
Result = TypeVar("Result")


def blocks(images: int, rows: int, row_bytes: int, at_least: int = 0) -> Iterator[Block]:
    """Cut `images` of `rows` rows into blocks as even as possible.

    Args:
        images, rows: How many.
        row_bytes: Memory that the caller needs for one row.
        at_least: Bytes that a block may take beyond `BLOCK_BYTES`: the size of what every block must read again.

    Yields:
        (slice of images, slice of rows): Whole images where one fits, else rows of one image.
    """
    limit = max(BLOCK_BYTES * (SHARED if is_shared() else 1), at_least)
    if rows * row_bytes <= limit:
        every_row = slice(0, rows)
        for part in parts(images, limit // max(rows * row_bytes, 1)):
            yield part, every_row
    else:
        fit = max(limit // row_bytes, 1)
        for image in range(images):
            for part in parts(rows, fit):
                yield slice(image, image + 1), part


def over_blocks(work: Callable[[slice], Result], *arrays: np.ndarray, strided: bool = False) -> list[Result]:
    """Call `work` for the images of one block after the other, in several threads if that pays.

    Args:
        work: takes a slice of images.
        arrays: of the same number of images. A block of all of them, or else one image, stays in cache.
        strided: Whether `work` computes with rows that don't lie one behind the other.

    Returns:
        What `work` returned, in the order of the blocks.
    """
    elements = sum([a.size for a in arrays])
    if strided and elements >= BUFFERED:
        work = rows_in_place(work)
    if elements > 0 and sum([a.nbytes for a in arrays]) <= BLOCK_BYTES:
        return spread(work, len(arrays[0]), elements)
    image_bytes = sum(a[:1].nbytes for a in arrays)

    def share(part: slice) -> list[Result]:
        return [
            work(slice(part.start + images.start, part.start + images.stop))
            for images, _ in blocks(part.stop - part.start, 1, image_bytes)
        ]

    shares = spread(share, len(arrays[0]), elements)
    return [result for results in shares for result in results]


def rows_in_place(work: Callable[..., Result]) -> Callable[..., Result]:
    """`work` with a `BUFFER` of NumPy's that suits rows that don't lie one behind the other."""

    def run(*args: Any) -> Result:
        before = np.setbufsize(BUFFER)
        try:
            return work(*args)
        finally:
            np.setbufsize(before)

    return run


def parts(length: int, fit: int) -> Iterator[slice]:
    """Cut `range(length)` into slices of at most `fit`, as even as possible."""
    if length <= fit:
        if length:
            yield slice(0, length)
        return
    step = -(-length // -(-length // fit))
    for start in range(0, length, step):
        yield slice(start, min(start + step, length))


def input_blocks(
    x: np.ndarray,
    sizes: Ints,
    slide: Slide,
    *,
    row_bytes: int,
    at_least: int = 0,
    split: int = 1,
) -> Iterator[tuple[Block, np.ndarray]]:
    """Cut the outputs of a sliding window in blocks, and visit what each block reads.

    Args:
        x: ndarray (N, *spatial, C).
        sizes: output lengths, one per spatial axis.
        slide: the window and how it slides.
        row_bytes, at_least: what sets the size of blocks, see `blocks`.
        split: Number of parts of the channels that are to lie behind one another in memory.

    Yields:
        (block of the outputs, ndarray (images, split, rows, *rest, C / split)): The padded inputs of the block, at its
        front, contiguous, and valid until the next block. It may be a view of `x`, so it must not be written.
    """
    plan = blocks(len(x), sizes[0], row_bytes, at_least)
    if split == 1 and x.flags.c_contiguous and not slide.is_padded:
        for images, rows in plan:
            first = rows.start * slide.strides[0]
            yield (images, rows), x[images, None, first:] if first else x[images, None]
        return
    channels = x.shape[-1] // split
    source = x.reshape(*x.shape[:-1], split, channels).transpose(0, x.ndim - 1, *range(1, x.ndim - 1), x.ndim)
    buffer = None
    for images, rows in plan:
        if buffer is None:  # no later block is larger
            extent = (rows.stop - rows.start - 1) * slide.strides[0] + window_span(slide.window[0], slide.dilation[0])
            rest = [n + lo + hi for n, (lo, hi) in zip(x.shape[2:-1], slide.padding[1:], strict=True)]
            buffer = np.zeros((images.stop - images.start, split, extent, *rest, channels), x.dtype)
        part = buffer[: images.stop - images.start]
        _fill(part, source[images], rows.start * slide.strides[0], slide)
        yield (images, rows), part


def _fill(part: np.ndarray, x: np.ndarray, start: int, slide: Slide) -> None:
    """Copy rows `start`, `start` + 1, … of the padded `x` into `part`, whose borders along other axes are zero."""
    start -= slide.padding[0][0]
    extent, length = part.shape[2], x.shape[2]
    top = min(max(-start, 0), extent)
    bottom = max(min(length - start, extent), top)
    if top:
        part[:, :, :top] = 0
    if bottom < extent:
        part[:, :, bottom:] = 0
    interior = tuple(slice(lo, lo + n) for n, (lo, _) in zip(x.shape[3:-1], slide.padding[1:], strict=True))
    part[(slice(None), slice(None), slice(top, bottom), *interior)] = x[:, :, start + top : start + bottom]


def windows(part: np.ndarray, sizes: Ints, slide: Slide) -> np.ndarray:
    """View (images, split, *sizes, *window, channels) of an array (images, split, *spatial, channels), contiguous."""
    steps = part.strides[2:-1]
    shape = (*part.shape[:2], *sizes, *slide.window, part.shape[-1])
    outer = [step * s for step, s in zip(steps, slide.strides, strict=True)]
    inner = [step * d for step, d in zip(steps, slide.dilation, strict=True)]
    # as numpy.lib.stride_tricks.as_strided, at a tenth of its cost per call
    return np.ndarray(shape, part.dtype, part, 0, (*part.strides[:2], *outer, *inner, part.strides[-1]))

"""Windows of an array as the rows of a matrix ("im2col"), and the adjoint, which sums rows where windows overlap.

Three spatial axes, of which the first ones may be of size 1. Lines of positions along the last axis are numbered
through all images; what a window sees of the padding is never read from memory, nor multiplied in the adjoint.
"""

from __future__ import annotations

import numpy as np

from ..geometry import Ints, Slide
from .jit import compiled, plain

Geometry = tuple[Ints, Ints, Ints, Ints]


def with_three_axes(array: np.ndarray) -> np.ndarray:
    """(N, depth, height, width, C) of (N, *spatial, C)."""
    return plain(array.reshape(len(array), *(1,) * (5 - array.ndim), *array.shape[1:]))


def geometry(slide: Slide) -> Geometry:
    """Window, strides, dilation and what stands before, of three axes each."""
    more = 3 - len(slide.window)
    before = tuple(lo for lo, _ in slide.padding)
    ones = (1,) * more
    return ones + slide.window, ones + slide.strides, ones + slide.dilation, (0,) * more + before


@compiled
def lower(x, columns, first, sizes, window, strides, dilation, before):  # type: ignore[no-untyped-def]
    """Write what the windows of lines `first`, `first` + 1, … see into `columns` (lines, positions, taps C)."""
    depth, height, width, n = x.shape[1:]
    run = window[2] * n if dilation[2] == 1 else n  # elements that lie side by side in both
    source, target = x.reshape(-1), columns.reshape(-1)
    pitch = columns.shape[2]
    for line in range(columns.shape[0]):
        rest, j = divmod(first + line, sizes[1])
        image, i = divmod(rest, sizes[0])
        for a in range(window[0]):
            plane = i * strides[0] - before[0] + a * dilation[0]
            for b in range(window[1]):
                row = j * strides[1] - before[1] + b * dilation[1]
                is_inside = 0 <= plane < depth and 0 <= row < height
                start = ((image * depth + plane) * height + row) * width
                for k in range(sizes[2]):
                    column = k * strides[2] - before[2]
                    q = (line * sizes[2] + k) * pitch + (a * window[1] + b) * window[2] * n
                    if is_inside and run > n and column >= 0 and column + window[2] <= width:
                        p = np.uintp((start + column) * n)
                        for e in range(np.uintp(run)):
                            target[np.uintp(q) + e] = source[p + e]
                        continue
                    for c in range(window[2]):
                        pixel = column + c * dilation[2]
                        p, r = np.uintp((start + pixel) * n), np.uintp(q + c * n)
                        if is_inside and 0 <= pixel < width:
                            for e in range(np.uintp(n)):
                                target[r + e] = source[p + e]
                        else:
                            for e in range(np.uintp(n)):
                                target[r + e] = 0


@compiled
def add_lowered(columns, dx, first, sizes, window, strides, dilation, before):  # type: ignore[no-untyped-def]
    """Add `columns` (lines, positions, taps C) to the elements of `dx` that `lower` copies there."""
    depth, height, width, n = dx.shape[1:]
    source, target = columns.reshape(-1), dx.reshape(-1)
    pitch = columns.shape[2]
    for line in range(columns.shape[0]):
        rest, j = divmod(first + line, sizes[1])
        image, i = divmod(rest, sizes[0])
        for a in range(window[0]):
            plane = i * strides[0] - before[0] + a * dilation[0]
            for b in range(window[1]):
                row = j * strides[1] - before[1] + b * dilation[1]
                if plane < 0 or plane >= depth or row < 0 or row >= height:
                    continue
                start = ((image * depth + plane) * height + row) * width
                for k in range(sizes[2]):
                    column = k * strides[2] - before[2]
                    p = (line * sizes[2] + k) * pitch + (a * window[1] + b) * window[2] * n
                    if dilation[2] == 1 and column >= 0 and column + window[2] <= width:
                        q = np.uintp((start + column) * n)
                        for e in range(np.uintp(window[2] * n)):
                            target[q + e] += source[np.uintp(p) + e]
                        continue
                    for c in range(window[2]):
                        pixel = column + c * dilation[2]
                        if 0 <= pixel < width:
                            q, r = np.uintp((start + pixel) * n), np.uintp(p + c * n)
                            for e in range(np.uintp(n)):
                                target[q + e] += source[r + e]


@compiled
def add_bias(rows, bias, is_relu):  # type: ignore[no-untyped-def]
    """Add `bias` to the rows of a matrix and take the positive part if `is_relu`."""
    zero = rows.dtype.type(0)
    for i in range(rows.shape[0]):
        row = rows[i]
        for c in range(bias.size):
            value = row[c] + bias[c]
            row[c] = zero if is_relu and value < zero else value  # NaN stays

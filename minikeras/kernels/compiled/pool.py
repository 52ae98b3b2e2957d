"""Pooling in one pass: for each position, the taps that lie inside the input, and an innermost loop over channels."""

from __future__ import annotations

import math

import numpy as np

from ...core.threads import spread
from .. import pool
from ..geometry import Ints, Padding, Slide, output_lengths
from .axes import geometry, with_three_axes
from .jit import compiled, is_covered


def max_pool(x: np.ndarray, *, window: Ints, strides: Ints, padding: Padding) -> tuple[np.ndarray, np.ndarray]:
    """As `minikeras.kernels.max_pool`."""
    taps = math.prod(window)
    if not _is_covered(x) or taps > 256:
        return pool.max_pool(x, window=window, strides=strides, padding=padding)
    y = np.empty((len(x), *_output_size(x, window, strides, padding), x.shape[-1]), x.dtype)
    index = np.empty(y.shape, np.uint8)
    source, best, which = with_three_axes(x), with_three_axes(y), with_three_axes(index)
    numbers = _numbers(window, strides, padding)
    spread(lambda images: _max_pool(source[images], best[images], which[images], *numbers), len(x), x.size)
    return y, index


def max_pool_values(x: np.ndarray, *, window: Ints, strides: Ints, padding: Padding) -> np.ndarray:
    """As `minikeras.kernels.max_pool_values`."""
    if not _is_covered(x):
        return pool.max_pool_values(x, window=window, strides=strides, padding=padding)
    y = np.empty((len(x), *_output_size(x, window, strides, padding), x.shape[-1]), x.dtype)
    source, best, numbers = with_three_axes(x), with_three_axes(y), _numbers(window, strides, padding)
    spread(lambda images: _max_pool_values(source[images], best[images], *numbers), len(x), x.size)
    return y


def pool_scatter(
    g: np.ndarray, index: np.ndarray, *, input_size: Ints, window: Ints, strides: Ints, padding: Padding
) -> np.ndarray:
    """As `minikeras.kernels.pool_scatter`."""
    if not _is_covered(g) or index.dtype != np.uint8:
        return pool.pool_scatter(g, index, input_size=input_size, window=window, strides=strides, padding=padding)
    dx = np.empty((len(g), *input_size, g.shape[-1]), g.dtype)
    source, which, target = with_three_axes(g), with_three_axes(index), with_three_axes(dx)
    numbers = _numbers(window, strides, padding)
    spread(lambda images: _scatter(source[images], which[images], target[images], *numbers), len(g), dx.size)
    return dx


def average_pool(x: np.ndarray, *, window: Ints, strides: Ints, padding: Padding) -> np.ndarray:
    """As `minikeras.kernels.average_pool`."""
    if not _is_covered(x):
        return pool.average_pool(x, window=window, strides=strides, padding=padding)
    y = np.empty((len(x), *_output_size(x, window, strides, padding), x.shape[-1]), x.dtype)
    source, total, numbers = with_three_axes(x), with_three_axes(y), _numbers(window, strides, padding)
    spread(lambda images: _average_pool(source[images], total[images], *numbers), len(x), x.size)
    return y


def average_pool_grad(g: np.ndarray, *, input_size: Ints, window: Ints, strides: Ints, padding: Padding) -> np.ndarray:
    """As `minikeras.kernels.average_pool_grad`."""
    if not _is_covered(g):
        return pool.average_pool_grad(g, input_size=input_size, window=window, strides=strides, padding=padding)
    dx = np.empty((len(g), *input_size, g.shape[-1]), g.dtype)
    source, target, numbers = with_three_axes(g), with_three_axes(dx), _numbers(window, strides, padding)
    spread(lambda images: _average_pool_grad(source[images], target[images], *numbers), len(g), dx.size)
    return dx


def _is_covered(array: np.ndarray) -> bool:
    return array.ndim <= 5 and is_covered(array)


def _output_size(x: np.ndarray, window: Ints, strides: Ints, padding: Padding) -> Ints:
    return output_lengths(x.shape[1:-1], window, strides, (1,) * len(window), padding)


def _numbers(window: Ints, strides: Ints, padding: Padding) -> tuple[Ints, Ints, Ints]:
    three = geometry(Slide(window, strides, (1,) * len(window), padding))
    return three[0], three[1], three[3]


# ---------------------------------------------------------------------- compiled

# Everywhere `offsets` are the elements from which the taps of one window read, and `taps` are their numbers. Indices
# without sign spare the question whether they count from the end.


@compiled
def _taps_inside(offsets, taps, size, position, window, strides, before):  # type: ignore[no-untyped-def]
    """Find what a window sees of an array of the size (depth, height, width, channels); return how many."""
    found = 0
    for a in range(window[0]):
        plane = position[0] * strides[0] - before[0] + a
        for b in range(window[1]):
            row = position[1] * strides[1] - before[1] + b
            if plane < 0 or plane >= size[0] or row < 0 or row >= size[1]:
                continue
            for c in range(window[2]):
                column = position[2] * strides[2] - before[2] + c
                if 0 <= column < size[2]:
                    offsets[found] = ((plane * size[1] + row) * size[2] + column) * size[3]
                    taps[found] = (a * window[1] + b) * window[2] + c
                    found += 1
    return found


@compiled
def _max_pool(x, y, index, window, strides, before):  # type: ignore[no-untyped-def]
    source, best, which, n = x.reshape(-1), y.reshape(-1), index.reshape(-1), np.uintp(x.shape[4])
    count = window[0] * window[1] * window[2]
    offsets, taps = np.empty(count, np.uintp), np.empty(count, np.uint8)
    o = np.uintp(0)
    for image in range(x.shape[0]):
        start = np.uintp(image * x.shape[1] * x.shape[2] * x.shape[3] * x.shape[4])
        for position in np.ndindex(y.shape[1:4]):
            found = _taps_inside(offsets, taps, x.shape[1:], position, window, strides, before)
            for c in range(n):
                best[o + c] = -np.inf if found == 0 else source[start + offsets[0] + c]
                which[o + c] = 0 if found == 0 else taps[0]
            for k in range(1, found):
                p, tap = start + offsets[k], taps[k]
                for c in range(n):
                    value, most, at = source[p + c], best[o + c], which[o + c]
                    is_better = value > most
                    best[o + c] = value if is_better or value != value else most  # NaN stays
                    which[o + c] = tap if is_better else at
            o += n


@compiled
def _max_pool_values(x, y, window, strides, before):  # type: ignore[no-untyped-def]
    source, best, n = x.reshape(-1), y.reshape(-1), np.uintp(x.shape[4])
    count = window[0] * window[1] * window[2]
    offsets, taps = np.empty(count, np.uintp), np.empty(count, np.intp)
    o = np.uintp(0)
    for image in range(x.shape[0]):
        start = np.uintp(image * x.shape[1] * x.shape[2] * x.shape[3] * x.shape[4])
        for position in np.ndindex(y.shape[1:4]):
            found = _taps_inside(offsets, taps, x.shape[1:], position, window, strides, before)
            for c in range(n):
                best[o + c] = -np.inf if found == 0 else source[start + offsets[0] + c]
            for k in range(1, found):
                p = start + offsets[k]
                for c in range(n):
                    value, most = source[p + c], best[o + c]
                    best[o + c] = value if value > most or value != value else most  # NaN stays
            o += n


@compiled
def _scatter(g, index, dx, window, strides, before):  # type: ignore[no-untyped-def]
    cotangent, which, target, n = g.reshape(-1), index.reshape(-1), dx.reshape(-1), np.uintp(dx.shape[4])
    count, zero = window[0] * window[1] * window[2], dx.dtype.type(0)
    offsets, taps = np.empty(count, np.uintp), np.empty(count, np.uint8)
    o = np.uintp(0)
    for image in range(dx.shape[0]):
        start = np.uintp(image * dx.shape[1] * dx.shape[2] * dx.shape[3] * dx.shape[4])
        dx[image] = 0
        for position in np.ndindex(g.shape[1:4]):
            for k in range(_taps_inside(offsets, taps, dx.shape[1:], position, window, strides, before)):
                q, tap = start + offsets[k], taps[k]
                for c in range(n):
                    target[q + c] += cotangent[o + c] if which[o + c] == tap else zero
            o += n


@compiled
def _average_pool(x, y, window, strides, before):  # type: ignore[no-untyped-def]
    source, total, n = x.reshape(-1), y.reshape(-1), np.uintp(x.shape[4])
    count = window[0] * window[1] * window[2]
    offsets, taps = np.empty(count, np.uintp), np.empty(count, np.intp)
    o = np.uintp(0)
    for image in range(x.shape[0]):
        start = np.uintp(image * x.shape[1] * x.shape[2] * x.shape[3] * x.shape[4])
        for position in np.ndindex(y.shape[1:4]):
            found = _taps_inside(offsets, taps, x.shape[1:], position, window, strides, before)
            for c in range(n):
                total[o + c] = 0
            for k in range(found):
                p = start + offsets[k]
                for c in range(n):
                    total[o + c] += source[p + c]
            weight = y.dtype.type(1 / max(found, 1))
            for c in range(n):
                total[o + c] *= weight
            o += n


@compiled
def _average_pool_grad(g, dx, window, strides, before):  # type: ignore[no-untyped-def]
    cotangent, target, n = g.reshape(-1), dx.reshape(-1), np.uintp(dx.shape[4])
    count = window[0] * window[1] * window[2]
    offsets, taps = np.empty(count, np.uintp), np.empty(count, np.intp)
    o = np.uintp(0)
    for image in range(dx.shape[0]):
        start = np.uintp(image * dx.shape[1] * dx.shape[2] * dx.shape[3] * dx.shape[4])
        dx[image] = 0
        for position in np.ndindex(g.shape[1:4]):
            found = _taps_inside(offsets, taps, dx.shape[1:], position, window, strides, before)
            weight = dx.dtype.type(1 / max(found, 1))
            for k in range(found):
                q = start + offsets[k]
                for c in range(n):
                    target[q + c] += cotangent[o + c] * weight
            o += n

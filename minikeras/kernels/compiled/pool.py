"""Pooling in one pass: for each position, the taps that lie inside the input, and an innermost loop over channels."""

from __future__ import annotations

import functools
import math
from typing import Any, NamedTuple

import numpy as np

from ...core.memory import aligned_empty
from .. import pool
from ..geometry import Ints, Padding, Slide, output_lengths
from .axes import geometry
from .jit import compiled, compiled_apart, is_covered, plain
from .packing import FIRST, LAST
from .sharing import share

WINDOW = 32
"""Elements that could be read or written in the time that it takes to find a window's taps."""


def max_pool(x: np.ndarray, *, window: Ints, strides: Ints, padding: Padding) -> tuple[np.ndarray, np.ndarray]:
    """As `minikeras.kernels.max_pool`."""
    if not _is_covered(x) or math.prod(window) > 256:
        return pool.max_pool(x, window=window, strides=strides, padding=padding)
    plan = _plan(x.shape[1:], window, strides, padding)
    y = aligned_empty((len(x), *plan.output), x.dtype)
    index = np.empty(y.shape, np.uint8)
    _run(_max_pool, plan.numbers, x, y, index)
    return y, index


def max_pool_values(x: np.ndarray, *, window: Ints, strides: Ints, padding: Padding) -> np.ndarray:
    """As `minikeras.kernels.max_pool_values`."""
    if not _is_covered(x):
        return pool.max_pool_values(x, window=window, strides=strides, padding=padding)
    plan = _plan(x.shape[1:], window, strides, padding)
    y = aligned_empty((len(x), *plan.output), x.dtype)
    _run(_max_pool_values, plan.numbers, x, y)
    return y


def pool_scatter(
    g: np.ndarray, index: np.ndarray, *, input_size: Ints, window: Ints, strides: Ints, padding: Padding
) -> np.ndarray:
    """As `minikeras.kernels.pool_scatter`."""
    if not _is_covered(g) or index.dtype != np.uint8:
        return pool.pool_scatter(g, index, input_size=input_size, window=window, strides=strides, padding=padding)
    plan = _plan((*input_size, g.shape[-1]), window, strides, padding)
    dx = _room(g, input_size)
    _run(_scatter, (*plan.numbers, plan.is_alone, plan.is_tiled), dx, g, index)
    return dx


def average_pool(x: np.ndarray, *, window: Ints, strides: Ints, padding: Padding) -> np.ndarray:
    """As `minikeras.kernels.average_pool`."""
    if not _is_covered(x):
        return pool.average_pool(x, window=window, strides=strides, padding=padding)
    plan = _plan(x.shape[1:], window, strides, padding)
    y = aligned_empty((len(x), *plan.output), x.dtype)
    _run(_average_pool, (*plan.numbers, False), x, y)
    return y


def average_pool_grad(g: np.ndarray, *, input_size: Ints, window: Ints, strides: Ints, padding: Padding) -> np.ndarray:
    """As `minikeras.kernels.average_pool_grad`."""
    if not _is_covered(g):
        return pool.average_pool_grad(g, input_size=input_size, window=window, strides=strides, padding=padding)
    plan = _plan((*input_size, g.shape[-1]), window, strides, padding)
    dx = _room(g, input_size)
    _run(_average_pool_grad, (*plan.numbers, False, plan.is_alone, plan.is_tiled), dx, g)
    return dx


def sum_of_windows(x: np.ndarray, window: Ints) -> np.ndarray | None:
    """Sums over windows that cover `x` side by side; None where only NumPy's `block_sum` does that."""
    if not _is_covered(x):
        return None
    plan = _plan(x.shape[1:], window, window, ((0, 0),) * len(window))
    y = aligned_empty((len(x), *plan.output), x.dtype)
    _run(_average_pool, (*plan.numbers, True), x, y)
    return y


def repeat_over_windows(x: np.ndarray, window: Ints) -> np.ndarray | None:
    """Each element all over a window of its own; None where only NumPy's `upsample_nearest` does that."""
    if not _is_covered(x):
        return None
    shape = (*[n * k for n, k in zip(x.shape[1:-1], window, strict=True)], x.shape[-1])
    plan = _plan(shape, window, window, ((0, 0),) * len(window))
    y = aligned_empty((len(x), *shape), x.dtype)
    _run(_average_pool_grad, (*plan.numbers, True, True, True), y, x)
    return y


class Plan(NamedTuple):
    """What the loops want to know about a pooling.

    Attributes:
        output: Shape of an image's result.
        numbers: Size of an image (depth, height, width, channels), output lengths, window, strides and padding before.
        is_alone: Whether no element is in two windows.
        is_tiled: Whether each is in one.
    """

    output: Ints
    numbers: tuple[Ints, Ints, Ints, Ints, Ints]
    is_alone: bool
    is_tiled: bool


@functools.lru_cache
def _plan(shape: Ints, window: Ints, strides: Ints, padding: Padding) -> Plan:
    ones = (1,) * len(window)
    sizes = output_lengths(shape[:-1], window, strides, ones, padding)
    more = (1,) * (3 - len(window))
    three = geometry(Slide(window, strides, ones, padding))
    numbers = (*more, *shape), (*more, *sizes), three[0], three[1], three[3]
    is_alone = all(k <= s for k, s in zip(window, strides, strict=True))
    return Plan((*sizes, shape[-1]), numbers, is_alone, pool.is_tiled(shape[:-1], window, strides, padding))


def _room(g: np.ndarray, input_size: Ints) -> np.ndarray:
    """Room for the gradient of the input, which the loops fill where there are windows."""
    make = np.empty if g.size else np.zeros
    return make((len(g), *input_size, g.shape[-1]), g.dtype)


def _run(loop: Any, numbers: tuple[Any, ...], large: np.ndarray, *arrays: np.ndarray) -> None:
    """Call a loop for the images, in several threads if that pays; `large` are the inputs, or their gradients."""
    flat = [plain(array).reshape(-1) for array in (large, *arrays)]
    elements = large.size + WINDOW * (arrays[0].size // max(large.shape[-1], 1))
    share(loop, *flat, FIRST, LAST, *numbers, length=len(large), elements=elements)


def _is_covered(array: np.ndarray) -> bool:
    return array.ndim <= 5 and is_covered(array)


# ---------------------------------------------------------------------- compiled

# All arrays are flat. `offsets` are the elements from which the taps of a window read, and `taps` are their numbers, in
# two parts: those of a window that lies inside the image, counted from where it begins, are always the same and found
# once; behind them stand those of one that doesn't. (Arrays that get another name, or are handed on, for each window
# would be counted references: forty nanoseconds.) Several taps are read before something is written. Indices without
# sign spare the question whether they count from the end.

ROOM = 8
"""Places behind the taps: those of the last one are repeated there, so that as many as that may be read in vain."""


@compiled
def _find(offsets, taps, begin, size, plane, row, column, window):  # type: ignore[no-untyped-def]
    """Write down the taps inside the image of a window that begins at (plane, row, column); return how many."""
    found = begin
    for a in range(max(-plane, 0), min(window[0], size[0] - plane)):
        for b in range(max(-row, 0), min(window[1], size[1] - row)):
            for c in range(max(-column, 0), min(window[2], size[2] - column)):
                offsets[found] = (((plane + a) * size[1] + row + b) * size[2] + column + c) * size[3]
                taps[found] = (a * window[1] + b) * window[2] + c
                found += 1
    for k in range(found, found + ROOM if found > begin else found):
        offsets[k], taps[k] = offsets[found - 1], taps[found - 1]
    return found - begin


@compiled
def _is_inside(size, plane, row, column, window):  # type: ignore[no-untyped-def]
    return (
        min(plane, row, column) >= 0
        and plane + window[0] <= size[0]
        and row + window[1] <= size[1]
        and column + window[2] <= size[2]
    )


@compiled
def _start(size, image, plane, row, column):  # type: ignore[no-untyped-def]
    return np.uintp((((image * size[0] + plane) * size[1] + row) * size[2] + column) * size[3])


@compiled
def _tables(size, window):  # type: ignore[no-untyped-def]
    """Room for the offsets and taps of two windows, the first of which lies inside."""
    length = 2 * (window[0] * window[1] * window[2] + ROOM)
    offsets, taps = np.empty(length, np.uintp), np.empty(length, np.uint8)
    _find(offsets, taps, 0, size, 0, 0, 0, window)
    return offsets, taps


@compiled
def _better(value, most):  # type: ignore[no-untyped-def]
    return value if value > most or value != value else most  # NaN stays


@compiled_apart
def _max_pool(x, y, index, first, last, size, sizes, window, strides, before):  # type: ignore[no-untyped-def]
    n, o = np.uintp(size[3]), np.uintp(first * sizes[0] * sizes[1] * sizes[2] * size[3])
    count, (offsets, taps) = window[0] * window[1] * window[2], _tables(size, window)
    for line in range(first * sizes[0] * sizes[1], last * sizes[0] * sizes[1]):
        rest, j = divmod(line, sizes[1])
        image, i = divmod(rest, sizes[0])
        plane, row = i * strides[0] - before[0], j * strides[1] - before[1]
        for k in range(sizes[2]):
            column = k * strides[2] - before[2]
            base, begin, found = _start(size, image, plane, row, column), 0, count
            if not _is_inside(size, plane, row, column, window):
                base, begin = _start(size, image, 0, 0, 0), count + ROOM
                found = _find(offsets, taps, begin, size, plane, row, column, window)
            if found == 0:
                for c in range(n):
                    y[o + c], index[o + c] = -np.inf, 0
            else:
                p, q = base + offsets[begin], base + offsets[begin + 1]
                r, s = base + offsets[begin + 2], base + offsets[begin + 3]
                tap_0, tap_1, tap_2, tap_3 = taps[begin], taps[begin + 1], taps[begin + 2], taps[begin + 3]
                for c in range(n):
                    most, at, value = x[p + c], tap_0, x[q + c]
                    at, most, value = tap_1 if value > most else at, _better(value, most), x[r + c]
                    at, most, value = tap_2 if value > most else at, _better(value, most), x[s + c]
                    y[o + c], index[o + c] = _better(value, most), tap_3 if value > most else at
            for e in range(begin + 4, begin + found, 5):
                p, q, r = base + offsets[e], base + offsets[e + 1], base + offsets[e + 2]
                s, t = base + offsets[e + 3], base + offsets[e + 4]
                tap_0, tap_1, tap_2, tap_3, tap_4 = taps[e], taps[e + 1], taps[e + 2], taps[e + 3], taps[e + 4]
                for c in range(n):
                    most, at, value = y[o + c], index[o + c], x[p + c]
                    at, most, value = tap_0 if value > most else at, _better(value, most), x[q + c]
                    at, most, value = tap_1 if value > most else at, _better(value, most), x[r + c]
                    at, most, value = tap_2 if value > most else at, _better(value, most), x[s + c]
                    at, most, value = tap_3 if value > most else at, _better(value, most), x[t + c]
                    y[o + c], index[o + c] = _better(value, most), tap_4 if value > most else at
            o += n


@compiled_apart
def _max_pool_values(x, y, first, last, size, sizes, window, strides, before):  # type: ignore[no-untyped-def]
    n, o = np.uintp(size[3]), np.uintp(first * sizes[0] * sizes[1] * sizes[2] * size[3])
    count, (offsets, taps) = window[0] * window[1] * window[2], _tables(size, window)
    for line in range(first * sizes[0] * sizes[1], last * sizes[0] * sizes[1]):
        rest, j = divmod(line, sizes[1])
        image, i = divmod(rest, sizes[0])
        plane, row = i * strides[0] - before[0], j * strides[1] - before[1]
        for k in range(sizes[2]):
            column = k * strides[2] - before[2]
            base, begin, found = _start(size, image, plane, row, column), 0, count
            if not _is_inside(size, plane, row, column, window):
                base, begin = _start(size, image, 0, 0, 0), count + ROOM
                found = _find(offsets, taps, begin, size, plane, row, column, window)
            if found == 0:
                for c in range(n):
                    y[o + c] = -np.inf
            else:
                p, q = base + offsets[begin], base + offsets[begin + 1]
                r, s = base + offsets[begin + 2], base + offsets[begin + 3]
                for c in range(n):
                    y[o + c] = _better(x[s + c], _better(x[r + c], _better(x[q + c], x[p + c])))
            for e in range(begin + 4, begin + found, 5):
                p, q, r = base + offsets[e], base + offsets[e + 1], base + offsets[e + 2]
                s, t = base + offsets[e + 3], base + offsets[e + 4]
                for c in range(n):
                    most = _better(x[q + c], _better(x[p + c], y[o + c]))
                    y[o + c] = _better(x[t + c], _better(x[s + c], _better(x[r + c], most)))
            o += n


@compiled_apart
def _scatter(  # type: ignore[no-untyped-def]
    dx, g, index, first, last, size, sizes, window, strides, before, is_alone, is_tiled
):
    n, o = np.uintp(size[3]), np.uintp(first * sizes[0] * sizes[1] * sizes[2] * size[3])
    count, (offsets, taps) = window[0] * window[1] * window[2], _tables(size, window)
    zero, length = dx.dtype.type(0), size[0] * size[1] * size[2] * size[3]
    for line in range(first * sizes[0] * sizes[1], last * sizes[0] * sizes[1]):
        rest, j = divmod(line, sizes[1])
        image, i = divmod(rest, sizes[0])
        if i == 0 and j == 0 and not is_tiled:
            dx[image * length : (image + 1) * length] = 0
        plane, row = i * strides[0] - before[0], j * strides[1] - before[1]
        for k in range(sizes[2]):
            column = k * strides[2] - before[2]
            base, begin, found = _start(size, image, plane, row, column), 0, count
            if not _is_inside(size, plane, row, column, window):
                base, begin = _start(size, image, 0, 0, 0), count + ROOM
                found = _find(offsets, taps, begin, size, plane, row, column, window)
            for e in range(begin, begin + found):
                p, tap = base + offsets[e], taps[e]
                if is_alone:
                    for c in range(n):
                        value, at = g[o + c], index[o + c]
                        dx[p + c] = value if at == tap else zero
                else:
                    for c in range(n):
                        value, at = g[o + c], index[o + c]
                        dx[p + c] += value if at == tap else zero
            o += n


@compiled_apart
def _average_pool(x, y, first, last, size, sizes, window, strides, before, is_sum):  # type: ignore[no-untyped-def]
    n, o = np.uintp(size[3]), np.uintp(first * sizes[0] * sizes[1] * sizes[2] * size[3])
    count, (offsets, taps) = window[0] * window[1] * window[2], _tables(size, window)
    for line in range(first * sizes[0] * sizes[1], last * sizes[0] * sizes[1]):
        rest, j = divmod(line, sizes[1])
        image, i = divmod(rest, sizes[0])
        plane, row = i * strides[0] - before[0], j * strides[1] - before[1]
        for k in range(sizes[2]):
            column = k * strides[2] - before[2]
            base, begin, found = _start(size, image, plane, row, column), 0, count
            if not _is_inside(size, plane, row, column, window):
                base, begin = _start(size, image, 0, 0, 0), count + ROOM
                found = _find(offsets, taps, begin, size, plane, row, column, window)
            weight = y.dtype.type(1 if is_sum else 1 / max(found, 1))
            e, end = begin + found % 4, begin + found
            if found < 4:
                for c in range(n):
                    y[o + c] = 0
            else:
                p, q, r, s = base + offsets[e], base + offsets[e + 1], base + offsets[e + 2], base + offsets[e + 3]
                for c in range(n):
                    y[o + c] = ((x[p + c] + x[q + c]) + (x[r + c] + x[s + c])) * weight
            for single in range(begin, e):
                p = base + offsets[single]
                for c in range(n):
                    y[o + c] += x[p + c] * weight
            for four in range(e + 4, end, 4):
                p, q = base + offsets[four], base + offsets[four + 1]
                r, s = base + offsets[four + 2], base + offsets[four + 3]
                for c in range(n):
                    y[o + c] += ((x[p + c] + x[q + c]) + (x[r + c] + x[s + c])) * weight
            o += n


@compiled_apart
def _average_pool_grad(  # type: ignore[no-untyped-def]
    dx, g, first, last, size, sizes, window, strides, before, is_sum, is_alone, is_tiled
):
    n, o = np.uintp(size[3]), np.uintp(first * sizes[0] * sizes[1] * sizes[2] * size[3])
    count, (offsets, taps) = window[0] * window[1] * window[2], _tables(size, window)
    length = size[0] * size[1] * size[2] * size[3]
    for line in range(first * sizes[0] * sizes[1], last * sizes[0] * sizes[1]):
        rest, j = divmod(line, sizes[1])
        image, i = divmod(rest, sizes[0])
        if i == 0 and j == 0 and not is_tiled:
            dx[image * length : (image + 1) * length] = 0
        plane, row = i * strides[0] - before[0], j * strides[1] - before[1]
        for k in range(sizes[2]):
            column = k * strides[2] - before[2]
            base, begin, found = _start(size, image, plane, row, column), 0, count
            if not _is_inside(size, plane, row, column, window):
                base, begin = _start(size, image, 0, 0, 0), count + ROOM
                found = _find(offsets, taps, begin, size, plane, row, column, window)
            weight = dx.dtype.type(1 if is_sum else 1 / max(found, 1))
            for e in range(begin, begin + found):
                p = base + offsets[e]
                if is_alone:
                    for c in range(n):
                        dx[p + c] = g[o + c] * weight
                else:
                    for c in range(n):
                        dx[p + c] += g[o + c] * weight
            o += n

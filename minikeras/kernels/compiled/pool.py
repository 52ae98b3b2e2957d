"""Pooling in one pass: one walk over runs of windows, and for each kind of pooling what is done with a run (`runs`).

A run are neighbouring windows along the last axis that see the same taps: those in the middle of a line, or a single
one at the edge.
"""

from __future__ import annotations

import functools
import math
from types import FunctionType
from typing import Any, NamedTuple

import numpy as np

from ...core.memory import aligned_empty
from .. import pool
from ..geometry import Ints, Padding, Slide, output_lengths
from . import runs
from .axes import geometry
from .jit import FLOATS, Loop, compiled_apart, plain
from .packing import FIRST, LAST
from .sharing import parts_of, run

WINDOW = 32
"""Elements that could be read or written in the time that it takes to find a window's taps."""


def max_pool(x: np.ndarray, *, window: Ints, strides: Ints, padding: Padding) -> tuple[np.ndarray, np.ndarray]:
    """As `minikeras.kernels.max_pool`."""
    if not _is_covered(x) or math.prod(window) > 256:
        return pool.max_pool(x, window=window, strides=strides, padding=padding)
    plan = _plan(x.shape[1:], window, strides, padding)
    y = aligned_empty((len(x), *plan.output), x.dtype)
    index = np.empty(y.shape, np.uint8)
    _run(_max_pool, plan, plan.reading, x, y, index)
    return y, index


def max_pool_values(x: np.ndarray, *, window: Ints, strides: Ints, padding: Padding) -> np.ndarray:
    """As `minikeras.kernels.max_pool_values`."""
    if not _is_covered(x):
        return pool.max_pool_values(x, window=window, strides=strides, padding=padding)
    plan = _plan(x.shape[1:], window, strides, padding)
    y = aligned_empty((len(x), *plan.output), x.dtype)
    _run(_max_pool_values, plan, plan.reading, x, y)
    return y


def pool_scatter(
    g: np.ndarray, index: np.ndarray, *, input_size: Ints, window: Ints, strides: Ints, padding: Padding
) -> np.ndarray:
    """As `minikeras.kernels.pool_scatter`."""
    if not _is_covered(g) or index.dtype != np.uint8:
        return pool.pool_scatter(g, index, input_size=input_size, window=window, strides=strides, padding=padding)
    plan = _plan((*input_size, g.shape[-1]), window, strides, padding)
    dx = _room(g, input_size)
    _run(_scatter, plan, plan.writing, dx, g, index)
    return dx


def average_pool(x: np.ndarray, *, window: Ints, strides: Ints, padding: Padding) -> np.ndarray:
    """As `minikeras.kernels.average_pool`."""
    if not _is_covered(x):
        return pool.average_pool(x, window=window, strides=strides, padding=padding)
    plan = _plan(x.shape[1:], window, strides, padding)
    y = aligned_empty((len(x), *plan.output), x.dtype)
    _run(_average_pool, plan, plan.reading, x, y)
    return y


def average_pool_grad(g: np.ndarray, *, input_size: Ints, window: Ints, strides: Ints, padding: Padding) -> np.ndarray:
    """As `minikeras.kernels.average_pool_grad`."""
    if not _is_covered(g):
        return pool.average_pool_grad(g, input_size=input_size, window=window, strides=strides, padding=padding)
    plan = _plan((*input_size, g.shape[-1]), window, strides, padding)
    dx = _room(g, input_size)
    _run(_average_pool_grad, plan, plan.writing, dx, g)
    return dx


def sum_of_windows(x: np.ndarray, window: Ints) -> np.ndarray | None:
    """Sums over windows that cover `x` side by side; None where only NumPy's `block_sum` does that."""
    if not _is_covered(x):
        return None
    plan = _plan(x.shape[1:], window, window, ((0, 0),) * len(window), is_sum=True)
    y = aligned_empty((len(x), *plan.output), x.dtype)
    _run(_average_pool, plan, plan.reading, x, y)
    return y


def repeat_over_windows(x: np.ndarray, window: Ints) -> np.ndarray | None:
    """Each element all over a window of its own; None where only NumPy's `upsample_nearest` does that."""
    if not _is_covered(x):
        return None
    shape = (*[n * k for n, k in zip(x.shape[1:-1], window, strict=True)], x.shape[-1])
    plan = _plan(shape, window, window, ((0, 0),) * len(window), is_sum=True)
    y = aligned_empty((len(x), *shape), x.dtype)
    _run(_average_pool_grad, plan, plan.writing, y, x)
    return y


class Numbers(NamedTuple):
    """What the walk wants to know about a pooling.

    Attributes:
        unit: Lines of windows that a part has at least.
        array: Size of an image (depth, height, width, channels), output lengths, window, strides, padding before, and
            whether sums aren't divided, whether no element is in two windows, whether what isn't in any has to be
            cleared, and the unit.
    """

    unit: int
    array: np.ndarray


class Plan(NamedTuple):
    """A pooling of images of one shape: the shape of an image's result, and what the walk wants to know about it.

    Attributes:
        output: Shape of an image's result.
        lines, elements: Of an image: lines of windows, and what they cost, in elements that are read.
        reading, writing: What the walk is told for a pooling, and for its gradient.
    """

    output: Ints
    lines: int
    elements: int
    reading: Numbers
    writing: Numbers


@functools.lru_cache(maxsize=256)
def _plan(shape: Ints, window: Ints, strides: Ints, padding: Padding, is_sum: bool = False) -> Plan:
    ones = (1,) * len(window)
    sizes = output_lengths(shape[:-1], window, strides, ones, padding)
    more = (1,) * (3 - len(window))
    three = geometry(Slide(window, strides, ones, padding))
    lengths = (*more, *shape, *more, *sizes, *three[0], *three[1], *three[3], is_sum)
    is_alone = all(k <= s for k, s in zip(window, strides, strict=True))
    is_tiled = pool.is_tiled(shape[:-1], window, strides, padding)
    lines = math.prod(sizes[:-1])
    unit = 1 if is_alone else max(lines, 1)
    reading = Numbers(1, np.array([*lengths, False, False, 1], np.intp))
    writing = Numbers(unit, np.array([*lengths, is_alone, not is_tiled, unit], np.intp))
    elements = math.prod(shape) + WINDOW * math.prod(sizes)
    return Plan((*sizes, shape[-1]), lines, elements, reading, writing)


def _room(g: np.ndarray, input_size: Ints) -> np.ndarray:
    """Room for the gradient of the input, which the loops fill where there are windows."""
    make = aligned_empty if g.size else np.zeros
    return make((len(g), *input_size, g.shape[-1]), g.dtype)


_NO_INDEX = np.empty(1, np.uint8)


def _run(
    loop: Loop, plan: Plan, numbers: Numbers, large: np.ndarray, small: np.ndarray, index: np.ndarray = _NO_INDEX
) -> None:
    """Call a loop for all images, in several threads if that pays; `large` are the inputs, or their gradients."""
    arrays = plain(large).reshape(-1), plain(small).reshape(-1), plain(index).reshape(-1)
    units = len(large) * plan.lines // numbers.unit
    parts = parts_of(units, len(large) * plan.elements)
    if parts == 1:
        loop(*arrays, 0, units, numbers.array)
    else:
        run([(loop, (*arrays, FIRST, LAST, numbers.array))], units, parts)


def _is_covered(array: np.ndarray) -> bool:
    return array.ndim <= 5 and array.dtype in FLOATS


# ---------------------------------------------------------------------- compiled


def _walk(large, small, index, first, last, numbers):  # type: ignore[no-untyped-def]
    """Call `_act`, one of the functions in `runs`, for all runs of windows of some units."""
    depth, height, width, n = numbers[0], numbers[1], numbers[2], numbers[3]
    planes, rows, columns = numbers[4], numbers[5], numbers[6]
    window_0, window_1, window_2 = numbers[7], numbers[8], numbers[9]
    stride_0, stride_1, stride_2 = numbers[10], numbers[11], numbers[12]
    before_0, before_1, before_2 = numbers[13], numbers[14], numbers[15]
    is_sum, is_alone, clears, unit = numbers[16] != 0, numbers[17] != 0, numbers[18] != 0, numbers[19]
    count = window_0 * window_1 * window_2
    offsets, taps = np.empty(count, np.intp), np.zeros(count, np.intp)
    # the windows from `inner` to `outer` lie inside the image along the last axis
    inner = min((before_2 + stride_2 - 1) // stride_2, columns)
    outer = max(min((width + before_2 - window_2) // stride_2 + 1, columns), inner)
    at = first * unit * columns * n
    for line in range(first * unit, last * unit):
        rest, j = divmod(line, rows)
        image, i = divmod(rest, planes)
        plane, row = i * stride_0 - before_0, j * stride_1 - before_1
        base = image * depth * height * width * n
        if clears and is_alone:
            end = depth if i == planes - 1 else min(plane + stride_0, depth)
            low, high = 0 if j == 0 else row, height if j == rows - 1 else min(row + stride_1, height)
            for a in range(0 if i == 0 else plane, end):
                large[base + (a * height + low) * width * n : base + (a * height + high) * width * n] = 0
        elif clears and i == 0 and j == 0:
            large[base : base + depth * height * width * n] = 0
        k = 0
        while k < columns:
            length = max(outer - inner, 1) if k == inner else 1
            column, found = k * stride_2 - before_2, 0
            for a in range(max(-plane, 0), min(window_0, depth - plane)):
                for b in range(max(-row, 0), min(window_1, height - row)):
                    for c in range(max(-column, 0), min(window_2, width - column)):
                        offsets[found] = (((plane + a) * height + row + b) * width + column + c) * n
                        taps[found] = (a * window_1 + b) * window_2 + c
                        found += 1
            weight = large.dtype.type(1 if is_sum else 1 / max(found, 1))
            # at stride 1 all elements of a run lie one behind the other
            windows, channels = (1, length * n) if stride_2 == 1 else (length, n)
            _act(large, base, small, index, at, offsets, taps, found, windows, stride_2 * n, channels, weight, is_alone)  # type: ignore[name-defined]  # noqa: F821
            at, k = at + length * n, k + length


def _over_runs(act: Any) -> Loop:
    """The walk that calls `act`."""
    function = FunctionType(_walk.__code__, {**globals(), "_act": act}, f"{_walk.__name__}_{act.write.__name__}")
    function.__module__, function.__qualname__ = __name__, function.__name__
    return compiled_apart(function)


_max_pool = _over_runs(runs.largest)
_max_pool_values = _over_runs(runs.largest_value)
_average_pool = _over_runs(runs.total)
_scatter = _over_runs(runs.spread_to_largest)
_average_pool_grad = _over_runs(runs.spread)

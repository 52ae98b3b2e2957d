"""Upsampling by whole factors, nearest and linear, with the adjoints."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from .blocks import over_blocks
from .geometry import Ints


def upsample_nearest(x: np.ndarray, *, size: Ints) -> np.ndarray:
    """Repeat every element `size` times along the spatial axes.

    Args:
        x: ndarray (N, *spatial, C).
        size: tuple of int, one factor per spatial axis.

    Returns:
        ndarray (N, *(spatial * size), C)
    """
    y = np.empty((len(x), *(n * s for n, s in zip(x.shape[1:-1], size, strict=True)), x.shape[-1]), x.dtype)
    cells, source = _cells(y, size), np.expand_dims(x, tuple(range(2, 2 * len(size) + 1, 2)))

    def work(images: slice) -> None:
        cells[images] = source[images]

    over_blocks(work, y)
    return y


def block_sum(g: np.ndarray, *, size: Ints) -> np.ndarray:
    """Adjoint of `upsample_nearest`: sum over cells of `size` elements.

    Args:
        g: ndarray (N, *(spatial * size), C).
        size: tuple of int, one factor per spatial axis.

    Returns:
        ndarray (N, *spatial, C)
    """
    shape = [n // s for n, s in zip(g.shape[1:-1], size, strict=True)]
    y = np.empty((len(g), *shape, g.shape[-1]), g.dtype)

    def work(images: slice) -> None:
        sums = np.ascontiguousarray(g[images])
        count = len(sums)
        for axis, (length, factor) in enumerate(zip(shape, size, strict=True)):  # rows first: they are the longest runs
            parts = sums.reshape(count * math.prod(shape[:axis]), length, factor, -1)
            sums = parts[:, :, 0] if factor == 1 else parts[:, :, 0] + parts[:, :, 1]
            for place in range(2, factor):
                sums += parts[:, :, place]
        y[images] = sums.reshape(y[images].shape)

    over_blocks(work, g, strided=True)
    return y


def upsample_linear(x: np.ndarray, *, size: Ints, half_pixel: bool = True) -> np.ndarray:
    """Interpolate linearly between the elements' centres, axis after axis.

    Output o lies at input coordinate ``(o + 1/2) / size - 1/2`` (half-pixel centres), or at ``o / size``; beyond the
    outermost centres the edge's value continues.

    Args:
        x: ndarray (N, *spatial, C).
        size: tuple of int, one factor per spatial axis.
        half_pixel: whether outputs lie at half-pixel centres.

    Returns:
        ndarray (N, *(spatial * size), C)
    """
    y = np.empty((len(x), *(n * s for n, s in zip(x.shape[1:-1], size, strict=True)), x.shape[-1]), x.dtype)

    def work(images: slice) -> None:
        part = x[images]
        for axis, factor in reversed(list(enumerate(size, start=1))):  # rows last: they are the longest runs
            part = _interpolate(part, axis, factor, half_pixel)
        y[images] = part

    over_blocks(work, x, y, strided=True)
    return y


def upsample_linear_grad(g: np.ndarray, *, size: Ints, half_pixel: bool = True) -> np.ndarray:
    """Adjoint of `upsample_linear`.

    Args:
        g: ndarray (N, *(spatial * size), C).
        size: tuple of int, one factor per spatial axis.
        half_pixel: as of `upsample_linear`.

    Returns:
        ndarray (N, *spatial, C)
    """
    dx = np.empty((len(g), *(n // s for n, s in zip(g.shape[1:-1], size, strict=True)), g.shape[-1]), g.dtype)

    def work(images: slice) -> None:
        part = g[images]
        for axis, factor in enumerate(size, start=1):
            part = _interpolate_grad(part, axis, factor, half_pixel)
        dx[images] = part

    over_blocks(work, g, strided=True)
    return dx


def _cells(y: np.ndarray, size: Ints) -> np.ndarray:
    """(N, *(spatial * size), C) seen as (N, spatial, size, spatial, size, …, C)."""
    pairs = ((n // s, s) for n, s in zip(y.shape[1:-1], size, strict=True))
    return y.reshape(len(y), *(n for pair in pairs for n in pair), y.shape[-1])


def _interpolate(x: np.ndarray, axis: int, factor: int, half_pixel: bool) -> np.ndarray:
    lines = x.reshape(math.prod(x.shape[:axis]), x.shape[axis], -1)
    y = np.zeros((len(lines), lines.shape[1] * factor, lines.shape[2]), x.dtype)
    for outputs, inputs, weight in _linear_terms(lines.shape[1], factor, half_pixel):
        y[:, outputs] += lines[:, inputs] * x.dtype.type(weight)
    return y.reshape(*x.shape[:axis], y.shape[1], *x.shape[axis + 1 :])


def _interpolate_grad(g: np.ndarray, axis: int, factor: int, half_pixel: bool) -> np.ndarray:
    lines = g.reshape(math.prod(g.shape[:axis]), g.shape[axis], -1)
    dx = np.zeros((len(lines), lines.shape[1] // factor, lines.shape[2]), g.dtype)
    for outputs, inputs, weight in _linear_terms(dx.shape[1], factor, half_pixel):
        dx[:, inputs] += lines[:, outputs] * g.dtype.type(weight)
    return dx.reshape(*g.shape[:axis], dx.shape[1], *g.shape[axis + 1 :])


def _linear_terms(length: int, factor: int, half_pixel: bool) -> Iterator[tuple[slice, slice, float]]:
    """Interpolation as a sum of terms ``y[outputs] += weight * x[inputs]``, one neighbour of one phase each."""
    for phase in range(factor):
        # of output `phase`, from the centre of input 0
        centre = (phase + 0.5) / factor - 0.5 if half_pixel else phase / factor
        near = slice(0, length)
        yield slice(phase, None, factor), near, 1 - abs(centre)
        if centre < 0:
            yield slice(phase + factor, None, factor), slice(0, length - 1), -centre
            yield slice(phase, phase + 1), slice(0, 1), -centre
        elif centre > 0:
            last = (length - 1) * factor + phase
            yield slice(phase, last, factor), slice(1, length), centre
            yield slice(last, last + 1), slice(length - 1, length), centre

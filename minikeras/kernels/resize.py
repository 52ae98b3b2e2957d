"""Upsampling by whole factors, nearest and linear, with the adjoints."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

Ints = tuple[int, ...]


def upsample_nearest(x: np.ndarray, *, size: Ints) -> np.ndarray:
    """Repeat every element `size` times along the spatial axes.

    Parameters
    ----------
    x : ndarray (N, *spatial, C)
    size : tuple of int, one factor per spatial axis

    Returns
    -------
    ndarray (N, *(spatial * size), C)
    """
    y = np.empty((len(x), *(n * s for n, s in zip(x.shape[1:-1], size, strict=True)), x.shape[-1]), x.dtype)
    _cells(y, size)[...] = np.expand_dims(x, tuple(range(2, 2 * len(size) + 1, 2)))
    return y


def block_sum(g: np.ndarray, *, size: Ints) -> np.ndarray:
    """Adjoint of `upsample_nearest`: sum over cells of `size` elements.

    Parameters
    ----------
    g : ndarray (N, *(spatial * size), C)
    size : tuple of int, one factor per spatial axis

    Returns
    -------
    ndarray (N, *spatial, C)
    """
    dx = np.empty((len(g), *(n // s for n, s in zip(g.shape[1:-1], size, strict=True)), g.shape[-1]), g.dtype)
    return np.add.reduce(_cells(g, size), axis=tuple(range(2, 2 * len(size) + 1, 2)), out=dx)


def upsample_linear(x: np.ndarray, *, size: Ints) -> np.ndarray:
    """Interpolate linearly between the elements' centres, axis after axis.

    Output o lies at input coordinate ``(o + 1/2) / size - 1/2`` (half-pixel centres); beyond the outermost centres
    the edge's value continues.

    Parameters
    ----------
    x : ndarray (N, *spatial, C)
    size : tuple of int, one factor per spatial axis

    Returns
    -------
    ndarray (N, *(spatial * size), C)
    """
    for axis, factor in enumerate(size, start=1):
        x = _interpolate(x, axis, factor)
    return x


def upsample_linear_grad(g: np.ndarray, *, size: Ints) -> np.ndarray:
    """Adjoint of `upsample_linear`.

    Parameters
    ----------
    g : ndarray (N, *(spatial * size), C)
    size : tuple of int, one factor per spatial axis

    Returns
    -------
    ndarray (N, *spatial, C)
    """
    for axis, factor in reversed(list(enumerate(size, start=1))):
        g = _interpolate_grad(g, axis, factor)
    return g


def _cells(y: np.ndarray, size: Ints) -> np.ndarray:
    """(N, *(spatial * size), C) seen as (N, spatial, size, spatial, size, …, C)."""
    pairs = ((n // s, s) for n, s in zip(y.shape[1:-1], size, strict=True))
    return y.reshape(len(y), *(n for pair in pairs for n in pair), y.shape[-1])


def _interpolate(x: np.ndarray, axis: int, factor: int) -> np.ndarray:
    shape = list(x.shape)
    shape[axis] *= factor
    y = np.zeros(shape, x.dtype)
    source, target = np.moveaxis(x, axis, 0), np.moveaxis(y, axis, 0)
    for outputs, inputs, weight in _linear_terms(len(source), factor):
        target[outputs] += source[inputs] * x.dtype.type(weight)
    return y


def _interpolate_grad(g: np.ndarray, axis: int, factor: int) -> np.ndarray:
    shape = list(g.shape)
    shape[axis] //= factor
    dx = np.zeros(shape, g.dtype)
    source, target = np.moveaxis(g, axis, 0), np.moveaxis(dx, axis, 0)
    for outputs, inputs, weight in _linear_terms(len(target), factor):
        target[inputs] += source[outputs] * g.dtype.type(weight)
    return dx


def _linear_terms(length: int, factor: int) -> Iterator[tuple[slice, slice, float]]:
    """Interpolation as a sum of terms ``y[outputs] += weight * x[inputs]``, one neighbour of one phase each."""
    for phase in range(factor):
        centre = (phase + 0.5) / factor - 0.5  # of output `phase`, from the centre of input 0
        near = slice(0, length)
        yield slice(phase, None, factor), near, 1 - abs(centre)
        if centre < 0:
            yield slice(phase + factor, None, factor), slice(0, length - 1), -centre
            yield slice(phase, phase + 1), slice(0, 1), -centre
        elif centre > 0:
            last = (length - 1) * factor + phase
            yield slice(phase, last, factor), slice(1, length), centre
            yield slice(last, last + 1), slice(length - 1, length), centre

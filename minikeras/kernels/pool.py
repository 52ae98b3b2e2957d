"""Max and average pooling, with their adjoints. Padding never counts: neither as a maximum nor in an average."""

from __future__ import annotations

import math

import numpy as np

from .blocks import image_blocks
from .geometry import Padding, output_lengths, taps

Ints = tuple[int, ...]
Pairs = list[tuple[tuple[slice, ...], tuple[slice, ...]]]


def max_pool(x: np.ndarray, *, window: Ints, strides: Ints, padding: Padding) -> tuple[np.ndarray, np.ndarray]:
    """Maximum of every window, and which tap it came from.

    Parameters
    ----------
    x : ndarray (N, *spatial, C)
    window, strides : tuples of int, one per spatial axis
    padding : tuple of (lo, hi), one per spatial axis

    Returns
    -------
    y : ndarray (N, *output, C)
        NaN where a window holds one.
    index : ndarray of the smallest unsigned integers that hold it, same shape
        The tap's number in row-major order, the first of equal ones.
    """
    pairs, sizes = _taps(x.shape[1:-1], window, strides, padding)
    shape = (len(x), *sizes, x.shape[-1])
    y = np.empty(shape, x.dtype)
    index = np.empty(shape, np.min_scalar_type(math.prod(window) - 1))
    numbers = list(range(len(pairs)))
    for images in image_blocks(x):
        source, best, which = x[images], y[images], index[images]
        better = np.empty(best.shape, bool)
        if any(lo or hi for lo, hi in padding):
            best[...] = -np.inf
            for tap in reversed(numbers):  # an index inside the input, also where nothing is larger than -inf
                which[pairs[tap][0]] = tap
            rest = numbers
        else:
            best[...] = source[pairs[0][1]]
            which[...] = 0
            rest = numbers[1:]
        for tap in rest:
            o, i = pairs[tap]
            np.greater(source[i], best[o], out=better[o])
            np.maximum(best[o], source[i], out=best[o])
            # taps come in order, so the last one that was better has the largest number; cheaper than a masked copy
            np.maximum(which[o], better[o] * which.dtype.type(tap), out=which[o])
    return y, index


def pool_gather(x: np.ndarray, index: np.ndarray, *, window: Ints, strides: Ints, padding: Padding) -> np.ndarray:
    """Pick from every window of `x` the element at the tap that `index` names.

    Parameters
    ----------
    x : ndarray (N, *spatial, C)
    index : ndarray of unsigned integers (N, *output, C)
    window, strides, padding
        Those of the pooling.

    Returns
    -------
    ndarray (N, *output, C)
    """
    pairs, _ = _taps(x.shape[1:-1], window, strides, padding)
    y = np.zeros(index.shape, x.dtype)
    for images in image_blocks(x):
        source, picked, which = _bits(x[images]), _bits(y[images]), index[images]
        for tap, (o, i) in enumerate(pairs):
            picked[o] |= source[i] & _mask(which[o], tap, source.dtype)
    return y


def pool_scatter(
    g: np.ndarray, index: np.ndarray, *, input_size: Ints, window: Ints, strides: Ints, padding: Padding
) -> np.ndarray:
    """Adjoint of `pool_gather`: add every element of `g` to the input that `index` names.

    Parameters
    ----------
    g : ndarray (N, *output, C)
    index : ndarray of unsigned integers (N, *output, C)
    input_size : tuple of int
    window, strides, padding
        Those of the pooling.

    Returns
    -------
    ndarray (N, *input_size, C)
    """
    pairs, _ = _taps(input_size, window, strides, padding)
    disjoint = all(k <= s for k, s in zip(window, strides, strict=True))
    dx = np.zeros((len(g), *input_size, g.shape[-1]), g.dtype)
    for images in image_blocks(dx):
        target, cotangent, which = dx[images], _bits(g[images]), index[images]
        for tap, (o, i) in enumerate(pairs):
            share = cotangent[o] & _mask(which[o], tap, cotangent.dtype)
            if disjoint:
                _bits(target)[i] = share
            else:
                target[i] += share.view(dx.dtype)
    return dx


def average_pool(x: np.ndarray, *, window: Ints, strides: Ints, padding: Padding) -> np.ndarray:
    """Mean of every window's elements that lie inside the input.

    Parameters
    ----------
    x : ndarray (N, *spatial, C)
    window, strides : tuples of int, one per spatial axis
    padding : tuple of (lo, hi), one per spatial axis

    Returns
    -------
    ndarray (N, *output, C)
    """
    pairs, sizes = _taps(x.shape[1:-1], window, strides, padding)
    weight = _reciprocal_counts(sizes, pairs, x.dtype)
    y = np.zeros((len(x), *sizes, x.shape[-1]), x.dtype)
    for images in image_blocks(x):
        source, total = x[images], y[images]
        for o, i in pairs:
            total[o] += source[i]
        total *= weight
    return y


def average_pool_grad(g: np.ndarray, *, input_size: Ints, window: Ints, strides: Ints, padding: Padding) -> np.ndarray:
    """Adjoint of `average_pool`.

    Parameters
    ----------
    g : ndarray (N, *output, C)
    input_size : tuple of int
    window, strides, padding
        Those of the pooling.

    Returns
    -------
    ndarray (N, *input_size, C)
    """
    pairs, sizes = _taps(input_size, window, strides, padding)
    weight = _reciprocal_counts(sizes, pairs, g.dtype)
    dx = np.zeros((len(g), *input_size, g.shape[-1]), g.dtype)
    for images in image_blocks(dx):
        target, share = dx[images], g[images] * weight
        for o, i in pairs:
            target[i] += share[o]
    return dx


def _taps(lengths: Ints, window: Ints, strides: Ints, padding: Padding) -> tuple[Pairs, Ints]:
    ones = (1,) * len(window)
    pairs = [((slice(None), *o), (slice(None), *i)) for o, i in taps(lengths, window, strides, ones, padding)]
    return pairs, output_lengths(lengths, window, strides, ones, padding)


def _reciprocal_counts(sizes: Ints, pairs: Pairs, dtype: np.dtype) -> np.ndarray:
    counts = np.zeros((1, *sizes, 1), dtype)
    for o, _ in pairs:
        counts[o] += 1
    return 1 / np.maximum(counts, 1)


def _bits(array: np.ndarray) -> np.ndarray:
    """The floats as integers of the same size, so that a mask can select them: infinity times zero is no zero."""
    return array.view(f"i{array.itemsize}")


def _mask(which: np.ndarray, tap: int, dtype: np.dtype) -> np.ndarray:
    """All bits set where `which` is `tap`, none elsewhere."""
    equal = np.equal(which, which.dtype.type(tap)).view(np.int8)
    return np.negative(equal, out=equal).astype(dtype)

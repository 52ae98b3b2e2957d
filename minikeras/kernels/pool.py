"""Max and average pooling, with their adjoints. Padding never counts: neither as a maximum nor in an average."""

from __future__ import annotations

import functools

import numpy as np

from .activation import bits_of
from .blocks import over_blocks
from .geometry import Ints, Padding, output_lengths, taps
from .resize import upsample_nearest

Pairs = tuple[tuple[tuple[slice, ...], tuple[slice, ...]], ...]


def max_pool(x: np.ndarray, *, window: Ints, strides: Ints, padding: Padding) -> tuple[np.ndarray, np.ndarray]:
    """Maximum of every window, and which tap it came from.

    Args:
        x: ndarray (N, *spatial, C).
        window, strides: tuples of int, one per spatial axis.
        padding: tuple of (lo, hi), one per spatial axis.

    Returns:
        y: ndarray (N, *output, C). NaN where a window holds one.
        index: ndarray of the smallest unsigned integers that hold it, same shape. The tap's number in row-major order,
        the first of equal ones.
    """
    pairs, sizes = _taps(x.shape[1:-1], window, strides, padding)
    shape = (len(x), *sizes, x.shape[-1])
    y = np.empty(shape, x.dtype)
    index = np.empty(shape, np.min_scalar_type(len(pairs) - 1))

    def work(images: slice) -> None:
        source, best, which = x[images], y[images], index[images]
        first = 0
        if _is_padded(padding):
            best[...] = -np.inf
            for tap in reversed(range(len(pairs))):  # a tap inside the input, also where nothing is larger than -inf
                which[pairs[tap][0]] = tap
        else:
            best[...] = source[pairs[0][1]]
            which[...] = 0
            first = 1
        number = which.dtype.type
        for tap, (o, i) in enumerate(pairs[first:], start=first):
            candidate, target, winner = source[i], best[o], which[o]
            better = np.greater(candidate, target)
            np.maximum(target, candidate, out=target)
            # taps come in order, so the last one that was better has the largest number; cheaper than a masked copy
            np.maximum(winner, better * number(tap), out=winner)

    over_blocks(work, x, strided=True)
    return y, index


def max_pool_values(x: np.ndarray, *, window: Ints, strides: Ints, padding: Padding) -> np.ndarray:
    """The maxima of `max_pool` alone, axis after axis: no tap is looked at that an axis before has left out.

    Args:
        x: ndarray (N, *spatial, C).
        window, strides: tuples of int, one per spatial axis.
        padding: tuple of (lo, hi), one per spatial axis.

    Returns:
        ndarray (N, *output, C). NaN where a window holds one.
    """
    _, sizes = _taps(x.shape[1:-1], window, strides, padding)
    y = np.empty((len(x), *sizes, x.shape[-1]), x.dtype)
    axes = list(zip(x.shape[1:-1], window, strides, padding, strict=True))

    def work(images: slice) -> None:
        part = x[images]
        for axis, (length, k, stride, pad) in enumerate(axes, start=1):
            last = axis == len(axes)
            best = (
                y[images] if last else np.empty((*part.shape[:axis], sizes[axis - 1], *part.shape[axis + 1 :]), x.dtype)
            )
            pairs = taps((length,), (k,), (stride,), (1,), (pad,))
            before = (slice(None),) * axis
            padded = pad != (0, 0)
            best[...] = -np.inf if padded else part[(*before, *pairs[0][1])]
            for outputs, inputs in pairs if padded else pairs[1:]:
                target = best[(*before, *outputs)]
                np.maximum(target, part[(*before, *inputs)], out=target)
            part = best

    over_blocks(work, x, strided=True)
    return y


def pool_gather(x: np.ndarray, index: np.ndarray, *, window: Ints, strides: Ints, padding: Padding) -> np.ndarray:
    """Pick from every window of `x` the element at the tap that `index` names.

    Args:
        x: ndarray (N, *spatial, C).
        index: ndarray of unsigned integers (N, *output, C).
        window, strides, padding: Those of the pooling.

    Returns:
        ndarray (N, *output, C)
    """
    pairs, _ = _taps(x.shape[1:-1], window, strides, padding)
    y = np.zeros(index.shape, x.dtype)

    def work(images: slice) -> None:
        source, picked, which = bits_of(x[images]), bits_of(y[images]), index[images]
        for tap, (o, i) in enumerate(pairs):
            picked[o] |= _chosen(which[o], tap) * source[i]

    over_blocks(work, x, strided=True)
    return y


def pool_scatter(
    g: np.ndarray, index: np.ndarray, *, input_size: Ints, window: Ints, strides: Ints, padding: Padding
) -> np.ndarray:
    """Adjoint of `pool_gather`: add every element of `g` to the input that `index` names.

    Args:
        g: ndarray (N, *output, C).
        index: ndarray of unsigned integers (N, *output, C).
        input_size: tuple of int.
        window, strides, padding: Those of the pooling.

    Returns:
        ndarray (N, *input_size, C)
    """
    pairs, _ = _taps(input_size, window, strides, padding)
    disjoint = all(k <= s for k, s in zip(window, strides, strict=True))
    make = np.empty if is_tiled(input_size, window, strides, padding) else np.zeros
    dx = make((len(g), *input_size, g.shape[-1]), g.dtype)

    def work(images: slice) -> None:
        target, cotangent, which = dx[images], bits_of(g[images]), index[images]
        for tap, (o, i) in enumerate(pairs):
            if disjoint:
                np.multiply(_chosen(which[o], tap), cotangent[o], out=bits_of(target)[i])
            else:
                target[i] += (_chosen(which[o], tap) * cotangent[o]).view(dx.dtype)

    over_blocks(work, dx, strided=True)
    return dx


def average_pool(x: np.ndarray, *, window: Ints, strides: Ints, padding: Padding) -> np.ndarray:
    """Mean of every window's elements that lie inside the input.

    Args:
        x: ndarray (N, *spatial, C).
        window, strides: tuples of int, one per spatial axis.
        padding: tuple of (lo, hi), one per spatial axis.

    Returns:
        ndarray (N, *output, C)
    """
    pairs, sizes = _taps(x.shape[1:-1], window, strides, padding)
    y = np.zeros((len(x), *sizes, x.shape[-1]), x.dtype)
    weight = _weights(sizes, pairs, padding, x.dtype)

    def work(images: slice) -> None:
        source, total = x[images], y[images]
        for o, i in pairs:
            total[o] += source[i]
        total *= weight

    over_blocks(work, x, strided=True)
    return y


def average_pool_grad(g: np.ndarray, *, input_size: Ints, window: Ints, strides: Ints, padding: Padding) -> np.ndarray:
    """Adjoint of `average_pool`.

    Args:
        g: ndarray (N, *output, C).
        input_size: tuple of int.
        window, strides, padding: Those of the pooling.

    Returns:
        ndarray (N, *input_size, C)
    """
    pairs, sizes = _taps(input_size, window, strides, padding)
    if is_tiled(input_size, window, strides, padding):
        return upsample_nearest(g * (1 / len(pairs)), size=window)
    dx = np.zeros((len(g), *input_size, g.shape[-1]), g.dtype)
    weight = _weights(sizes, pairs, padding, g.dtype)

    def work(images: slice) -> None:
        target, share = dx[images], g[images] * weight
        for o, i in pairs:
            target[i] += share[o]

    over_blocks(work, dx, strided=True)
    return dx


@functools.lru_cache
def _taps(lengths: Ints, window: Ints, strides: Ints, padding: Padding) -> tuple[Pairs, Ints]:
    """`taps` with a slice of all images in front, and the output sizes."""
    ones = (1,) * len(window)
    images = slice(None)
    pairs = tuple(((images, *o), (images, *i)) for o, i in taps(lengths, window, strides, ones, padding))
    return pairs, output_lengths(lengths, window, strides, ones, padding)


def _is_padded(padding: Padding) -> bool:
    return any(lo or hi for lo, hi in padding)


def is_tiled(lengths: Ints, window: Ints, strides: Ints, padding: Padding) -> bool:
    """Whether the windows cover the input without overlap, gap or rest."""
    return (
        window == strides and not _is_padded(padding) and not any(n % k for n, k in zip(lengths, window, strict=True))
    )


def _weights(sizes: Ints, pairs: Pairs, padding: Padding, dtype: np.dtype) -> np.ndarray | float:
    """One over the number of real elements in each window."""
    if not _is_padded(padding):
        return 1 / len(pairs)
    counts = np.zeros((1, *sizes, 1), dtype)
    for o, _ in pairs:
        counts[o] += 1
    return 1 / np.maximum(counts, 1)


def _chosen(which: np.ndarray, tap: int) -> np.ndarray:
    """1 where `which` is `tap`, else 0, to multiply bits by: infinity times zero is no zero."""
    return np.equal(which, which.dtype.type(tap)).view(np.int8)

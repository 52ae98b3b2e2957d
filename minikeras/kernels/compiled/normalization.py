"""Batch normalization in two passes over memory each way: one that sums, one that writes.

Mean and squared deviations are found together: those of eight rows in registers, merged with all before in float64
(Chan, Golub and LeVeque 1983). Arrays whose channels come last are seen as (rows, channels), all others as
(before, channels, behind).
"""

from __future__ import annotations

import math

import numpy as np

from ...core.memory import aligned_empty
from .. import normalization
from .jit import compiled, compiled_sums, is_covered, plain
from .packing import Cut, Own
from .sharing import parts_of, run, share
from .vectors import flat

LANES = 512
"""Few channels count several times, once per row side by side, as long as they are no more than this together."""


def batch_norm(
    x: np.ndarray, gamma: np.ndarray | None, beta: np.ndarray | None, *, axis: int, epsilon: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """As `minikeras.kernels.batch_norm`."""
    if not is_covered(x, gamma, beta) or not x.size:
        return normalization.batch_norm(x, gamma, beta, axis=axis, epsilon=epsilon)
    channels = x.shape[axis]
    array, repeats = _arranged(x, axis)
    with np.errstate(over="ignore", invalid="ignore"):
        mean, squares = _moments(array, channels)
        variance = squares / (x.size // channels)
        rounded = variance.astype(x.dtype)
    if not np.isfinite(rounded).all():  # infinite, or out of range: units are found there
        return normalization.batch_norm(x, gamma, beta, axis=axis, epsilon=epsilon)
    centre = mean.astype(x.dtype)
    scale = 1 / np.sqrt(variance + epsilon) if gamma is None else gamma / np.sqrt(variance + epsilon)
    shift = (centre - mean) * scale if beta is None else (centre - mean) * scale + beta
    y = _normalized(array, _tiled(repeats, x.dtype, centre, scale, shift))
    return y.reshape(x.shape), centre, rounded


def batch_norm_grad(
    g: np.ndarray,
    x: np.ndarray,
    gamma: np.ndarray | None,
    mean: np.ndarray,
    variance: np.ndarray,
    *,
    axis: int,
    epsilon: float,
    needs: tuple[bool, bool, bool],
) -> tuple[np.ndarray | None, np.ndarray | None, np.ndarray | None]:
    """As `minikeras.kernels.batch_norm_grad`."""
    if not is_covered(g, x, gamma, mean, variance) or not x.size:
        return normalization.batch_norm_grad(g, x, gamma, mean, variance, axis=axis, epsilon=epsilon, needs=needs)
    array, repeats = _arranged(x, axis)
    cotangents = plain(g).reshape(array.shape)
    centre = _tiled(repeats, x.dtype, mean)[0]
    total, moment = _products(cotangents, array, centre, len(mean))
    inverse = 1 / np.sqrt(variance.astype(np.float64) + epsilon)
    dgamma = moment * inverse
    dx = None
    if needs[0]:
        count = x.size // len(mean)
        scale = inverse if gamma is None else inverse * gamma
        weights = _tiled(repeats, x.dtype, scale, -scale * inverse * dgamma / count, -scale * total / count)
        dx = aligned_empty(array.shape, x.dtype)
        loop = _combine_rows if array.ndim == 2 else _combine_planes
        arrays = Cut(cotangents), Cut(array), Cut(dx), centre, *weights
        share(loop, *arrays, length=len(array), elements=3 * x.size)
    return (
        None if dx is None else dx.reshape(x.shape),
        dgamma.astype(x.dtype) if needs[1] else None,
        total.astype(x.dtype) if needs[2] else None,
    )


def channel_affine(x: np.ndarray, scale: np.ndarray, shift: np.ndarray, *, axis: int) -> np.ndarray:
    """As `minikeras.kernels.channel_affine`."""
    if not is_covered(x, scale, shift) or not x.size:
        return normalization.channel_affine(x, scale, shift, axis=axis)
    array, repeats = _arranged(x, axis)
    return _normalized(array, _tiled(repeats, x.dtype, np.zeros_like(scale), scale, shift)).reshape(x.shape)


def _arranged(x: np.ndarray, axis: int) -> tuple[np.ndarray, int]:
    """`x` as (rows, repeats C) and how many rows lie side by side; or as (before, C, behind) and 1."""
    axis %= x.ndim
    channels, behind = x.shape[axis], math.prod(x.shape[axis + 1 :])
    if behind != 1:
        return plain(x).reshape(math.prod(x.shape[:axis]), channels, behind), 1
    rows, repeats = math.prod(x.shape[:axis]), 1
    while rows % (2 * repeats) == 0 and 2 * repeats * channels <= LANES:
        repeats *= 2
    return plain(x).reshape(rows // repeats, repeats * channels), repeats


def _tiled(repeats: int, dtype: np.dtype, *vectors: np.ndarray) -> np.ndarray:
    """The vectors as rows, each several times side by side."""
    rows = np.empty((len(vectors), repeats, len(vectors[0])), dtype)
    for row, vector in zip(rows, vectors, strict=True):
        row[...] = vector
    return rows.reshape(len(vectors), -1)


def _moments(array: np.ndarray, channels: int) -> tuple[np.ndarray, np.ndarray]:
    """Means and sums of squared deviations (channels,), in float64."""
    lanes = array.shape[1]
    loop = _row_moments if array.ndim == 2 else _plane_moments
    parts = parts_of(len(array), array.size)
    found = np.zeros((2, parts, lanes))
    run([(loop, (Cut(array), Own(found[0]), Own(found[1])))], len(array), parts)
    count = np.repeat(np.diff(len(array) * np.arange(parts + 1) // parts), lanes // channels)[:, None]
    means, squares = found.reshape(2, -1, channels)
    if len(count) == 1:
        return means[0], squares[0]
    mean = (count * means).sum(axis=0) / count.sum()
    each = array.size // array.shape[0] // lanes
    return mean, squares.sum(axis=0) + each * (count * (means - mean) ** 2).sum(axis=0)


def _products(g: np.ndarray, array: np.ndarray, centre: np.ndarray, channels: int) -> tuple[np.ndarray, np.ndarray]:
    """Sums of `g` and of `g` times the distance from the centre (channels,), in float64."""
    loop = _row_products if array.ndim == 2 else _plane_products
    parts = parts_of(len(array), 2 * array.size)
    found = np.zeros((2, parts, array.shape[1]))
    run([(loop, (Cut(g), Cut(array), centre, Own(found[0]), Own(found[1])))], len(array), parts)
    total, moment = found.reshape(2, -1, channels).sum(axis=1)
    return total, moment


def _normalized(array: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    y = aligned_empty(array.shape, array.dtype)
    loop = _normalize_rows if array.ndim == 2 else _normalize_planes
    share(loop, Cut(array), Cut(y), *vectors, length=len(array), elements=2 * array.size)
    return y


# ---------------------------------------------------------------------- compiled: (rows, channels)

# Indices without sign spare the question whether they count from the end.


@compiled
def _row_moments(x, mean, squares):  # type: ignore[no-untyped-def]
    source, n, real = flat(x), np.uintp(x.shape[1]), x.dtype.type
    eighth = real(0.125)
    whole = x.shape[0] // 8 * 8
    for row in range(0, whole, 8):
        p = np.uintp(row) * n
        q, r, s, t = p + n, p + n + n, p + n + n + n, p + n + n + n + n
        u, v, w = t + n, t + n + n, t + n + n + n
        share = 8 / (row + 8)
        between = row * share
        for c in range(n):
            x0, x1, x2, x3 = source[p + c], source[q + c], source[r + c], source[s + c]
            x4, x5, x6, x7 = source[t + c], source[u + c], source[v + c], source[w + c]
            middle = (((x0 + x1) + (x2 + x3)) + ((x4 + x5) + (x6 + x7))) * eighth
            d0, d1, d2, d3 = x0 - middle, x1 - middle, x2 - middle, x3 - middle
            d4, d5, d6, d7 = x4 - middle, x5 - middle, x6 - middle, x7 - middle
            within = ((d0 * d0 + d1 * d1) + (d2 * d2 + d3 * d3)) + ((d4 * d4 + d5 * d5) + (d6 * d6 + d7 * d7))
            delta = middle - mean[c]
            mean[c] += delta * share
            squares[c] += within + delta * delta * between
    for row in range(whole, x.shape[0]):
        p, share = np.uintp(row) * n, 1 / (row + 1)
        between = row * share
        for c in range(n):
            delta = source[p + c] - mean[c]
            mean[c] += delta * share
            squares[c] += delta * delta * between


@compiled
def _normalize_rows(x, y, centre, factor, shift):  # type: ignore[no-untyped-def]
    source, target, n = flat(x), flat(y), np.uintp(x.shape[1])
    for row in range(x.shape[0]):
        p = np.uintp(row) * n
        for c in range(n):
            target[p + c] = (source[p + c] - centre[c]) * factor[c] + shift[c]


@compiled
def _row_products(g, x, centre, total, moment):  # type: ignore[no-untyped-def]
    cotangent, source, n = flat(g), flat(x), np.uintp(x.shape[1])
    whole = x.shape[0] // 4 * 4
    for row in range(0, whole, 4):
        p = np.uintp(row) * n
        q, r, s = p + n, p + n + n, p + n + n + n
        for c in range(n):
            g0, g1, g2, g3 = cotangent[p + c], cotangent[q + c], cotangent[r + c], cotangent[s + c]
            d0, d1 = source[p + c] - centre[c], source[q + c] - centre[c]
            d2, d3 = source[r + c] - centre[c], source[s + c] - centre[c]
            total[c] += (g0 + g1) + (g2 + g3)
            moment[c] += (g0 * d0 + g1 * d1) + (g2 * d2 + g3 * d3)
    for row in range(whole, x.shape[0]):
        p = np.uintp(row) * n
        for c in range(n):
            total[c] += cotangent[p + c]
            moment[c] += cotangent[p + c] * (source[p + c] - centre[c])


@compiled
def _combine_rows(g, x, dx, centre, factor, slope, offset):  # type: ignore[no-untyped-def]
    cotangent, source, target, n = flat(g), flat(x), flat(dx), np.uintp(x.shape[1])
    for row in range(x.shape[0]):
        p = np.uintp(row) * n
        for c in range(n):
            target[p + c] = cotangent[p + c] * factor[c] + ((source[p + c] - centre[c]) * slope[c] + offset[c])


# ---------------------------------------------------------------------- compiled: (before, channels, behind)

CHUNK = 1024  # numbers that are summed in their own precision


@compiled_sums
def _plane_moments(x, mean, squares):  # type: ignore[no-untyped-def]
    behind = x.shape[2]
    for before in range(x.shape[0]):
        for c in range(x.shape[1]):
            line = x[before, c]
            for start in range(0, behind, CHUNK):
                stop = min(start + CHUNK, behind)
                zero = x.dtype.type(0)
                total, within = zero, zero
                for i in range(start, stop):
                    total += line[i]
                middle = x.dtype.type(total / (stop - start))
                for i in range(start, stop):
                    within += (line[i] - middle) * (line[i] - middle)
                seen = before * behind + start
                share = (stop - start) / (seen + stop - start)
                delta = middle - mean[c]
                mean[c] += delta * share
                squares[c] += within + delta * delta * (seen * share)


@compiled
def _normalize_planes(x, y, centre, factor, shift):  # type: ignore[no-untyped-def]
    for before in range(x.shape[0]):
        for c in range(x.shape[1]):
            source, target = x[before, c], y[before, c]
            middle, scale, offset = centre[c], factor[c], shift[c]
            for i in range(source.size):
                target[i] = (source[i] - middle) * scale + offset


@compiled_sums
def _plane_products(g, x, centre, total, moment):  # type: ignore[no-untyped-def]
    for before in range(x.shape[0]):
        for c in range(x.shape[1]):
            cotangent, source, middle = g[before, c], x[before, c], centre[c]
            for start in range(0, source.size, CHUNK):
                zero = x.dtype.type(0)
                part, product = zero, zero
                for i in range(start, min(start + CHUNK, source.size)):
                    part += cotangent[i]
                    product += cotangent[i] * (source[i] - middle)
                total[c] += part
                moment[c] += product


@compiled
def _combine_planes(g, x, dx, centre, factor, slope, offset):  # type: ignore[no-untyped-def]
    for before in range(x.shape[0]):
        for c in range(x.shape[1]):
            cotangent, source, target = g[before, c], x[before, c], dx[before, c]
            middle, scale, tilt, constant = centre[c], factor[c], slope[c], offset[c]
            for i in range(source.size):
                target[i] = cotangent[i] * scale + ((source[i] - middle) * tilt + constant)

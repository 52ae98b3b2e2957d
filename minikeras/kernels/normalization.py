"""Batch normalization by the statistics of the batch (Ioffe and Szegedy 2015), fused."""

from __future__ import annotations

import math

import numpy as np

from .blocks import over_blocks


def batch_norm(
    x: np.ndarray, gamma: np.ndarray | None, beta: np.ndarray | None, *, axis: int, epsilon: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Normalize `x` over all axes but one: ``(x - mean) / sqrt(variance + epsilon) * gamma + beta``.

    Args:
        x: ndarray, any shape.
        gamma, beta: ndarray (C,) or None.
        axis: The axis of length C that keeps its statistics apart; may be negative.
        epsilon: float.

    Returns:
        y: ndarray, shape of x
        mean, variance: ndarray (C,). Of this batch, the variance biased. The variance is the mean square of the
        deviations from the mean, and sums go on in float64 from block to block, so a large mean or batch costs no
        accuracy.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        result = _batch_norm(x, gamma, beta, axis, epsilon)
    if np.isfinite(result[2]).all() or not np.isfinite(x).all():
        return result
    # Squares are out of range: everything in units of the largest.
    unit = max(-float(x.min()), float(x.max()))
    # Epsilon vanishes in them; some is left, so that a constant isn't divided by zero.
    y, mean, variance = _batch_norm(x / x.dtype.type(unit), gamma, beta, axis, max(epsilon / unit / unit, 1e-30))
    with np.errstate(over="ignore"):
        return y, mean * x.dtype.type(unit), variance * x.dtype.type(unit) * x.dtype.type(unit)


def _batch_norm(
    x: np.ndarray, gamma: np.ndarray | None, beta: np.ndarray | None, axis: int, epsilon: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    planes, repeats = _planes(x, axis)
    mean = _mean(planes, repeats)
    y = np.empty(planes.shape, x.dtype)
    centre = _spread(mean, repeats, x.dtype)

    def moments(block: slice) -> np.ndarray:
        deviation = np.subtract(planes[block], centre, out=y[block])
        return np.array([deviation.sum(axis=(0, 2)), np.einsum("akb,akb->k", deviation, deviation)], np.float64)

    total, squares = _total(over_blocks(moments, y, strided=True), (2, planes.shape[1]))
    count = max(x.size // len(mean), 1)
    residue = _collect(total, repeats) / count  # of the mean, by which its float32 sum was off
    variance = np.maximum(_collect(squares, repeats) / count - residue**2, 0)
    scale = _inverse_deviation(variance, epsilon) * (1 if gamma is None else gamma)
    shift = (0 if beta is None else beta) - residue * scale
    factor, offset = _spread(scale, repeats, x.dtype), _spread(shift, repeats, x.dtype)

    def scale_and_shift(block: slice) -> None:
        part = y[block]
        part *= factor
        part += offset

    over_blocks(scale_and_shift, y, strided=True)
    return y.reshape(x.shape), (mean + residue).astype(x.dtype), variance.astype(x.dtype)


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
    """Gradients of `batch_norm` in x, gamma and beta, through the statistics too.

    Args:
        g, x: ndarray, same shape.
        gamma: ndarray (C,) or None.
        mean, variance: ndarray (C,). As `batch_norm` returned them.
        axis, epsilon: Those of the normalization.
        needs: (bool, bool, bool). Which of the three to compute.

    Returns:
        dx, dgamma, dbeta: ndarray, or None where not needed.
    """
    planes, repeats = _planes(x, axis)
    cotangents, _ = _planes(g, axis)
    centre = _spread(mean, repeats, x.dtype)
    dx = np.empty(planes.shape, x.dtype)

    def moments(block: slice) -> np.ndarray:
        cotangent = cotangents[block]
        deviation = np.subtract(planes[block], centre, out=dx[block])
        return np.array([cotangent.sum(axis=(0, 2)), np.einsum("akb,akb->k", cotangent, deviation)], np.float64)

    # of g and of g (x - mean)
    total, moment = _total(over_blocks(moments, planes, cotangents, strided=True), (2, planes.shape[1]))
    dbeta, inverse = _collect(total, repeats), _inverse_deviation(variance, epsilon)
    dgamma = _collect(moment, repeats) * inverse
    if needs[0]:
        # dx = scale (g - mean(g) - (x - mean) inverse mean(g (x - mean) inverse))
        count = max(x.size // len(mean), 1)
        scale = inverse * (1 if gamma is None else gamma)
        factor, slope, offset = (
            _spread(vector, repeats, x.dtype)
            for vector in (scale, -scale * inverse * dgamma / count, -scale * dbeta / count)
        )

        def combine(block: slice) -> None:
            part = dx[block]
            part *= slope
            part += cotangents[block] * factor
            part += offset

        over_blocks(combine, planes, cotangents, strided=True)
    return (
        dx.reshape(x.shape) if needs[0] else None,
        dgamma.astype(x.dtype) if needs[1] else None,
        dbeta.astype(x.dtype) if needs[2] else None,
    )


def channel_affine(x: np.ndarray, scale: np.ndarray, shift: np.ndarray, *, axis: int) -> np.ndarray:
    """``x * scale + shift`` with one scale and one shift per channel, in one pass.

    Args:
        x: ndarray, any shape.
        scale, shift: ndarray (C,).
        axis: The axis of length C; may be negative.

    Returns:
        ndarray, shape of x
    """
    planes, repeats = _planes(x, axis)
    y = np.empty(planes.shape, x.dtype)
    factor, offset = _spread(scale, repeats, x.dtype), _spread(shift, repeats, x.dtype)

    def work(block: slice) -> None:
        part = np.multiply(planes[block], factor, out=y[block])
        part += offset

    over_blocks(work, y, strided=True)
    return y.reshape(x.shape)


def _planes(x: np.ndarray, axis: int) -> tuple[np.ndarray, int]:
    """`x` as (before, repeats C, behind): channels in the last axis count once per position of the axis before it.

    Vectors of channels are then repeated as often, and NumPy's inner loops run over whole rows of pixels.
    """
    axis %= x.ndim
    behind = math.prod(x.shape[axis + 1 :])
    repeats = x.shape[axis - 1] if behind == 1 and axis > 1 else 1
    channels = repeats * x.shape[axis]
    return x.reshape(math.prod(x.shape[:axis]) // max(repeats, 1), channels, behind), repeats


def _spread(vector: np.ndarray, repeats: int, dtype: np.dtype) -> np.ndarray:
    return np.tile(vector.astype(dtype), repeats)[:, None]


def _collect(sums: np.ndarray, repeats: int) -> np.ndarray:
    return sums.reshape(repeats, -1).sum(axis=0)


def _total(parts: list[np.ndarray], shape: tuple[int, ...]) -> np.ndarray:
    """The sum of float32 sums of blocks, in float64."""
    return sum(parts, start=np.zeros(shape))


def _mean(planes: np.ndarray, repeats: int) -> np.ndarray:
    sums = over_blocks(lambda block: planes[block].sum(axis=(0, 2)), planes)
    total = _total(sums, (planes.shape[1],))
    return _collect(total, repeats) / max(planes.shape[0] * planes.shape[2] * repeats, 1)


def _inverse_deviation(variance: np.ndarray, epsilon: float) -> np.ndarray:
    return 1 / np.sqrt(variance.astype(np.float64) + epsilon)

"""Batch normalization by the statistics of the batch (Ioffe and Szegedy 2015), fused."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from .blocks import blocks


def batch_norm(
    x: np.ndarray, gamma: np.ndarray | None, beta: np.ndarray | None, *, axis: int, epsilon: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Normalize `x` over all axes but one: ``(x - mean) / sqrt(variance + epsilon) * gamma + beta``.

    Parameters
    ----------
    x : ndarray, any shape
    gamma, beta : ndarray (C,) or None
    axis : int
        The axis of length C that keeps its statistics apart; may be negative.
    epsilon : float

    Returns
    -------
    y : ndarray, shape of x
    mean, variance : ndarray (C,)
        Of this batch, the variance biased. Blocks' sums of squared deviations are merged as by
        Chan, Golub and LeVeque (1983) in float64, so a large mean costs no accuracy.
    """
    planes = _planes(x, axis)
    mean, variance = _moments(planes)
    scale = _scale(gamma, variance, epsilon)
    y = np.empty(planes.shape, x.dtype)
    centre, factor = _column(mean, x.dtype), _column(scale, x.dtype)
    for block in _plane_blocks(planes):
        part = np.subtract(planes[block], centre, out=y[block])
        part *= factor
        if beta is not None:
            part += beta[:, None]
    return y.reshape(x.shape), mean.astype(x.dtype), variance.astype(x.dtype)


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

    Parameters
    ----------
    g, x : ndarray, same shape
    gamma : ndarray (C,) or None
    mean, variance : ndarray (C,)
        As `batch_norm` returned them.
    axis, epsilon
        Those of the normalization.
    needs : (bool, bool, bool)
        Which of the three to compute.

    Returns
    -------
    dx, dgamma, dbeta : ndarray or None
        None where not needed.
    """
    planes, cotangents = _planes(x, axis), _planes(g, axis)
    centre = _column(mean, x.dtype)
    inverse = 1 / np.sqrt(variance.astype(np.float64) + epsilon)
    total, moment = np.zeros((2, len(mean)))  # of g and of g (x - mean)
    for block in _plane_blocks(planes):
        part = cotangents[block]
        total += part.sum(axis=(0, 2))
        moment += np.einsum("acb,acb->c", part, planes[block] - centre)
    dgamma = (moment * inverse).astype(x.dtype) if needs[1] else None
    dbeta = total.astype(x.dtype) if needs[2] else None
    if not needs[0]:
        return None, dgamma, dbeta
    # dx = scale (g - mean(g) - (x - mean) inverse^2 mean(g (x - mean)))
    count = max(x.size // len(mean), 1)
    scale = _scale(gamma, variance, epsilon)
    slope = _column(-scale * inverse**2 * moment / count, x.dtype)
    shift, factor = _column(-scale * total / count, x.dtype), _column(scale, x.dtype)
    dx = np.empty(planes.shape, x.dtype)
    for block in _plane_blocks(planes):
        part = np.subtract(planes[block], centre, out=dx[block])
        part *= slope
        part += cotangents[block] * factor
        part += shift
    return dx.reshape(x.shape), dgamma, dbeta


def _planes(x: np.ndarray, axis: int) -> np.ndarray:
    """`x` as (before, C, behind)."""
    axis %= x.ndim
    return x.reshape(int(np.prod(x.shape[:axis])), x.shape[axis], int(np.prod(x.shape[axis + 1 :])))


def _plane_blocks(planes: np.ndarray) -> Iterator[slice]:
    for block, _ in blocks(len(planes), 1, planes[:1].nbytes):
        yield block


def _column(vector: np.ndarray, dtype: np.dtype) -> np.ndarray:
    return vector.astype(dtype)[:, None]


def _scale(gamma: np.ndarray | None, variance: np.ndarray, epsilon: float) -> np.ndarray:
    scale = 1 / np.sqrt(variance.astype(np.float64) + epsilon)
    return scale if gamma is None else scale * gamma


def _moments(planes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and biased variance per channel, in float64."""
    mean, squares = np.zeros((2, planes.shape[1]))
    seen = 0
    for block in _plane_blocks(planes):
        part = planes[block]
        count = part.shape[0] * part.shape[2]
        rough = part.mean(axis=(0, 2))
        deviation = part - rough[:, None]
        rest = deviation.mean(axis=(0, 2), dtype=np.float64)
        delta = rough + rest - mean
        squares += np.einsum("acb,acb->c", deviation, deviation) - count * rest**2
        squares += delta**2 * (seen * count / (seen + count))
        seen += count
        mean += delta * (count / seen)
    return mean, squares / max(seen, 1)

"""Sums that NumPy takes a row at a time and BLAS many rows at once."""

from __future__ import annotations

import functools

import numpy as np

from ..core.threads import UNSHARED, spread
from .blocks import over_blocks
from .product import matmul

ROWS = 4096
"""Rows that are summed in the array's own precision; their sums are summed in float64."""


def middle_sum(x: np.ndarray, first: int) -> np.ndarray:
    """Sum over the axes from `first` on, but the last: over space, as global pooling does.

    Args:
        x: ndarray (..., C), contiguous.
        first: int, at least 1. The first axis that is summed.

    Returns:
        ndarray (*x.shape[:first], C)
    """
    rows = x.reshape(*x.shape[:first], -1, x.shape[-1])
    ones = np.ones((1, rows.shape[-2]), x.dtype)
    y = np.empty((*x.shape[:first], 1, x.shape[-1]), x.dtype)
    over_blocks(lambda images: np.matmul(ones, rows[images], out=y[images]), rows)
    return y[..., 0, :]


def row_sum(x: np.ndarray) -> np.ndarray:
    """Sum over the last axis, where that is short.

    Args:
        x: ndarray (..., C), contiguous.

    Returns:
        ndarray (...)
    """
    return matmul(x.reshape(-1, x.shape[-1]), np.ones((x.shape[-1], 1), x.dtype)).reshape(x.shape[:-1])


@functools.cache
def _ones(dtype: np.dtype) -> np.ndarray:
    """Nobody writes to it."""
    return np.ones(ROWS, dtype)


def channel_sum(x: np.ndarray) -> np.ndarray:
    """Sum over all axes but the last.

    Args:
        x: ndarray (..., C), contiguous.

    Returns:
        ndarray (C,)
    """
    ones = _ones(x.dtype)
    if x.size <= ROWS * x.shape[-1]:
        rows = x.reshape(-1, x.shape[-1])
        if x.size <= UNSHARED:
            return ones[: len(rows)] @ rows
        return spread(lambda _: ones[: len(rows)] @ rows, 1, x.size)[0]

    def work(images: slice) -> np.ndarray:
        part = x[images].reshape(-1, x.shape[-1])
        total = np.zeros(x.shape[-1])
        for start in range(0, len(part), ROWS):
            block = part[start : start + ROWS]
            total += ones[: len(block)] @ block
        return total

    return sum(over_blocks(work, x), start=np.zeros(x.shape[-1])).astype(x.dtype)

"""The rectifier, its gradient, and dropout, a block at a time."""

from __future__ import annotations

import numpy as np

from .blocks import SMALL, over_blocks


def relu(x: np.ndarray) -> np.ndarray:
    """``max(x, 0)``; NaN stays."""
    if x.size <= SMALL:
        return np.asarray(np.maximum(x, 0))
    y = np.empty(x.shape, x.dtype)
    over_blocks(lambda part: np.maximum(x[part], 0, out=y[part]), x, y)
    return y


def relu_grad(delta: np.ndarray, y: np.ndarray) -> np.ndarray:
    """`delta` where ``y > 0``, else 0.

    Args:
        delta, y: ndarray, same shape and dtype.

    Returns:
        ndarray of that shape
    """
    out = np.empty(delta.shape, delta.dtype)

    # As integers: a product of floats would make NaN of 0 * inf, and np.where is many times slower on random signs.
    def work(block: slice) -> None:
        np.multiply(bits_of(delta[block]), np.greater(y[block], 0), out=bits_of(out[block]))

    if delta.ndim:
        over_blocks(work, delta, out)
    else:
        out[...] = delta if y > 0 else 0
    return out


def dropout(x: np.ndarray, keep: np.ndarray, *, scale: float) -> np.ndarray:
    """``x * scale`` where ``keep`` is true, else 0.

    Args:
        x: ndarray of floats.
        keep: ndarray of booleans whose shape broadcasts to that of `x`.
        scale: float.

    Returns:
        ndarray of the shape and dtype of `x`
    """

    def work(part: slice) -> None:
        np.multiply(x[part], keep[part], out=y[part])  # in this order, what is dropped doesn't overflow
        np.multiply(y[part], scale, out=y[part])

    y = np.empty(x.shape, x.dtype)
    if x.ndim and x.shape == keep.shape:
        over_blocks(work, x, y)
    else:
        np.multiply(np.multiply(x, keep), scale, out=y)
    return y


def bits_of(array: np.ndarray) -> np.ndarray:
    """The floats as integers of the same size, so that a mask can select them: infinity times zero is no zero."""
    return array.view(f"i{array.itemsize}")

"""tanh and the sigmoid, and back through them from their values, a block at a time."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .blocks import SMALL, over_blocks
from .epilogue import add_bias_and_activate


def tanh(x: np.ndarray) -> np.ndarray:
    """Hyperbolic tangent of a float array."""
    if x.size <= SMALL:
        return np.asarray(np.tanh(x))
    y = np.empty(x.shape, x.dtype)
    over_blocks(lambda part: np.tanh(x[part], out=y[part]), x, y)
    return y


def tanh_grad(delta: np.ndarray, y: np.ndarray) -> np.ndarray:
    """``delta * (1 - y**2)``: back through tanh, from its value `y`.

    Args:
        delta, y: ndarray, same shape and dtype.

    Returns:
        ndarray of that shape
    """

    def work(delta: np.ndarray, y: np.ndarray, out: np.ndarray) -> None:
        np.multiply(y, y, out=out)
        np.subtract(1, out, out=out)
        np.multiply(out, delta, out=out)

    return _by_blocks(work, delta, y)


def sigmoid(x: np.ndarray) -> np.ndarray:
    """``1 / (1 + exp(-x))`` of a float array, without overflow at either end."""
    y = np.array(x)
    if x.ndim:
        over_blocks(lambda part: add_bias_and_activate(y[part], None, "sigmoid"), y)
    else:
        add_bias_and_activate(y, None, "sigmoid")
    return y


def sigmoid_grad(delta: np.ndarray, y: np.ndarray) -> np.ndarray:
    """``delta * y * (1 - y)``: back through the sigmoid, from its value `y`.

    Args:
        delta, y: ndarray, same shape and dtype.

    Returns:
        ndarray of that shape
    """

    def work(delta: np.ndarray, y: np.ndarray, out: np.ndarray) -> None:
        np.subtract(1, y, out=out)
        np.multiply(out, y, out=out)
        np.multiply(out, delta, out=out)

    return _by_blocks(work, delta, y)


def _by_blocks(
    work: Callable[[np.ndarray, np.ndarray, np.ndarray], None], delta: np.ndarray, y: np.ndarray
) -> np.ndarray:
    out = np.empty(y.shape, y.dtype)
    if y.ndim:
        over_blocks(lambda part: work(delta[part], y[part], out[part]), delta, y, out)
    else:
        work(delta, y, out)
    return out

"""The sigmoid, and back through it and tanh, in one pass."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...core.memory import aligned_empty
from .. import squashing
from .exponential import exponential
from .jit import compiled, is_covered, plain
from .packing import Cut
from .sharing import share


def sigmoid(x: np.ndarray) -> np.ndarray:
    """As `minikeras.kernels.sigmoid`."""
    if x.dtype != np.float32 or not x.ndim:
        return squashing.sigmoid(x)
    return _each(_sigmoid, 4, x)


def sigmoid_grad(delta: np.ndarray, y: np.ndarray) -> np.ndarray:
    """As `minikeras.kernels.sigmoid_grad`."""
    if not is_covered(delta, y) or not y.ndim:
        return squashing.sigmoid_grad(delta, y)
    return _each(_sigmoid_grad, 3, delta, y)


def tanh_grad(delta: np.ndarray, y: np.ndarray) -> np.ndarray:
    """As `minikeras.kernels.tanh_grad`."""
    if not is_covered(delta, y) or not y.ndim:
        return squashing.tanh_grad(delta, y)
    return _each(_tanh_grad, 3, delta, y)


def _each(loop: Any, cost: int, *arrays: np.ndarray) -> np.ndarray:
    """A loop over all elements, of which each costs as much as so many that are only read."""
    out = aligned_empty(arrays[0].shape, arrays[0].dtype)
    flat = [Cut(plain(array).reshape(-1)) for array in (*arrays, out)]
    share(loop, *flat, length=out.size, elements=cost * out.size)
    return out


@compiled
def _sigmoid(x, y):  # type: ignore[no-untyped-def]
    for i in range(x.size):
        y[i] = np.float32(1) / (np.float32(1) + exponential(-x[i]))


@compiled
def _sigmoid_grad(delta, y, out):  # type: ignore[no-untyped-def]
    one = y.dtype.type(1)
    for i in range(y.size):
        out[i] = (one - y[i]) * y[i] * delta[i]


@compiled
def _tanh_grad(delta, y, out):  # type: ignore[no-untyped-def]
    one = y.dtype.type(1)
    for i in range(y.size):
        out[i] = (one - y[i] * y[i]) * delta[i]

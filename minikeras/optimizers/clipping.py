"""Gradients that are too large: their common norm, and a limit for optimizers that add up squares."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np


def global_norm(grads: Sequence[np.ndarray]) -> float:
    """Euclidean norm of all arrays together, also where squares leave the range of their type.

    Args:
        grads: Arrays of any shapes.

    Returns:
        The norm; infinity or NaN if an element is that.
    """
    with np.errstate(over="ignore"):
        squares = sum(float(np.vdot(grad, grad)) for grad in grads)
    if math.isfinite(squares):
        return math.sqrt(squares)
    largest = max(float(np.max(np.abs(grad), initial=0.0)) for grad in grads)
    if not math.isfinite(largest):
        return largest
    return largest * math.sqrt(sum(float(np.sum(np.square(grad / largest))) for grad in grads))


def with_summable_squares(g: np.ndarray, out: np.ndarray) -> np.ndarray:
    """A gradient cut off at the root of its type's largest number, less room for billions of steps.

    The squares of larger ones would make an accumulator infinite and so freeze the weight for good. Steps don't depend
    on the gradient's scale, so they stay what they should be. Infinities and NaN stay, to be seen.

    Args:
        g: Vector.
        out: Vector of the same length and type; may be ``g``.

    Returns:
        ``g`` itself if nothing is to be cut off, else ``out``.
    """
    exponent = np.finfo(g.dtype).maxexp // 2 - 17  # 2**47 in float32
    with np.errstate(over="ignore", invalid="ignore"):
        if exponent < 0 or np.dot(g, g) <= 4.0**exponent:
            return g
    limit = 2.0**exponent
    np.copyto(out, np.where(np.isfinite(g), np.clip(g, -limit, limit), g))
    return out

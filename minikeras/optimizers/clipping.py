"""Gradients whose squares overflow: their common norm, and what takes their place where they are squared."""

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


def square(g: np.ndarray, out: np.ndarray) -> np.ndarray:
    """Leave ``g**2`` in ``out``, to be added to an optimizer's state, without infinities, which would stay there.

    Args:
        g: Vector; is not changed.
        out: Vector of the same length and type.

    Returns:
        The gradient to go on with: ``g``, or where its squares overflow a copy of which the finite elements are cut
        off at half the root of the type's largest number. A step that doesn't depend on the gradient's scale stays what
        it should be. Infinities and NaN stay, to be seen.
    """
    try:
        with np.errstate(over="raise"):
            np.square(g, out=out)
    except FloatingPointError:
        limit = 2.0 ** (np.finfo(g.dtype).maxexp // 2 - 1)  # 2**63 in float32
        g = np.where(np.isfinite(g), np.clip(g, -limit, limit), g)
        np.square(g, out=out)
    return g

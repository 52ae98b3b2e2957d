"""The common norm of gradients, also where their squares overflow."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from ..core.threads import spread


def scaled_to_norm(grad: np.ndarray, norm: float) -> np.ndarray:
    """A gradient, scaled down to a norm that it exceeds."""
    own = global_norm([grad])
    return grad * np.asarray(norm / own, grad.dtype) if own > norm else grad


def _square_sum(grad: np.ndarray) -> float:
    return spread(lambda _: float(np.vdot(grad, grad)), 1, grad.size)[0]


def global_norm(grads: Sequence[np.ndarray]) -> float:
    """Euclidean norm of all arrays together, also where squares leave the range of their type.

    Args:
        grads: Arrays of any shapes.

    Returns:
        The norm; infinity or NaN if an element is that.
    """
    with np.errstate(over="ignore"):
        squares = sum(_square_sum(grad) for grad in grads)
    if math.isfinite(squares):
        return math.sqrt(squares)
    largest = max(float(np.max(np.abs(grad), initial=0.0)) for grad in grads)
    if not math.isfinite(largest):
        return largest
    return largest * math.sqrt(sum(float(np.sum(np.square(grad / largest))) for grad in grads))

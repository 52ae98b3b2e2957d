"""Elementwise work in one pass."""

from __future__ import annotations

import numpy as np

from ...core.memory import aligned_empty
from ...core.threads import spread
from .. import activation
from .jit import compiled, is_covered, plain


def relu_grad(delta: np.ndarray, y: np.ndarray) -> np.ndarray:
    """As `minikeras.kernels.relu_grad`."""
    if not is_covered(delta, y) or not delta.ndim:
        return activation.relu_grad(delta, y)
    out = aligned_empty(delta.shape, delta.dtype)
    source, result, target = plain(delta).reshape(-1), plain(y).reshape(-1), out.reshape(-1)
    spread(lambda part: pass_positive(source[part], result[part], target[part]), out.size, 3 * out.size)
    return out


@compiled
def pass_positive(delta, y, out):  # type: ignore[no-untyped-def]
    """Write `delta` where ``y > 0``, else 0."""
    zero = out.dtype.type(0)
    for i in range(out.size):
        value = delta[i]
        out[i] = value if y[i] > 0 else zero

"""Elementwise work in one pass."""

from __future__ import annotations

import numpy as np

from ...core.memory import aligned_empty
from .. import activation
from .jit import compiled, compiled_sums, is_covered, plain
from .packing import Cut
from .sharing import share


def relu_grad(delta: np.ndarray, y: np.ndarray) -> np.ndarray:
    """As `minikeras.kernels.relu_grad`."""
    if not is_covered(delta, y) or not delta.ndim:
        return activation.relu_grad(delta, y)
    out = aligned_empty(delta.shape, delta.dtype)
    flat = [Cut(array.reshape(-1)) for array in (plain(delta), plain(y), out)]
    share(pass_positive, *flat, length=out.size, elements=3 * out.size)
    return out


def dropout(x: np.ndarray, keep: np.ndarray, *, scale: float) -> np.ndarray:
    """As `minikeras.kernels.dropout`."""
    if not is_covered(x) or x.shape != keep.shape or keep.dtype != bool or not x.ndim:
        return activation.dropout(x, keep, scale=scale)
    y = aligned_empty(x.shape, x.dtype)
    flat = [Cut(array.reshape(-1)) for array in (plain(x), plain(keep), y)]
    share(_dropout, *flat, x.dtype.type(scale), length=x.size, elements=3 * x.size)
    return y


@compiled
def _dropout(x, keep, y, scale):  # type: ignore[no-untyped-def]
    for i in range(x.size):
        y[i] = x[i] * y.dtype.type(keep[i]) * scale


@compiled
def pass_positive(delta, y, out):  # type: ignore[no-untyped-def]
    """Write `delta` where ``y > 0``, else 0."""
    zero = out.dtype.type(0)
    for i in range(out.size):
        value = delta[i]
        out[i] = value if y[i] > 0 else zero


LANES = 256
"""Few channels are added up several times side by side, as long as they are no more than this together."""
ROWS = 128
"""Numbers that are added up in their own precision, before their sum is added to others in float64."""


@compiled_sums
def pass_and_sum(delta, y, out, sums):  # type: ignore[no-untyped-def]
    """As `pass_positive`, and add those of each channel, of which there are as many as `sums`."""
    channels, zero = sums.size, out.dtype.type(0)
    width = channels * max(LANES // channels, 1)  # several rows side by side, where channels are few
    whole = delta.size // width * width
    part = np.empty(width, out.dtype)
    for begin in range(0, whole, ROWS * width):
        part[:] = zero
        for p in range(begin, min(begin + ROWS * width, whole), width):
            for c in range(np.uintp(width)):
                at = np.uintp(p) + c
                value = delta[at] if y[at] > 0 else zero
                out[at] = value
                part[c] += value
        for c in range(width):
            sums[c % channels] += part[c]
    for i in range(whole, delta.size):
        value = delta[i] if y[i] > 0 else zero
        out[i] = value
        sums[i % channels] += value

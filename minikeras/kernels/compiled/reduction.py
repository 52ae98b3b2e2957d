"""Sums over axes up to the last but one, of arrays that several threads share: rows or images, in one pass."""

from __future__ import annotations

import numpy as np

from .. import reduction
from .activation import LANES
from .jit import compiled_sums, is_covered
from .packing import Cut, Own
from .sharing import WORTHWHILE, parts_of, run, share

FOURS = 4
"""Sums of four numbers that are added up in their own precision, before their sum is added to others in float64."""


def channel_sum(x: np.ndarray) -> np.ndarray:
    """As `minikeras.kernels.channel_sum`."""
    if not _is_covered(x):
        return reduction.channel_sum(x)
    channels = x.shape[-1]
    length = x.size // channels
    parts = parts_of(length, x.size)
    sums = np.zeros((parts, channels))
    run([(add_rows, (Cut(x.reshape(-1)), Own(sums)))], length, parts)
    return (sums[0] if parts == 1 else np.add.reduce(sums)).astype(x.dtype)


def middle_sum(x: np.ndarray, first: int) -> np.ndarray:
    """As `minikeras.kernels.middle_sum`."""
    if not _is_covered(x):
        return reduction.middle_sum(x, first)
    shape = (*x.shape[:first], x.shape[-1])
    sums = np.zeros(shape).reshape(-1, x.shape[-1])
    images = len(sums)
    share(add_images, Cut(x.reshape(images, -1)), Cut(sums), length=images, elements=x.size)
    return sums.reshape(shape).astype(x.dtype, copy=False)


def _is_covered(x: np.ndarray) -> bool:
    return x.size >= WORTHWHILE and is_covered(x) and x.flags.carray


# ---------------------------------------------------------------------- compiled


@compiled_sums
def add_rows(x, sums):  # type: ignore[no-untyped-def]
    """Add all rows of `x`, which is flat, to `sums`, of float64."""
    channels, zero = sums.size, x.dtype.type(0)
    width = channels * max(LANES // channels, 1)  # several rows side by side, where channels are few
    step = np.uintp(width)
    whole = x.size // (4 * width) * 4 * width
    part = np.empty(width, x.dtype)
    for begin in range(0, whole, FOURS * 4 * width):
        part[:] = zero
        for p in range(begin, min(begin + FOURS * 4 * width, whole), 4 * width):
            for c in range(step):
                at = np.uintp(p) + c
                part[c] += (x[at] + x[at + step]) + (x[at + step + step] + x[at + step + step + step])
        _add_each(part, 0, width, sums)
    _add_each(x, whole, x.size, sums)


@compiled_sums
def add_images(x, sums):  # type: ignore[no-untyped-def]
    """As `add_rows`, for each row of both."""
    for i in range(x.shape[0]):
        add_rows(x[i], sums[i])


@compiled_sums
def _add_each(x, first, last, sums):  # type: ignore[no-untyped-def]
    for p in range(first, last, sums.size):
        for c in range(np.uintp(sums.size)):
            sums[c] += x[np.uintp(p) + c]

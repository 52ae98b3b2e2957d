"""Where arrays lie: what one training step frees stays with the process, and large arrays begin with a cache line."""

from __future__ import annotations

import ctypes
import functools
import math
import os
import platform

import numpy as np

KEPT_BYTES = 1 << 30
"""Free memory that the process keeps at most."""

LINE = 64
"""Bytes in a cache line, and in the largest vector register: one that crosses from line to line is read twice."""
_SMALL = 1 << 12

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # of glibc's mallopt(3)


@functools.cache
def keep_freed_memory() -> bool:
    """Tell glibc's malloc to keep what is freed, up to `KEPT_BYTES`; elsewhere nothing happens.

    By default it gives large arrays back to the system at once, which clears every page anew for the next step: a
    tenth of a step's time for a network of images. ``$MINIKERAS_KEEP_MEMORY=0`` leaves malloc as it is, and so does
    whoever has set it by glibc's own ``$MALLOC_TRIM_THRESHOLD_``, ``$MALLOC_MMAP_THRESHOLD_`` or ``$GLIBC_TUNABLES``.

    Returns:
        Whether malloc was told.
    """
    own = ("MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_", "GLIBC_TUNABLES")
    if os.environ.get("MINIKERAS_KEEP_MEMORY") == "0" or any(name in os.environ for name in own):
        return False
    if platform.libc_ver()[0] != "glibc":
        return False
    mallopt = ctypes.CDLL(None).mallopt
    return bool(mallopt(_M_MMAP_THRESHOLD, KEPT_BYTES) and mallopt(_M_TRIM_THRESHOLD, KEPT_BYTES))


def aligned(array: np.ndarray) -> np.ndarray:
    """The array, or a copy that begins with a cache line; a small one as it is."""
    if array.nbytes < _SMALL or array.__array_interface__["data"][0] % LINE == 0:
        return array
    copy = aligned_empty(array.shape, array.dtype)
    copy[...] = array
    return copy


def aligned_empty(shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """As ``numpy.empty``; if it isn't small, the array begins with a cache line."""
    count = math.prod(shape)
    if count * dtype.itemsize < _SMALL:
        return np.empty(shape, dtype)
    more = LINE // dtype.itemsize
    memory = np.empty(count + more, dtype)
    first = -memory.ctypes.data % LINE // dtype.itemsize
    return memory[first : first + count].reshape(shape)

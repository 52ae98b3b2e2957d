"""What operations that slide a window ask of their arguments; the operation adds its name and what it received."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np


def check_sliding(x: np.ndarray, **per_axis: Any) -> None:
    """Raise ValueError unless ``x`` is (N, *spatial, C), and every argument has one entry per spatial axis.

    Those of ``strides``, ``dilation`` and ``window`` must be at least 1.
    """
    rank = getattr(x, "ndim", 0) - 2
    if rank < 1:
        raise ValueError("expected an array (N, *spatial, channels)")
    try:
        _check_axes(rank, **per_axis)
    except TypeError:  # what can't be remembered
        _check_axes.__wrapped__(rank, **per_axis)


@functools.lru_cache(maxsize=1024)
def _check_axes(rank: int, **per_axis: Any) -> None:
    for name, values in per_axis.items():
        if not isinstance(values, (tuple, list)) or len(values) != rank:
            raise ValueError(f"{name} must be a tuple of {rank}, one entry per spatial axis")
        if name in ("strides", "dilation", "window") and min(values) < 1:
            raise ValueError(f"{name} must be at least 1")


def check_kernel(x: np.ndarray, w: np.ndarray, bias: np.ndarray | None, channels: int, filters: int) -> None:
    """Raise ValueError unless the kernel has the axes of ``x``, ``x`` has ``channels`` and the bias ``filters``."""
    if np.ndim(w) != x.ndim:
        raise ValueError(f"expected a kernel of {x.ndim} axes, as the input has")
    if x.shape[-1] != channels:
        raise ValueError(f"the kernel of shape {w.shape} takes {channels} channels")
    if bias is not None and np.shape(bias) != (filters,):
        raise ValueError(f"expected a bias of shape ({filters},)")


def check_cotangent(x: np.ndarray, delta: np.ndarray, multiple: int) -> None:
    """Raise ValueError unless ``delta`` is (N, *positions, F) for ``x`` (N, *spatial, C), F a multiple of a number."""
    if np.ndim(delta) != x.ndim or len(delta) != len(x):
        raise ValueError(f"expected a delta of {x.ndim} axes, and of {len(x)} samples, as the input has")
    if delta.shape[-1] % max(multiple, 1):
        raise ValueError(f"the channels of delta must be a multiple of {multiple}")

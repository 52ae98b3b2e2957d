"""Nearest upsampling and its adjoint: windows side by side, over which an element is repeated or which are summed."""

from __future__ import annotations

import numpy as np

from .. import resize
from ..geometry import Ints
from .pool import repeat_over_windows, sum_of_windows


def upsample_nearest(x: np.ndarray, *, size: Ints) -> np.ndarray:
    """As `minikeras.kernels.upsample_nearest`."""
    found = repeat_over_windows(x, size)
    return resize.upsample_nearest(x, size=size) if found is None else found


def block_sum(g: np.ndarray, *, size: Ints) -> np.ndarray:
    """As `minikeras.kernels.block_sum`."""
    found = sum_of_windows(g, size)
    return resize.block_sum(g, size=size) if found is None else found

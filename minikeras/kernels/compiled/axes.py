"""Three spatial axes for loops that know no other number: those that are missing have length 1 and stand in front."""

from __future__ import annotations

import numpy as np

from ..geometry import Ints, Slide
from .jit import plain

Geometry = tuple[Ints, Ints, Ints, Ints]


def with_three_axes(array: np.ndarray) -> np.ndarray:
    """(N, depth, height, width, C) of (N, *spatial, C)."""
    return plain(array.reshape(len(array), *(1,) * (5 - array.ndim), *array.shape[1:]))


def geometry(slide: Slide) -> Geometry:
    """Window, strides, dilation and what stands before, of three axes each."""
    more = 3 - len(slide.window)
    before = tuple(lo for lo, _ in slide.padding)
    ones = (1,) * more
    return ones + slide.window, ones + slide.strides, ones + slide.dilation, (0,) * more + before

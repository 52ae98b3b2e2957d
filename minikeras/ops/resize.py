"""Upsampling of the spatial axes of ``x (N, *spatial, C)`` by whole factors."""

from __future__ import annotations

from typing import Any

from .. import kernels
from ..core.primitive import primitive
from .windows import check_sliding

Ints = tuple[int, ...]


@primitive
def upsample_nearest(x: Any, *, size: Ints) -> Any:
    """Every element repeated ``size`` times along each spatial axis."""
    check_sliding(x, size=size)
    return kernels.upsample_nearest(x, size=size)


@primitive
def block_sum(x: Any, *, size: Ints) -> Any:
    """The sum of every block of ``size`` elements: the adjoint of upsample_nearest."""
    return kernels.block_sum(x, size=size)


upsample_nearest.vjps(x=lambda g, size: block_sum(g, size=size))
block_sum.vjps(x=lambda g, size: upsample_nearest(g, size=size))


@primitive
def upsample_linear(x: Any, *, size: Ints, half_pixel: bool = True) -> Any:
    """Linear interpolation along each spatial axis, the border repeated: between half-pixel centres, or corners."""
    check_sliding(x, size=size)
    return kernels.upsample_linear(x, size=size, half_pixel=half_pixel)


@primitive
def upsample_linear_grad(delta: Any, *, size: Ints, half_pixel: bool = True) -> Any:
    """The adjoint of upsample_linear."""
    return kernels.upsample_linear_grad(delta, size=size, half_pixel=half_pixel)


upsample_linear.vjps(x=lambda g, size, half_pixel: upsample_linear_grad(g, size=size, half_pixel=half_pixel))
upsample_linear_grad.vjps(delta=lambda g, size, half_pixel: upsample_linear(g, size=size, half_pixel=half_pixel))

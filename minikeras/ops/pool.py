"""Pooling over windows, on ``x (N, *spatial, C)``; padding is one (before, after) pair per spatial axis."""

from __future__ import annotations

from typing import Any

from .. import kernels
from ..core.primitive import primitive
from .windows import check_sliding

Ints = tuple[int, ...]
Pairs = tuple[tuple[int, int], ...]


@primitive(extra=True)
def max_pool(x: Any, *, window: Ints, strides: Ints, padding: Pairs, recording: bool = True) -> Any:
    """The maximum of every window; among equals the first in the window gets the gradient. Padding never wins.

    Args:
        x: (N, *spatial, C).
        window, strides: one int per spatial axis.
        padding: one (before, after) pair per spatial axis.

    Returns:
        Tensor (N, *positions, C).
    """
    check_sliding(x, window=window, strides=strides, padding=padding)
    if not recording:
        return kernels.max_pool_values(x, window=window, strides=strides, padding=padding), None
    return kernels.max_pool(x, window=window, strides=strides, padding=padding)


@primitive
def pool_scatter(values: Any, *, index: Any, input_size: Ints, window: Ints, strides: Ints, padding: Pairs) -> Any:
    """Each value back to the tap of its window that ``index`` names, added up: the adjoint of pool_gather."""
    return kernels.pool_scatter(values, index, input_size=input_size, window=window, strides=strides, padding=padding)


@primitive
def pool_gather(x: Any, *, index: Any, window: Ints, strides: Ints, padding: Pairs) -> Any:
    """From every window the element at the tap that ``index`` names."""
    return kernels.pool_gather(x, index, window=window, strides=strides, padding=padding)


max_pool.vjps(
    x=lambda g, x_shape, extra, window, strides, padding: pool_scatter(
        g, index=extra, input_size=x_shape[1:-1], window=window, strides=strides, padding=padding
    )
)
pool_scatter.vjps(
    values=lambda g, index, window, strides, padding: pool_gather(
        g, index=index, window=window, strides=strides, padding=padding
    )
)
pool_gather.vjps(
    x=lambda g, x_shape, index, window, strides, padding: pool_scatter(
        g, index=index, input_size=x_shape[1:-1], window=window, strides=strides, padding=padding
    )
)


@primitive
def average_pool(x: Any, *, window: Ints, strides: Ints, padding: Pairs) -> Any:
    """The mean of every window over the elements that are in the input: padding doesn't count.

    Args:
        x: (N, *spatial, C).
        window, strides: one int per spatial axis.
        padding: one (before, after) pair per spatial axis.

    Returns:
        Tensor (N, *positions, C).
    """
    check_sliding(x, window=window, strides=strides, padding=padding)
    return kernels.average_pool(x, window=window, strides=strides, padding=padding)


@primitive
def average_pool_grad(delta: Any, *, input_size: Ints, window: Ints, strides: Ints, padding: Pairs) -> Any:
    """Each value spread evenly over its window: the adjoint of average_pool."""
    return kernels.average_pool_grad(delta, input_size=input_size, window=window, strides=strides, padding=padding)


average_pool.vjps(
    x=lambda g, x_shape, window, strides, padding: average_pool_grad(
        g, input_size=x_shape[1:-1], window=window, strides=strides, padding=padding
    )
)
average_pool_grad.vjps(
    delta=lambda g, window, strides, padding: average_pool(g, window=window, strides=strides, padding=padding)
)

"""Elementwise functions, comparisons, reductions and products.

Many of the names are those of Python's own functions, as in Keras; inside this module they are Keras's.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import ops
from ..core.tensor import Tensor
from .recording import as_axes, as_float, as_tensor, recorded

# ---------------------------------------------------------------------- element by element


def square(x: Any) -> Tensor:
    """``x ** 2``."""
    return ops.square(x)


def abs(x: Any) -> Tensor:
    """``|x|``; the derivative at 0 is 0."""
    return ops.absolute(x)


@recorded
def sqrt(x: Any) -> Tensor:
    """The square root, 0 of negative numbers."""
    return ops.sqrt(ops.clip(as_float(x), 0.0, None))


def exp(x: Any) -> Tensor:
    """``e ** x``."""
    return ops.exp(x)


def log(x: Any) -> Tensor:
    """The natural logarithm."""
    return ops.log(x)


def round(x: Any) -> Tensor:
    """Rounded to the nearest integer, halves to the even one; the derivative is 0."""
    return ops.round(x)


def sign(x: Any) -> Tensor:
    """-1, 0 or 1; the derivative is 0."""
    return ops.sign(x)


def pow(x: Any, a: Any) -> Tensor:
    """``x ** a``."""
    return ops.power(x, a)


def sin(x: Any) -> Tensor:
    """The sine, of radians."""
    return ops.sin(x)


def cos(x: Any) -> Tensor:
    """The cosine, of radians."""
    return ops.cos(x)


@recorded
def clip(x: Any, min_value: Any, max_value: Any) -> Tensor:
    """``x`` limited to an interval; at its ends the gradient flows.

    Args:
        x: Any shape.
        min_value: Lower end; None for no limit.
        max_value: Upper end; None for no limit, and the lower end where it is below that.
    """
    if min_value is not None and max_value is not None:
        max_value = np.maximum(min_value, max_value)
    return ops.clip(as_tensor(x), min_value, max_value)


def maximum(x: Any, y: Any) -> Tensor:
    """The larger of two, element by element."""
    return ops.maximum(x, y)


def minimum(x: Any, y: Any) -> Tensor:
    """The smaller of two, element by element."""
    return ops.minimum(x, y)


def equal(x: Any, y: Any) -> Tensor:
    """``x == y``, element by element."""
    return ops.equal(x, y)


def not_equal(x: Any, y: Any) -> Tensor:
    """``x != y``, element by element."""
    return ops.not_equal(x, y)


def greater(x: Any, y: Any) -> Tensor:
    """``x > y``, element by element."""
    return ops.greater(x, y)


def greater_equal(x: Any, y: Any) -> Tensor:
    """``x >= y``, element by element."""
    return ops.greater_equal(x, y)


def less(x: Any, y: Any) -> Tensor:
    """``x < y``, element by element."""
    return ops.less(x, y)


def less_equal(x: Any, y: Any) -> Tensor:
    """``x <= y``, element by element."""
    return ops.less_equal(x, y)


# ---------------------------------------------------------------------- over axes


@recorded
def max(x: Any, axis: Any = None, keepdims: bool = False) -> Tensor:
    """The maximum over an axis; tied elements share the gradient.

    Args:
        x: Any shape.
        axis: An integer, a list of them, or None for all axes.
        keepdims: Whether the axes stay, with length one.
    """
    return ops.max(as_tensor(x), axis=as_axes(axis), keepdims=keepdims)


@recorded
def min(x: Any, axis: Any = None, keepdims: bool = False) -> Tensor:
    """The minimum over an axis; tied elements share the gradient.

    Args:
        x: Any shape.
        axis: An integer, a list of them, or None for all axes.
        keepdims: Whether the axes stay, with length one.

    Returns:
        Tensor without those axes, or with length one there.
    """
    return ops.min(as_tensor(x), axis=as_axes(axis), keepdims=keepdims)


@recorded
def sum(x: Any, axis: Any = None, keepdims: bool = False) -> Tensor:
    """The sum over an axis.

    Args:
        x: Any shape.
        axis: An integer, a list of them, or None for all axes.
        keepdims: Whether the axes stay, with length one.

    Returns:
        Tensor without those axes, or with length one there.
    """
    return ops.sum(as_tensor(x), axis=as_axes(axis), keepdims=keepdims)


@recorded
def prod(x: Any, axis: Any = None, keepdims: bool = False) -> Tensor:
    """The product over an axis.

    Args:
        x: Any shape.
        axis: An integer, a list of them, or None for all axes.
        keepdims: Whether the axes stay, with length one.

    Returns:
        Tensor without those axes, or with length one there.
    """
    return ops.prod(as_tensor(x), axis=as_axes(axis), keepdims=keepdims)


@recorded
def mean(x: Any, axis: Any = None, keepdims: bool = False) -> Tensor:
    """The mean over an axis, of integers and truth values in `floatx`.

    Args:
        x: Any shape.
        axis: An integer, a list of them, or None for all axes.
        keepdims: Whether the axes stay, with length one.

    Returns:
        Tensor without those axes, or with length one there.
    """
    return ops.mean(as_float(x), axis=as_axes(axis), keepdims=keepdims)


@recorded
def var(x: Any, axis: Any = None, keepdims: bool = False) -> Tensor:
    """The variance (divided by N) over an axis, of integers and truth values in `floatx`.

    Args:
        x: Any shape.
        axis: An integer, a list of them, or None for all axes.
        keepdims: Whether the axes stay, with length one.

    Returns:
        Tensor without those axes, or with length one there.
    """
    return ops.var(as_float(x), axis=as_axes(axis), keepdims=keepdims)


@recorded
def std(x: Any, axis: Any = None, keepdims: bool = False) -> Tensor:
    """The standard deviation (of the variance divided by N) over an axis; of integers in `floatx`.

    Args:
        x: Any shape.
        axis: An integer, a list of them, or None for all axes.
        keepdims: Whether the axes stay, with length one.

    Returns:
        Tensor without those axes, or with length one there.
    """
    return ops.std(as_float(x), axis=as_axes(axis), keepdims=keepdims)


@recorded
def logsumexp(x: Any, axis: Any = None, keepdims: bool = False) -> Tensor:
    """``log(sum(exp(x)))`` over an axis, without overflow; of integers in `floatx`.

    Args:
        x: Any shape.
        axis: An integer, a list of them, or None for all axes.
        keepdims: Whether the axes stay, with length one.

    Returns:
        Tensor without those axes, or with length one there.
    """
    return ops.logsumexp(as_float(x), axis=as_axes(axis), keepdims=keepdims)


@recorded
def any(x: Any, axis: Any = None, keepdims: bool = False) -> Tensor:
    """Whether an element over an axis is not zero.

    Args:
        x: Any shape.
        axis: An integer, a list of them, or None for all axes.
        keepdims: Whether the axes stay, with length one.

    Returns:
        Tensor of truth values, without those axes or with length one there.
    """
    return ops.any(as_tensor(x), axis=as_axes(axis), keepdims=keepdims)


@recorded
def all(x: Any, axis: Any = None, keepdims: bool = False) -> Tensor:
    """Whether no element over an axis is zero.

    Args:
        x: Any shape.
        axis: An integer, a list of them, or None for all axes.
        keepdims: Whether the axes stay, with length one.

    Returns:
        Tensor of truth values, without those axes or with length one there.
    """
    return ops.all(as_tensor(x), axis=as_axes(axis), keepdims=keepdims)


@recorded
def argmax(x: Any, axis: int = -1) -> Tensor:
    """The index of the first maximum along an axis."""
    return ops.argmax(as_tensor(x), axis=axis)


@recorded
def argmin(x: Any, axis: int = -1) -> Tensor:
    """The index of the first minimum along an axis."""
    return ops.argmin(as_tensor(x), axis=axis)


@recorded
def cumsum(x: Any, axis: int = 0) -> Tensor:
    """The running sum along an axis."""
    return ops.cumsum(as_tensor(x), axis=axis)


@recorded
def cumprod(x: Any, axis: int = 0) -> Tensor:
    """The running product along an axis."""
    return ops.cumprod(as_tensor(x), axis=axis)


# ---------------------------------------------------------------------- products


@recorded
def dot(x: Any, y: Any) -> Tensor:
    """The product of matrices; of tensors the sum over the last axis of ``x`` and the second to last of ``y``.

    Args:
        x: (..., n).
        y: (..., n, m).

    Returns:
        Tensor with the axes of ``x`` but the last, then those of ``y`` but the second to last.

    Raises:
        ValueError: If the two axes differ in length.
    """
    return ops.dot(x, y)


@recorded
def batch_dot(x: Any, y: Any, axes: Any = None) -> Tensor:
    """The sum of products over one axis of each, sample by sample.

    Args:
        x: (batch, ...), at least two axes.
        y: (batch, ...), at least two axes.
        axes: The axis of both, or a pair of axes; negative ones count from the end. The last axis of ``x`` and the
            second to last of ``y`` if None.

    Returns:
        Tensor (batch, axes of ``x`` without its own, axes of ``y`` without its own); (batch, 1) if none are left.
        With four axes or more in both, and an axis among the last two of each, the axes before those are all taken as
        batch axes, as TensorFlow's matmul does: (batch, heads, n, d) and (batch, heads, m, d) over their last axes
        give (batch, heads, n, m).

    Raises:
        ValueError: If there is no such axis, if it is the batch's, or if the lengths differ.
    """
    x, y = as_tensor(x), as_tensor(y)
    ax, ay = _axes_of_samples(x, y, axes)
    rank = x.ndim
    if rank == y.ndim >= 4 and rank - 2 <= ax and rank - 2 <= ay:
        return _matrices_of_samples(x, y, ax, ay)
    letters_x = ["b", *[chr(ord("c") + i) for i in range(x.ndim - 1)]]
    letters_y = ["b", *[chr(ord("C") + i) for i in range(y.ndim - 1)]]
    letters_x[ax] = letters_y[ay] = "a"
    left = "".join([c for c in [*letters_x, *letters_y[1:]] if c != "a"])
    result = ops.einsum(f"{''.join(letters_x)},{''.join(letters_y)}->{left}", x, y)
    return ops.expand_dims(result, 1) if result.ndim == 1 else result


def _axes_of_samples(x: Tensor, y: Tensor, axes: Any) -> tuple[int, int]:
    if x.ndim < 2 or y.ndim < 2:
        raise ValueError(f"batch_dot: both need a batch axis and another. Received: shapes {x.shape} and {y.shape}")
    if axes is None:
        axes = (x.ndim - 1, y.ndim - 2 if y.ndim > 2 else 1)
    pair = (axes, axes) if isinstance(axes, int) else axes
    if not isinstance(pair, (tuple, list)) or [type(a) for a in pair] != [int, int]:
        raise ValueError(f"batch_dot: axes must be None, an integer or two of them. Received: axes={axes!r}")
    found = [a + t.ndim if a < 0 else a for a, t in zip(pair, (x, y), strict=True)]
    for a, t in zip(found, (x, y), strict=True):
        if not 0 < a < t.ndim:
            raise ValueError(
                f"batch_dot: axes must be axes behind the batch's. Received: axes={axes!r}, shapes {x.shape}, {y.shape}"
            )
    ax, ay = found
    if x.shape[ax] != y.shape[ay] or x.shape[0] != y.shape[0]:
        raise ValueError(
            f"batch_dot: axis {ax} of x has length {x.shape[ax]} in a batch of {x.shape[0]}, axis {ay} of y "
            f"{y.shape[ay]} in one of {y.shape[0]}. Received: shapes {x.shape} and {y.shape}"
        )
    return ax, ay


def _matrices_of_samples(x: Tensor, y: Tensor, ax: int, ay: int) -> Tensor:
    left = x if ax == x.ndim - 1 else ops.swapaxes(x, -1, -2)
    right = y if ay == y.ndim - 2 else ops.swapaxes(y, -1, -2)
    return ops.matmul(left, right)

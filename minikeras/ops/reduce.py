"""Reductions over axes, and running sums and products.

``axis`` is an int, a tuple of ints, or None for all axes; ``keepdims`` keeps reduced axes with length one.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .. import kernels
from ..core.primitive import Primitive, primitive
from ..core.tensor import Tensor
from .elementwise import cast, equal, exp, isfinite, less_equal, maximum, stop_gradient, where
from .shape import broadcast_to, concatenate, crop_axis, flip, pad_axis, reshape

Axis = Any  # int | tuple[int, ...] | None

SHORT = 128
"""Rows of fewer elements than this NumPy adds up one by one, and no more exactly than BLAS."""

_SUMMED_AS_THEY_ARE = (np.dtype(np.float32), np.dtype(np.float64))


def _axes(ndim: int, axis: Axis) -> tuple[int, ...]:
    if axis is None:
        return tuple(range(ndim))
    return tuple(a % ndim for a in (axis if isinstance(axis, (tuple, list)) else (axis,)))


def _static_axis(axis: Axis) -> Axis:
    return tuple(axis) if isinstance(axis, list) else axis


def _spread(g: Tensor, shape: tuple[int, ...], axis: Axis) -> Tensor:
    """A reduced result stretched back over the axes that were reduced (a view, without a copy)."""
    if g.ndim and g.ndim != len(shape):
        axes = _axes(len(shape), axis)
        g = reshape(g, shape=tuple([1 if i in axes else n for i, n in enumerate(shape)]))
    return broadcast_to(g, shape=shape)


def _total(x: np.ndarray, axis: Axis, keepdims: bool) -> Any:
    """The sum; by BLAS where a large array is summed over neighbouring axes up to the last but one, or a short last.

    So the gradient of a bias is, the mean over space, and that of a loss over channels.
    """
    if x.size > 4096 and x.dtype.kind == "f" and x.flags.c_contiguous and axis is not None and not keepdims:
        axes = sorted(_axes(x.ndim, axis))
        if axes and axes == list(range(axes[0], x.ndim - 1)):
            return kernels.middle_sum(x, axes[0]) if axes[0] else kernels.channel_sum(x)
        if axes == [x.ndim - 1] and 1 < x.shape[-1] < SHORT:
            return kernels.row_sum(x)
    return np.add.reduce(x, axis=axis, keepdims=keepdims)


def _count(shape: tuple[int, ...], axis: Axis) -> int:
    return (math.prod(shape) if axis is None else math.prod([shape[a] for a in _axes(len(shape), axis)])) or 1


@primitive
def sum(x: Any, *, axis: Axis = None, keepdims: bool = False) -> Any:
    """Sum over ``axis``."""
    return _total(np.asarray(x), _static_axis(axis), keepdims)


sum.vjps(x=lambda g, x_shape, axis: _spread(g, x_shape, axis))


@primitive
def mean(x: Any, *, axis: Axis = None, keepdims: bool = False) -> Any:
    """Mean over ``axis``; NaN of nothing."""
    axis = _static_axis(axis)
    try:
        with np.errstate(over="raise"):
            if isinstance(x, np.ndarray) and x.size and x.dtype in _SUMMED_AS_THEY_ARE:  # np.mean, without its checks
                total = _total(x, axis, keepdims)
                if np.isfinite(total).all():  # else perhaps in a thread of BLAS, where nothing is raised
                    return total / _count(x.shape, axis)
            return np.mean(x, axis=axis, keepdims=keepdims)
    except FloatingPointError:  # the sum is too large, the mean isn't
        return np.sum(x / _count(np.shape(x), axis), axis=axis, keepdims=keepdims)


mean.vjps(x=lambda g, x_shape, axis: _spread(g / _count(x_shape, axis), x_shape, axis))


@primitive
def var(x: Any, *, axis: Axis = None, keepdims: bool = False) -> Any:
    """Variance over ``axis``: the mean of the squared distances from the mean."""
    return _of_deviations(lambda d: mean.forward(np.square(d), axis=axis, keepdims=True), np.sqrt, x, axis, keepdims)


def _of_deviations(measure: Any, length: Any, x: Any, axis: Axis, keepdims: bool) -> Any:
    """What ``measure`` says of the distances from the mean, ``length`` of which has the unit of ``x``.

    Where that is no more than the rounding error of the mean, the mean is taken of the distances from the first
    element, so that a constant has the variance 0.
    """
    x = _floating(x)
    centre = mean.forward(x, axis=axis, keepdims=True)
    result = measure(x - centre)
    if not np.all(length(result) > 8 * np.finfo(x.dtype).eps * np.absolute(centre)):
        axes = _axes(x.ndim, axis)
        moved = x - x[tuple([slice(0, 1) if i in axes else slice(None) for i in range(x.ndim)])]
        result = measure(moved - mean.forward(moved, axis=axis, keepdims=True))
    return result if keepdims else np.squeeze(result, axis=_static_axis(axis))


def _centred(x: Tensor, axis: Axis) -> Tensor:
    return x - mean(x, axis=axis, keepdims=True)


def _floating(x: Any) -> Any:
    return np.asarray(x, np.result_type(x, np.float16))  # floats as they are, integers to floats


var.vjps(x=lambda g, x, axis: _spread(g * (2.0 / _count(x.shape, axis)), x.shape, axis) * _centred(x, axis))


@primitive
def std(x: Any, *, axis: Axis = None, keepdims: bool = False) -> Any:
    """Standard deviation over ``axis``, the square root of :func:`var`; the derivative at a constant is 0."""
    count = math.sqrt(_count(np.shape(x), axis) if np.size(x) else 0)
    return _of_deviations(lambda d: _length(d, axis, True) / count, np.asarray, x, axis, keepdims)


def _along_direction(g: Tensor, x: Tensor, length: Tensor, axis: Axis, least: float = 0.0) -> Tensor:
    """``g * x / length``, and 0 where the length is no more than ``least``."""
    idle = less_equal(length, least)
    g, length = where(idle, 0.0, g), where(idle, 1.0, length)
    lengths, limit = length.numpy(), math.sqrt(np.finfo(x.dtype).tiny)
    if np.all((lengths > limit) & (lengths < 1 / limit)):
        return _spread(g / length, x.shape, axis) * x
    return _spread(g, x.shape, axis) * (x / _spread(length, x.shape, axis))  # 1 / length**2 might overflow


std.vjps(x=lambda g, x, out, axis: _along_direction(g / _count(x.shape, axis), _centred(x, axis), out, axis))


@primitive
def norm(x: Any, *, axis: Axis = None, keepdims: bool = False, least: float = 0.0) -> Any:
    """Euclidean norm over ``axis``, or ``least`` where it is less than that; there, and at 0, the derivative is 0."""
    return np.maximum(_length(_floating(x), axis, keepdims), least)


def _length(x: Any, axis: Axis, keepdims: bool) -> Any:
    """``sqrt(sum(x**2))``; where squares leave the range of their type, of ``x`` over its largest (Blue 1978)."""
    axis = _static_axis(axis)
    with np.errstate(over="ignore"):
        squares = np.sum(np.square(x), axis=axis, keepdims=keepdims)
    info = np.finfo(x.dtype)
    if np.all((squares > info.tiny / info.eps) & (squares < np.inf)):
        return np.sqrt(squares)
    largest = np.max(np.absolute(x), axis=axis, keepdims=True, initial=0)
    scale = np.where((largest > 0) & (largest < np.inf), largest, x.dtype.type(1))
    lengths = np.sqrt(np.sum(np.square(x / scale), axis=axis, keepdims=True)) * scale
    return lengths if keepdims else np.squeeze(lengths, axis=axis)


norm.vjps(x=lambda g, x, out, axis, least: _along_direction(g, x, out, axis, least))


def _extremum(name: str, summary: str, function: Any) -> Primitive:
    def forward(x: Any, *, axis: Axis = None, keepdims: bool = False) -> Any:
        return function(x, axis=_static_axis(axis), keepdims=keepdims)

    forward.__name__, forward.__doc__, forward.__module__ = name, summary, __name__
    made: Primitive = primitive(forward)

    def back(g: Tensor, x: Tensor, out: Tensor, axis: Axis) -> Tensor:
        chosen = equal(x, _spread(out, x.shape, axis))
        share = maximum(sum(cast(chosen, g.dtype), axis=axis, keepdims=True), 1.0)
        return where(chosen, _spread(g, x.shape, axis) / _spread(share, x.shape, axis), 0.0)

    made.vjps(x=back)
    return made


max = _extremum("max", "Maximum over ``axis``; tied elements share the gradient evenly.", np.max)
min = _extremum("min", "Minimum over ``axis``; tied elements share the gradient evenly.", np.min)


@primitive
def logsumexp(x: Any, *, axis: Axis = None, keepdims: bool = False) -> Any:
    """``log(sum(exp(x)))`` over ``axis``, without overflow."""
    axis = _static_axis(axis)
    top = np.max(x, axis=axis, keepdims=True)
    top = np.where(np.isfinite(top), top, np.zeros_like(top))
    with np.errstate(divide="ignore"):
        result = np.log(np.sum(np.exp(x - top), axis=axis, keepdims=True)) + top
    return result if keepdims else np.squeeze(result, axis=axis)


def _weights(x: Tensor, axis: Axis) -> Tensor:
    """Softmax over ``axis``; from ``exp(x - logsumexp(x))`` large numbers would lose their digits."""
    top = stop_gradient(max(x, axis=axis, keepdims=True))
    weights = exp(x - where(isfinite(top), top, 0.0))
    return weights / sum(weights, axis=axis, keepdims=True)


logsumexp.vjps(x=lambda g, x, axis: _spread(g, x.shape, axis) * _weights(x, axis))


@primitive
def prod(x: Any, *, axis: Axis = None, keepdims: bool = False) -> Any:
    """Product over ``axis``; differentiable also where elements are zero."""
    axis = _static_axis(axis)
    try:
        with np.errstate(over="raise", under="raise"):
            return np.prod(x, axis=axis, keepdims=keepdims)
    except FloatingPointError:  # on the way perhaps, and not in the end
        return np.prod(x, axis=axis, keepdims=keepdims, dtype=np.longdouble).astype(x.dtype)


@prod.composite
def _(x: Tensor, *, axis: Axis, keepdims: bool) -> Tensor:
    """Multiply halves until one element is left: no division, so zeros do no harm."""
    shape = x.shape
    for a in _axes(len(shape), axis):
        if x.shape[a] == 0:
            x = pad_axis(x, a, 0, 1, value=1.0)
        while (length := x.shape[a]) > 1:
            half = length // 2
            rest = crop_axis(x, a, 2 * half, length)
            x = concatenate([crop_axis(x, a, 0, half) * crop_axis(x, a, half, 2 * half), rest], axis=a)
    axes = _axes(len(shape), axis)
    return x if keepdims else reshape(x, tuple(n for i, n in enumerate(shape) if i not in axes))


@primitive
def cumsum(x: Any, *, axis: int = 0) -> Any:
    """Running sum along ``axis``."""
    return np.cumsum(x, axis=axis)


cumsum.vjps(x=lambda g, axis: flip(cumsum(flip(g, axis=axis), axis=axis), axis=axis))


@primitive
def cumprod(x: Any, *, axis: int = 0) -> Any:
    """Running product along ``axis``; differentiable also where elements are zero."""
    return np.cumprod(x, axis=axis)


@cumprod.composite
def _(x: Tensor, *, axis: int) -> Tensor:
    """Multiply by itself shifted by 1, 2, 4, … (Hillis and Steele 1986)."""
    length, shift = x.shape[axis], 1
    while shift < length:
        x = x * pad_axis(crop_axis(x, axis, 0, length - shift), axis, shift, 0, value=1.0)
        shift *= 2
    return x


def _without_gradient(name: str, summary: str, function: Any) -> Primitive:
    def forward(x: Any, *, axis: Axis = None, keepdims: bool = False) -> Any:
        return function(x, axis=_static_axis(axis), keepdims=keepdims)

    forward.__name__, forward.__doc__, forward.__module__ = name, summary, __name__
    made: Primitive = primitive(forward, differentiable=False)
    return made


any = _without_gradient("any", "Whether any element over ``axis`` is true.", np.any)
all = _without_gradient("all", "Whether all elements over ``axis`` are true.", np.all)
argmax = _without_gradient("argmax", "Index of the first maximum along ``axis`` (an int, or None for all).", np.argmax)
argmin = _without_gradient("argmin", "Index of the first minimum along ``axis`` (an int, or None for all).", np.argmin)


@primitive
def sum_to(x: Any, *, shape: tuple[int, ...]) -> Any:
    """Sum over the axes along which ``shape`` was broadcast to ``x``'s shape: the adjoint of broadcasting."""
    lead = x.ndim - len(shape)
    if np.broadcast_shapes(shape, x.shape) != x.shape:
        raise ValueError(f"shape {shape} doesn't stretch to {x.shape}")
    axes = tuple(range(lead)) + tuple(lead + i for i, n in enumerate(shape) if n == 1 and x.shape[lead + i] != 1)
    return np.sum(x, axis=axes, keepdims=True).reshape(shape)


sum_to.vjps(x=lambda g, x_shape: broadcast_to(g, x_shape))

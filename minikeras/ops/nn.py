"""What networks are made of besides products: rectifiers, softmax, batch normalization, entropies."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_index

from .. import kernels
from ..core import config
from ..core.primitive import primitive, pull_back_through
from ..core.tensor import Tensor
from .elementwise import (
    absolute,
    cast,
    clip,
    equal,
    exp,
    greater,
    greater_equal,
    log,
    log1p,
    over,
    reciprocal,
    sigmoid,
    sqrt,
    square,
    where,
)
from .epilogue import relu_grad
from .reduce import mean, norm
from .reduce import sum as reduce_sum
from .shape import expand_dims, reshape

# ---------------------------------------------------------------------- rectifiers


@primitive(name="relu")
def _relu(x: Any) -> Any:
    return kernels.relu(x) if isinstance(x, np.ndarray) and x.dtype.kind == "f" else np.maximum(x, 0)


_relu.vjps(x=lambda g, out: relu_grad(g, out))


def relu(x: Any, alpha: float = 0.0, max_value: float | None = None, threshold: float = 0.0) -> Tensor:
    """Rectified linear unit (Nair and Hinton 2010); with the defaults ``max(x, 0)``, whose derivative at 0 is 0.

    Args:
        x: any shape.
        alpha: slope below the threshold.
        max_value: values are cut off above this one.
        threshold: below it the result is ``alpha * (x - threshold)``.
    """
    if threshold == 0.0 and alpha == 0.0:
        result = _relu(x)
    else:
        x = x if isinstance(x, Tensor) else Tensor(x)
        below = (x - threshold) * alpha if alpha else 0.0  # 0 * inf would be NaN
        result = where(greater_equal(x, threshold) if threshold else greater(x, 0), x, below)
    return result if max_value is None else clip(result, None, max_value)


@primitive
def elu(x: Any, *, alpha: float = 1.0) -> Any:
    """Exponential linear unit (Clevert et al. 2016): ``x`` above 0, ``alpha * (exp(x) - 1)`` below."""
    return np.where(np.greater(x, 0), x, alpha * np.expm1(np.minimum(x, 0)))


elu.vjps(x=lambda g, x, alpha: g * where(greater(x, 0), 1.0, exp(where(greater(x, 0), 0.0, x)) * alpha))

_SELU_ALPHA = 1.6732632423543772
_SELU_SCALE = 1.0507009873554805


def selu(x: Any) -> Tensor:
    """Scaled exponential linear unit (Klambauer et al. 2017): ``1.0507 * elu(x, 1.6733)``."""
    return elu(x, alpha=_SELU_ALPHA) * _SELU_SCALE


@primitive
def softsign(x: Any) -> Any:
    """``x / (1 + |x|)``; 1 and -1 at the infinities."""
    size = np.absolute(x) + 1.0
    infinite = np.isinf(size)
    return np.where(infinite, np.sign(x), x / np.where(infinite, 1.0, size))


def _softsign_slope(x: Tensor) -> Tensor:
    inverse = reciprocal(absolute(x) + 1.0)
    return inverse * inverse  # (1 + |x|)**2 may overflow


softsign.vjps(x=lambda g, x: g * _softsign_slope(x))


def hard_sigmoid(x: Any) -> Tensor:
    """``0.2 * x + 0.5``, limited to 0 … 1: a sigmoid of straight lines (Courbariaux et al. 2015)."""
    x = x if isinstance(x, Tensor) else Tensor(x)
    return clip(x * 0.2 + 0.5, 0.0, 1.0)


# ---------------------------------------------------------------------- dropout


@primitive
def dropout(x: Any, *, keep: np.ndarray, scale: float) -> Any:
    """``x * scale`` where ``keep`` is true and 0 elsewhere (Srivastava et al. 2014): the tape holds a byte per element.

    Args:
        x: any shape.
        keep: booleans, of a shape that broadcasts to that of ``x``.
        scale: ``1 / (1 - rate)`` keeps the expectation.
    """
    x = np.asarray(x)
    return kernels.dropout(x, keep, scale=scale) if x.dtype.kind == "f" else np.multiply(np.multiply(x, keep), scale)


dropout.vjps(x=lambda g, keep, scale: dropout(g, keep=keep, scale=scale))

# ---------------------------------------------------------------------- softmax


@primitive
def softmax(x: Any, *, axis: int = -1) -> Any:
    """``exp(x) / sum(exp(x))`` along ``axis``, without overflow."""
    return kernels.softmax(np.asarray(x), axis=axis)


softmax.vjps(x=lambda g, out, axis: softmax_grad(g, out, axis=axis))


@primitive
def softmax_grad(delta: Any, y: Any, *, axis: int = -1) -> Any:
    """``y * (delta - sum(delta * y))``: back through softmax, from its value ``y``."""
    return kernels.softmax_grad(delta, y, axis=axis)


softmax_grad.vjps(
    delta=lambda g, y, axis: softmax_grad(g, y, axis=axis),
    y=lambda g, delta, y, axis: (
        g * (delta - reduce_sum(delta * y, axis=axis, keepdims=True))
        - delta * reduce_sum(g * y, axis=axis, keepdims=True)
    ),
)


@primitive
def log_softmax(x: Any, *, axis: int = -1) -> Any:
    """``log(softmax(x))`` along ``axis``, exact also where softmax is zero to rounding."""
    return kernels.entropy.log_softmax(x, axis=axis)


log_softmax.vjps(x=lambda g, out, axis: g - exp(out) * reduce_sum(g, axis=axis, keepdims=True))

# ---------------------------------------------------------------------- normalization


def l2_normalize(x: Any, axis: Any = -1) -> Tensor:
    """``x`` over its Euclidean norm along ``axis``, whose square is taken as 1e-12 where it is less: no 0 / 0.

    Args:
        x: any shape, floating point.
        axis: an int, a tuple of ints, or None for all axes.
    """
    return x / norm(x, axis=axis, keepdims=True, least=1e-6)


@primitive(extra=True)
def batch_norm(x: Any, gamma: Any = None, beta: Any = None, *, axis: int = -1, epsilon: float = 1e-3) -> Any:
    """Normalise every channel by the statistics of the batch (Ioffe and Szegedy 2015), then scale and shift.

    Args:
        x: any shape; statistics run over all axes but ``axis``.
        gamma, beta: (channels,) or None.
        axis: the channels' axis.
        epsilon: added to the variance.

    Returns:
        (y, mean, variance): ``y`` of ``x``'s shape, the batch's mean and biased variance (channels,).
    """
    channels = (x.shape[normalize_axis_index(axis, x.ndim)],)
    for name, values in (("gamma", gamma), ("beta", beta)):
        if values is not None and np.shape(values) != channels:
            raise ValueError(f"expected {name} of shape {channels}")
    y, *statistics = kernels.batch_norm(x, gamma, beta, axis=axis, epsilon=epsilon)
    return (y, *statistics), statistics


@batch_norm.backward
def _(
    g: tuple[Any, ...],
    needs: tuple[bool, ...],
    x: Tensor,
    gamma: Any,
    beta: Any,
    extra: list[np.ndarray],
    axis: int,
    epsilon: float,
) -> Any:
    if g[1] is not None or g[2] is not None:
        static = {"axis": axis, "epsilon": epsilon}
        return pull_back_through(_batch_norm_by_steps, g, needs, (x, gamma, beta), static)
    wanted = needs + (False,) * (3 - len(needs))
    return batch_norm_grad(g[0], x, gamma, mean=extra[0], variance=extra[1], axis=axis, epsilon=epsilon, wanted=wanted)


@primitive
def batch_norm_grad(
    delta: Any,
    x: Any,
    gamma: Any,
    *,
    mean: Any,
    variance: Any,
    axis: int,
    epsilon: float,
    wanted: tuple[bool, bool, bool],
) -> Any:
    """Gradients (dx, dgamma, dbeta) of :func:`batch_norm` in one pass, from the statistics that it found.

    Those that ``wanted`` doesn't mark are None.
    """
    return kernels.batch_norm_grad(delta, x, gamma, mean, variance, axis=axis, epsilon=epsilon, needs=wanted)


@batch_norm_grad.composite
def _(delta: Tensor, x: Tensor, gamma: Any, *, axis: int, epsilon: float) -> tuple[Tensor, Tensor, Tensor]:
    """The same by steps, the statistics being functions of ``x`` again."""
    normal, inverse, _, _ = _standardised(x, axis, epsilon)
    axes = _other_axes(x.ndim, axis)
    dbeta = reduce_sum(delta, axis=axes)
    dgamma = reduce_sum(delta * normal, axis=axes)
    count = x.size // x.shape[axis]
    dx = delta - (_along(dbeta, x, axis) + normal * _along(dgamma, x, axis)) * (1.0 / count)
    dx = dx * _along(inverse if gamma is None else inverse * gamma, x, axis)
    return dx, dgamma, dbeta


def _batch_norm_by_steps(
    x: Tensor, gamma: Any, beta: Any, *, axis: int, epsilon: float
) -> tuple[Tensor, Tensor, Tensor]:
    y, _, mean_, variance = _standardised(x, axis, epsilon)
    y = y if gamma is None else y * _along(gamma, x, axis)
    return (y if beta is None else y + _along(beta, x, axis)), mean_, variance


def _standardised(x: Tensor, axis: int, epsilon: float) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """``x`` with mean 0 and variance 1 per channel; the inverse deviation, mean and variance (channels,)."""
    axes = _other_axes(x.ndim, axis)
    mean_ = mean(x, axis=axes)
    centred = x - _along(mean_, x, axis)
    variance = mean(square(centred), axis=axes)
    inverse = 1.0 / sqrt(variance + epsilon)
    return centred * _along(inverse, x, axis), inverse, mean_, variance


@primitive
def channel_affine(x: Any, scale: Any, shift: Any, *, axis: int = -1) -> Any:
    """``x * scale + shift`` in one pass, with one scale and one shift per channel: a normalization that is known.

    Args:
        x: any shape.
        scale, shift: (channels,).
        axis: the channels' axis.
    """
    channels = (x.shape[normalize_axis_index(axis, x.ndim)],)
    if np.shape(scale) != channels or np.shape(shift) != channels:
        raise ValueError(f"expected scale and shift of shape {channels}")
    return kernels.channel_affine(x, scale, shift, axis=axis)


@channel_affine.backward(x="scale", scale="x")
def _(
    g: Tensor, needs: tuple[bool, bool, bool], x: Tensor, scale: Tensor, axis: int
) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
    axes = _other_axes(g.ndim, axis)
    return (
        g * _along(scale, g, axis) if needs[0] else None,
        reduce_sum(g * x, axis=axes) if needs[1] else None,
        reduce_sum(g, axis=axes) if needs[2] else None,
    )


def _other_axes(ndim: int, axis: int) -> tuple[int, ...]:
    return tuple(a for a in range(ndim) if a != axis % ndim)


def _along(values: Any, x: Tensor, axis: int) -> Tensor:
    """One value per channel, shaped to broadcast against ``x``."""
    return reshape(values, tuple(-1 if a == axis % x.ndim else 1 for a in range(x.ndim)))


# ---------------------------------------------------------------------- entropies


@primitive(extra=True)
def softmax_cross_entropy(labels: Any, logits: Any, *, axis: int = -1) -> Any:
    """``-sum(labels * log_softmax(logits))`` along ``axis``, in one pass and without overflow.

    Args:
        labels: distributions along ``axis``, of the logits' shape.
        logits: any real numbers.

    Returns:
        Tensor without ``axis``.
    """
    return kernels.softmax_cross_entropy(np.asarray(labels), np.asarray(logits), axis=axis)


softmax_cross_entropy.vjps(
    labels=lambda g, logits, axis: -expand_dims(g, axis) * log_softmax(logits, axis=axis),
    logits=lambda g, labels, logits, extra, axis: softmax_cross_entropy_grad(
        g, labels, logits, shares=extra, axis=axis
    ),
)


@primitive
def softmax_cross_entropy_grad(delta: Any, labels: Any, logits: Any, *, shares: Any, axis: int = -1) -> Any:
    """Back through :func:`softmax_cross_entropy`, to the logits, from the ``shares`` that are their softmax."""
    return kernels.softmax_cross_entropy_grad(delta, np.asarray(labels), shares, axis=axis)


@softmax_cross_entropy_grad.composite
def _(delta: Tensor, labels: Tensor, logits: Tensor, *, axis: int) -> Tensor:
    total = reduce_sum(labels, axis=axis, keepdims=True)
    return expand_dims(delta, axis) * (softmax(logits, axis=axis) * total - labels)


@primitive
def cross_entropy(labels: Any, probabilities: Any, *, epsilon: float) -> Any:
    """``-sum(labels * log(p))`` along the last axis, of probabilities made to sum to one and kept off 0 and 1.

    Args:
        labels: distributions along the last axis, of the shape of the probabilities.
        probabilities: at least 0. A row of zeros isn't NaN, but ``epsilon`` each.
        epsilon: how far they are kept from 0 and 1; beyond, the derivative is 0.

    Returns:
        Tensor without the last axis.
    """
    return kernels.cross_entropy(np.asarray(labels), np.asarray(probabilities), epsilon=epsilon)


@cross_entropy.backward
def _(g: Tensor, needs: tuple[bool, bool], labels: Tensor, probabilities: Tensor, epsilon: float) -> Any:
    dlabels = None
    if needs[0]:
        shares = over(probabilities, reduce_sum(probabilities, axis=-1, keepdims=True))
        dlabels = -expand_dims(g, -1) * log(clip(shares, epsilon, 1.0 - epsilon))
    return dlabels, cross_entropy_grad(g, labels, probabilities, epsilon=epsilon) if needs[1] else None


@primitive
def cross_entropy_grad(delta: Any, labels: Any, probabilities: Any, *, epsilon: float) -> Any:
    """Back through :func:`cross_entropy`, to the probabilities."""
    return kernels.cross_entropy_grad(delta, np.asarray(labels), np.asarray(probabilities), epsilon=epsilon)


@cross_entropy_grad.composite
def _(delta: Tensor, labels: Tensor, probabilities: Tensor, *, epsilon: float) -> Tensor:
    total = reduce_sum(probabilities, axis=-1, keepdims=True)
    shares = over(probabilities, total)
    kept = clip(shares, epsilon, 1.0 - epsilon)
    slope = where(equal(kept, shares), -expand_dims(delta, -1) * labels / kept, 0.0)
    return over(slope - reduce_sum(slope * shares, axis=-1, keepdims=True), total)


@primitive
def binary_cross_entropy(labels: Any, probabilities: Any, *, epsilon: float) -> Any:
    """``-labels * log(p) - (1 - labels) * log(1 - p)``, elementwise, of probabilities kept off 0 and 1.

    Args:
        labels: between 0 and 1, of the shape of the probabilities.
        probabilities: any real numbers.
        epsilon: how far they are kept from 0 and 1; beyond, the derivative is 0.
    """
    if np.shape(labels) != np.shape(probabilities):
        raise ValueError("expected labels of the shape of the probabilities")
    return kernels.binary_cross_entropy(np.asarray(labels), np.asarray(probabilities), epsilon=epsilon)


@binary_cross_entropy.backward
def _(g: Tensor, needs: tuple[bool, bool], labels: Tensor, probabilities: Tensor, epsilon: float) -> Any:
    dlabels = None
    if needs[0]:
        kept = clip(probabilities, epsilon, 1.0 - epsilon)
        dlabels = g * (log1p(-kept) - log(kept))
    return dlabels, binary_cross_entropy_grad(g, labels, probabilities, epsilon=epsilon) if needs[1] else None


@primitive
def binary_cross_entropy_grad(delta: Any, labels: Any, probabilities: Any, *, epsilon: float) -> Any:
    """Back through :func:`binary_cross_entropy`, to the probabilities."""
    arrays = (np.asarray(array) for array in (delta, labels, probabilities))
    return kernels.binary_cross_entropy_grad(*arrays, epsilon=epsilon)


@binary_cross_entropy_grad.composite
def _(delta: Tensor, labels: Tensor, probabilities: Tensor, *, epsilon: float) -> Tensor:
    kept = clip(probabilities, epsilon, 1.0 - epsilon)
    return where(equal(kept, probabilities), delta * (kept - labels) / (kept * (1.0 - kept)), 0.0)


@primitive
def sigmoid_cross_entropy(labels: Any, logits: Any) -> Any:
    """``-labels * log(p) - (1 - labels) * log(1 - p)`` for ``p = sigmoid(logits)``, elementwise, without overflow."""
    labels = np.asarray(labels, np.result_type(labels, logits))  # -1 of bytes is 255
    slope = np.where(np.greater(logits, 0), 1.0 - labels, -labels)
    return kernels.entropy.weighted(slope, logits) + np.log1p(np.exp(-np.absolute(logits)))


sigmoid_cross_entropy.vjps(
    labels=lambda g, logits: -g * logits,
    logits=lambda g, labels, logits: g * sigmoid_residual(labels, logits),
)


@primitive
def sigmoid_residual(labels: Any, logits: Any) -> Any:
    """``sigmoid(logits) - labels``, exact also where the two are nearly the same."""
    labels = np.asarray(labels, np.result_type(labels, logits))
    small = np.exp(-np.absolute(logits))
    likely = np.reciprocal(small + 1.0)
    small *= likely
    positive = np.greater(logits, 0)
    return (1.0 - labels) * np.where(positive, likely, small) - labels * np.where(positive, small, likely)


sigmoid_residual.vjps(
    labels=lambda g: -g,
    logits=lambda g, logits: g * (sigmoid(logits) * sigmoid(-logits)),  # p (1 - p), where 1 - p may be tiny
)


def one_hot(indices: Any, classes: int, dtype: Any = None) -> Tensor:
    """A one at each integer index along a new last axis; zeros elsewhere.

    Args:
        indices: Integers of any shape; those out of range get zeros only.
        classes: Length of the new axis.
        dtype: Type of the result; ``floatx`` if None.

    Returns:
        Tensor (*shape of the indices, classes).
    """
    return cast(equal(expand_dims(indices, -1), np.arange(classes)), dtype=dtype or config.floatx())

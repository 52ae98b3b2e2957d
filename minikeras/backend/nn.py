"""Activations, normalisation and the entropies of predictions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import losses, ops
from ..core.tensor import Tensor
from ..layers.shapes import as_size
from .recording import as_axes, as_float, as_tensor, recorded
from .settings import normalize_data_format

# ---------------------------------------------------------------------- activations


@recorded
def relu(x: Any, alpha: float = 0.0, max_value: float | None = None, threshold: float = 0.0) -> Tensor:
    """Rectified linear unit (Nair and Hinton 2010): ``max(x, 0)`` with the defaults.

    Args:
        x: Any shape.
        alpha: Slope below the threshold.
        max_value: Values above are cut off here; None for no limit.
        threshold: Where the slope changes; below it the result is ``alpha * (x - threshold)``.
    """
    return ops.relu(as_tensor(x), alpha, max_value, threshold)


@recorded
def elu(x: Any, alpha: float = 1.0) -> Tensor:
    """``x`` where positive, else ``alpha * (exp(x) - 1)`` (Clevert et al. 2016)."""
    return ops.elu(as_float(x), alpha=alpha)


@recorded
def softmax(x: Any, axis: int = -1) -> Tensor:
    """``exp(x) / sum(exp(x))`` along an axis."""
    return ops.softmax(as_float(x), axis=axis)


@recorded
def softplus(x: Any) -> Tensor:
    """``log(1 + exp(x))``."""
    return ops.softplus(as_float(x))


@recorded
def softsign(x: Any) -> Tensor:
    """``x / (1 + |x|)``."""
    return ops.softsign(as_float(x))


@recorded
def sigmoid(x: Any) -> Tensor:
    """``1 / (1 + exp(-x))``."""
    return ops.sigmoid(as_float(x))


@recorded
def hard_sigmoid(x: Any) -> Tensor:
    """``0.2 * x + 0.5`` limited to 0 ... 1 (Courbariaux et al. 2015)."""
    return ops.hard_sigmoid(as_float(x))


@recorded
def tanh(x: Any) -> Tensor:
    """Hyperbolic tangent."""
    return ops.tanh(as_float(x))


# ---------------------------------------------------------------------- normalisation


@recorded
def l2_normalize(x: Any, axis: Any = None) -> Tensor:
    """``x`` over its Euclidean norm along an axis (all of them if None), the norm's square being at least 1e-12."""
    return ops.l2_normalize(as_float(x), axis=as_axes(axis))


@recorded
def normalize_batch_in_training(
    x: Any, gamma: Any, beta: Any, reduction_axes: Sequence[int], epsilon: float = 1e-3
) -> tuple[Tensor, Tensor, Tensor]:
    """Normalise by the statistics of the batch itself (Ioffe and Szegedy 2015).

    Args:
        x: Any shape.
        gamma: Scale, of the shape of the axes that aren't reduced, or None.
        beta: Offset, likewise.
        reduction_axes: The axes that the statistics run over.
        epsilon: Added to the variance.

    Returns:
        (normalised, mean, biased variance), the latter two without the reduced axes.
    """
    x = as_float(x)
    axes = as_axes(reduction_axes)
    mean, variance = ops.mean(x, axis=axes, keepdims=True), ops.var(x, axis=axes, keepdims=True)
    scale, offset = (None if t is None else ops.reshape(as_tensor(t), mean.shape) for t in (gamma, beta))
    normed = _normalized(x, mean, variance, offset, scale, epsilon)
    return normed, ops.squeeze(mean, axis=axes), ops.squeeze(variance, axis=axes)


@recorded
def batch_normalization(
    x: Any, mean: Any, var: Any, beta: Any, gamma: Any, axis: int = -1, epsilon: float = 1e-3
) -> Tensor:
    """``(x - mean) / sqrt(var + epsilon) * gamma + beta``.

    Args:
        x: Any shape.
        mean: One number per channel, or a shape that broadcasts.
        var: The variance, likewise.
        beta: Offset, likewise, or None.
        gamma: Scale, likewise, or None.
        axis: The channels' axis.
        epsilon: Added to the variance.
    """
    x = as_float(x)
    along = tuple([-1 if i == axis % x.ndim else 1 for i in range(x.ndim)])

    def per_channel(value: Any) -> Any:
        if value is None:
            return None
        value = as_tensor(value)
        return ops.reshape(value, along) if value.ndim == 1 else value

    return _normalized(x, per_channel(mean), per_channel(var), per_channel(beta), per_channel(gamma), epsilon)


def _normalized(x: Tensor, mean: Any, variance: Any, beta: Any, gamma: Any, epsilon: float) -> Tensor:
    scale = 1.0 / ops.sqrt(variance + epsilon)
    normed = (x - mean) * (scale if gamma is None else scale * gamma)
    return normed if beta is None else normed + beta


@recorded
def bias_add(x: Any, bias: Any, data_format: str | None = None) -> Tensor:
    """Add a bias.

    Args:
        x: (batch, *space, channels), or (batch, channels, *space) with "channels_first".
        bias: (channels,), or one value per element of a sample, (*space, channels).
        data_format: "channels_last" or "channels_first"; `image_data_format` if None.

    Raises:
        ValueError: If the bias has another number of axes.
    """
    x, bias, order = as_tensor(x), as_tensor(bias), normalize_data_format(data_format)
    if bias.ndim not in (1, x.ndim - 1):
        raise ValueError(f"bias_add: bias must have 1 or {x.ndim - 1} axes. Received: shape {bias.shape}")
    if order == "channels_first" and x.ndim > 2:
        # Of a whole sample the numbers are taken in the order in which they lie, as Keras 2 does.
        space = bias.shape[:-1] or (1,) * (x.ndim - 2)
        bias = ops.reshape(bias, (1, bias.shape[-1], *space))
    return x + bias


# ---------------------------------------------------------------------- predictions and targets


@recorded
def categorical_crossentropy(target: Any, output: Any, from_logits: bool = False, axis: int = -1) -> Tensor:
    """``-sum(target * log(output))`` along an axis; see ``losses.categorical_crossentropy``.

    Args:
        target: One-hot targets or distributions, of the shape of ``output``.
        output: Probabilities, which are made to sum to one, or scores before a softmax.
        from_logits: Whether they are scores.
        axis: The axis of the classes.

    Returns:
        Tensor without the axis.
    """
    target, output = (_classes_last("categorical_crossentropy", as_tensor(x), axis) for x in (target, output))
    return losses.categorical_crossentropy(target, output, from_logits=from_logits)


@recorded
def sparse_categorical_crossentropy(target: Any, output: Any, from_logits: bool = False, axis: int = -1) -> Tensor:
    """`categorical_crossentropy` for integer targets.

    Args:
        target: Class numbers from 0 on, of the shape of ``output`` without the axis.
        output: Probabilities, or scores before a softmax.
        from_logits: Whether they are scores.
        axis: The axis of the classes.

    Returns:
        Tensor without the axis.

    Raises:
        ValueError: If the shapes don't fit, or a target is no class number.
    """
    output = _classes_last("sparse_categorical_crossentropy", as_tensor(output), axis)
    return losses.sparse_categorical_crossentropy(target, output, from_logits=from_logits)


@recorded
def binary_crossentropy(target: Any, output: Any, from_logits: bool = False) -> Tensor:
    """``-target * log(output) - (1 - target) * log(1 - output)``, element by element.

    Args:
        target: Numbers from 0 to 1, of the shape of ``output``.
        output: Probabilities, or scores before a sigmoid.
        from_logits: Whether they are scores.

    Returns:
        Tensor of the same shape.
    """
    # The loss is the mean over the last axis: of one element, that element.
    target, output = (ops.expand_dims(as_tensor(x), axis=-1) for x in (target, output))
    return losses.binary_crossentropy(target, output, from_logits=from_logits)


def _classes_last(name: str, x: Tensor, axis: int) -> Tensor:
    if not -x.ndim <= axis < x.ndim:
        raise ValueError(f"{name}: axis must be one of the {x.ndim} axes. Received: axis={axis!r}, shape {x.shape}")
    return ops.moveaxis(x, axis, -1)


@recorded
def in_top_k(predictions: Any, targets: Any, k: int) -> Tensor:
    """Whether the target class is among the ``k`` largest predictions; ties count as within.

    Args:
        predictions: (batch, classes).
        targets: (batch,) class numbers.
        k: Positive integer.

    Returns:
        Tensor (batch,) of truth values; false where the prediction of the target isn't finite.

    Raises:
        ValueError: If the shapes don't fit.
    """
    k = as_size(k, "in_top_k", "k")
    targets, predictions = losses.matched_labels("in_top_k", targets, predictions)
    classes = np.arange(predictions.shape[-1])
    of_target = ops.where(ops.equal(ops.expand_dims(targets, axis=-1), classes), predictions, -np.inf)
    score = ops.max(of_target, axis=-1, keepdims=True)
    ahead = ops.sum(ops.greater(predictions, score), axis=-1)
    return ops.logical_and(ops.less(ahead, k), ops.isfinite(ops.squeeze(score, axis=-1)))

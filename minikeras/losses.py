"""Losses: functions ``(y_true, y_pred)`` that give one value per sample, the mean (or sum) over the last axis.

The numbers are those of Keras 2: the cross-entropies take probabilities and keep them at least ``epsilon`` away from
0 and 1; ``from_logits=True`` is for outputs without softmax or sigmoid, and exact.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from . import ops
from .core import config
from .core.tensor import Tensor
from .registry import Registry

registry = Registry("loss", partials=True)
get = registry.get
serialize = registry.serialize
deserialize = registry.deserialize


@registry.register("mse", "MSE")
def mean_squared_error(y_true: Any, y_pred: Any) -> Tensor:
    """``mean((y_pred - y_true)**2)`` over the last axis.

    Args:
        y_true: Targets, of the shape of ``y_pred``.
        y_pred: Predictions ``(..., features)``.

    Returns:
        Tensor without the last axis.

    Raises:
        ValueError: If the shapes differ.
    """
    y_true, y_pred = matched("mean_squared_error", y_true, y_pred)
    return ops.mean(ops.square(y_pred - y_true), axis=-1)


@registry.register("mae", "MAE")
def mean_absolute_error(y_true: Any, y_pred: Any) -> Tensor:
    """``mean(|y_pred - y_true|)`` over the last axis; arguments as `mean_squared_error`."""
    y_true, y_pred = matched("mean_absolute_error", y_true, y_pred)
    return ops.mean(ops.absolute(y_pred - y_true), axis=-1)


@registry.register("mape", "MAPE")
def mean_absolute_percentage_error(y_true: Any, y_pred: Any) -> Tensor:
    """``100 * mean(|y_true - y_pred| / max(|y_true|, epsilon))``; arguments as `mean_squared_error`."""
    y_true, y_pred = matched("mean_absolute_percentage_error", y_true, y_pred)
    relative = ops.absolute((y_true - y_pred) / ops.clip(ops.absolute(y_true), config.epsilon(), None))
    return ops.mean(relative, axis=-1) * 100.0


@registry.register("msle", "MSLE")
def mean_squared_logarithmic_error(y_true: Any, y_pred: Any) -> Tensor:
    """``mean((log(1 + y_pred) - log(1 + y_true))**2)``, both at least epsilon; arguments as `mean_squared_error`."""
    y_true, y_pred = matched("mean_squared_logarithmic_error", y_true, y_pred)
    difference = _log_of_one_more(y_pred) - _log_of_one_more(y_true)
    return ops.mean(ops.square(difference), axis=-1)


@registry.register
def squared_hinge(y_true: Any, y_pred: Any) -> Tensor:
    """``mean(max(1 - y_true * y_pred, 0)**2)`` for targets -1 and 1; arguments as `mean_squared_error`."""
    y_true, y_pred = matched("squared_hinge", y_true, y_pred)
    return ops.mean(ops.square(_positive_part(1.0 - y_true * y_pred)), axis=-1)


@registry.register
def hinge(y_true: Any, y_pred: Any) -> Tensor:
    """``mean(max(1 - y_true * y_pred, 0))`` for targets -1 and 1; arguments as `mean_squared_error`."""
    y_true, y_pred = matched("hinge", y_true, y_pred)
    return ops.mean(_positive_part(1.0 - y_true * y_pred), axis=-1)


@registry.register
def categorical_hinge(y_true: Any, y_pred: Any) -> Tensor:
    """``max(1 + (largest wrong score) - (right score), 0)`` for one-hot targets (Crammer and Singer 2001).

    Arguments as `mean_squared_error`.
    """
    y_true, y_pred = matched("categorical_hinge", y_true, y_pred)
    right = ops.sum(y_true * y_pred, axis=-1)
    wrong = ops.max((1.0 - y_true) * y_pred, axis=-1)
    return _positive_part(wrong - right + 1.0)


@registry.register("log_cosh")
def logcosh(y_true: Any, y_pred: Any) -> Tensor:
    """``mean(log(cosh(y_pred - y_true)))``: squared for small errors, absolute for large ones.

    Arguments as `mean_squared_error`.
    """
    y_true, y_pred = matched("logcosh", y_true, y_pred)
    error = y_pred - y_true
    return ops.mean(ops.log_cosh(error), axis=-1)


@registry.register
def categorical_crossentropy(y_true: Any, y_pred: Any, from_logits: bool = False) -> Tensor:
    """``-sum(y_true * log(y_pred))`` over the last axis, ``y_pred`` first made to sum to one.

    Args:
        y_true: One-hot targets or distributions, of the shape of ``y_pred``.
        y_pred: Probabilities ``(..., classes)``, or scores before a softmax.
        from_logits: Whether they are scores.

    Returns:
        Tensor without the last axis.

    Raises:
        ValueError: If the shapes differ.
    """
    y_true, y_pred = matched("categorical_crossentropy", y_true, y_pred)
    if from_logits:
        return ops.softmax_cross_entropy(y_true, y_pred)
    return ops.cross_entropy(y_true, y_pred, epsilon=config.epsilon())


@registry.register
def sparse_categorical_crossentropy(y_true: Any, y_pred: Any, from_logits: bool = False) -> Tensor:
    """`categorical_crossentropy` for integer targets.

    Args:
        y_true: Class numbers from 0 on, of any dtype, of the shape of ``y_pred`` without its last axis or with 1 there.
        y_pred: Probabilities ``(..., classes)``, or scores before a softmax.
        from_logits: Whether they are scores.

    Returns:
        Tensor without the last axis.

    Raises:
        ValueError: If the shapes don't fit, or a target is no class number.
    """
    labels, y_pred = matched_labels("sparse_categorical_crossentropy", y_true, y_pred)
    scores = y_pred if from_logits else ops.log(_inside_unit(y_pred))
    return ops.softmax_cross_entropy(ops.one_hot(labels, y_pred.shape[-1], dtype=y_pred.dtype), scores)


@registry.register("bce")
def binary_crossentropy(y_true: Any, y_pred: Any, from_logits: bool = False) -> Tensor:
    """``-mean(y_true * log(y_pred) + (1 - y_true) * log(1 - y_pred))`` over the last axis.

    Args:
        y_true: Targets between 0 and 1, of the shape of ``y_pred``.
        y_pred: Probabilities ``(..., features)``, or scores before a sigmoid.
        from_logits: Whether they are scores.

    Returns:
        Tensor without the last axis.

    Raises:
        ValueError: If the shapes differ.
    """
    y_true, y_pred = matched("binary_crossentropy", y_true, y_pred)
    if from_logits:
        return ops.mean(ops.sigmoid_cross_entropy(y_true, y_pred), axis=-1)
    return ops.mean(ops.binary_cross_entropy(y_true, y_pred, epsilon=config.epsilon()), axis=-1)


@registry.register("kld", "KLD")
def kullback_leibler_divergence(y_true: Any, y_pred: Any) -> Tensor:
    """``sum(y_true * log(y_true / y_pred))``, both kept between epsilon and 1; arguments as `mean_squared_error`."""
    y_true, y_pred = matched("kullback_leibler_divergence", y_true, y_pred)
    y_true = ops.clip(y_true, config.epsilon(), 1.0)
    y_pred = ops.clip(y_pred, config.epsilon(), 1.0)
    return ops.sum(y_true * ops.log(y_true / y_pred), axis=-1)


@registry.register
def poisson(y_true: Any, y_pred: Any) -> Tensor:
    """``mean(y_pred - y_true * log(y_pred + epsilon))``; arguments as `mean_squared_error`."""
    y_true, y_pred = matched("poisson", y_true, y_pred)
    return ops.mean(y_pred - y_true * ops.log(y_pred + config.epsilon()), axis=-1)


@registry.register("cosine")
def cosine_proximity(y_true: Any, y_pred: Any) -> Tensor:
    """Minus the cosine of the angle between the two along the last axis; arguments as `mean_squared_error`."""
    y_true, y_pred = matched("cosine_proximity", y_true, y_pred)
    return -ops.sum(ops.l2_normalize(y_true) * ops.l2_normalize(y_pred), axis=-1)


mse = MSE = mean_squared_error
mae = MAE = mean_absolute_error
mape = MAPE = mean_absolute_percentage_error
msle = MSLE = mean_squared_logarithmic_error
kld = KLD = kullback_leibler_divergence
cosine = cosine_proximity


def matched(name: str, y_true: Any, y_pred: Any) -> tuple[Tensor, Tensor]:
    """Both as Tensors of one floating-point type, after a check that they have the same shape.

    Raises:
        ValueError: If the shapes differ, naming the loss or metric.
    """
    y_true, y_pred = _as_tensor(y_true), _floating(y_pred)
    if not _agree(y_true.shape, y_pred.shape) or not y_pred.shape:
        hint = ""
        if y_pred.shape[:-1] in (y_true.shape, y_true.shape[:-1]) and y_pred.shape and y_pred.shape[-1] != 1:
            hint = " Integer class numbers go with sparse_categorical_crossentropy, or through to_categorical."
        elif y_pred.shape == (*y_true.shape, 1):
            hint = f" Give y_true the shape {y_pred.shape}, e.g. by y_true[..., None]."
        raise ValueError(
            f"{name}: y_true and y_pred must have the same shape, with at least one axis.{hint} "
            f"Received: y_true {y_true.shape}, y_pred {y_pred.shape}"
        )
    return (y_true if y_true.dtype == y_pred.dtype else ops.cast(y_true, dtype=y_pred.dtype)), y_pred


def matched_labels(name: str, y_true: Any, y_pred: Any) -> tuple[Tensor, Tensor]:
    """Class numbers of shape ``y_pred.shape[:-1]``, and the predictions as a Tensor of floating-point type.

    Raises:
        ValueError: If the shapes don't fit or a number is no class, naming the loss or metric.
    """
    labels, y_pred = _as_tensor(y_true), _floating(y_pred)
    samples = y_pred.shape[:-1]
    if labels.ndim == y_pred.ndim and y_pred.ndim and _agree(labels.shape, (*samples, 1)):
        labels = ops.squeeze(labels, axis=-1)
    if not y_pred.shape or not _agree(labels.shape, samples):
        raise ValueError(
            f"{name}: y_true must have the shape {samples} or {(*samples, 1)}, a class number for each prediction. "
            f"Received: y_true {labels.shape}, y_pred {y_pred.shape}"
        )
    if not labels.symbolic:
        _check_classes(name, labels.numpy(), y_pred.shape[-1])
    return labels, y_pred


def _check_classes(name: str, labels: np.ndarray, classes: int) -> None:
    wrong = labels[~((labels >= 0) & (labels < classes) & (labels == np.floor(labels)))]
    if wrong.size:
        raise ValueError(
            f"{name}: y_true must hold the class numbers 0 to {classes - 1}, as y_pred has {classes} classes. "
            f"Received: {wrong.flat[0].item()!r}"
        )


def _as_tensor(value: Any) -> Tensor:
    return value if isinstance(value, Tensor) else Tensor(value)


def _floating(value: Any) -> Tensor:
    tensor = _as_tensor(value)
    return tensor if tensor.dtype.kind == "f" else ops.cast(tensor, dtype=config.floatx())


def _agree(first: tuple[Any, ...], second: tuple[Any, ...]) -> bool:
    """Whether two shapes are the same where both are known."""
    return len(first) == len(second) and all(
        a == b or a is None or b is None for a, b in zip(first, second, strict=True)
    )


def _inside_unit(x: Tensor) -> Tensor:
    return ops.clip(x, config.epsilon(), 1.0 - config.epsilon())


def _positive_part(x: Tensor) -> Tensor:
    return ops.maximum(x, 0.0)


def _log_of_one_more(x: Tensor) -> Tensor:
    return ops.log1p(ops.clip(x, config.epsilon(), None))

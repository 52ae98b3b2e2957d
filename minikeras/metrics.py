"""Metrics: functions ``(y_true, y_pred)`` that give one value per sample. Every loss is a metric too."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from . import losses, ops
from .core import config
from .core.tensor import Tensor
from .registry import Registry

Metric = Callable[[Any, Any], Tensor]

registry = Registry("metric", elsewhere=("accuracy", "crossentropy"))
for _name in losses.registry:
    registry.register(_name)(losses.get(_name))
get = registry.get
serialize = registry.serialize
deserialize = registry.deserialize


class Resolved(NamedTuple):
    """A metric as training uses it: its name in logs, and the function."""

    name: str
    function: Metric


def resolve(metric: Any, loss: Any, output_shape: Sequence[int | None]) -> Resolved:
    """What a metric given to ``compile`` means for one output.

    "accuracy" (or "acc") and "crossentropy" (or "ce") depend on the loss and on the shape of the output, as in
    Keras 2: binary if the last axis has length 1 or the loss is binary_crossentropy, sparse categorical if the loss
    is, categorical otherwise.

    Args:
        metric: Name, configuration or function.
        loss: Name or function of the output's loss.
        output_shape: Of the output, with the batch axis.

    Returns:
        The name for logs ("acc" and "ce" for these two) and the function, whose ``__name__`` says what was taken.

    Raises:
        ValueError: If the metric or the loss is unknown.
    """
    if not (isinstance(metric, str) and metric in _FAMILIES):
        function = get(metric)
        return Resolved(name_of(function), function)
    name, (binary, sparse, categorical) = _FAMILIES[metric]
    loss = losses.get(loss)
    loss = getattr(loss, "func", loss)  # functools.partial(binary_crossentropy, from_logits=True)
    if output_shape[-1] == 1 or loss is losses.binary_crossentropy:
        return Resolved(name, binary)
    return Resolved(name, sparse if loss is losses.sparse_categorical_crossentropy else categorical)


def name_of(metric: Metric) -> str:
    """The name of a metric in logs: its ``name`` if it is a layer, else that of the function or class."""
    function = getattr(metric, "func", metric)  # functools.partial
    name = getattr(function, "name", None) or getattr(function, "__name__", type(function).__name__)
    return str(name)


@registry.register
def binary_accuracy(y_true: Any, y_pred: Any) -> Tensor:
    """Share of the last axis where the prediction, rounded, is the target.

    Args:
        y_true: Zeros and ones, of the shape of ``y_pred``.
        y_pred: Probabilities ``(..., features)``.

    Returns:
        Tensor without the last axis.

    Raises:
        ValueError: If the shapes differ.
    """
    y_true, y_pred = losses.matched("binary_accuracy", y_true, y_pred)
    return ops.mean(_as_float(ops.equal(y_true, ops.round(y_pred))), axis=-1)


@registry.register
def categorical_accuracy(y_true: Any, y_pred: Any) -> Tensor:
    """1 where the largest prediction is at the largest target, else 0.

    Args:
        y_true: One-hot targets, of the shape of ``y_pred``.
        y_pred: Scores ``(..., classes)``.

    Returns:
        Tensor without the last axis.

    Raises:
        ValueError: If the shapes differ.
    """
    y_true, y_pred = losses.matched("categorical_accuracy", y_true, y_pred)
    return _as_float(ops.equal(ops.argmax(y_true, axis=-1), ops.argmax(y_pred, axis=-1)))


@registry.register
def sparse_categorical_accuracy(y_true: Any, y_pred: Any) -> Tensor:
    """1 where the largest prediction is that of the target class, else 0.

    Args:
        y_true: Class numbers, of the shape of ``y_pred`` without its last axis or with 1 there.
        y_pred: Scores ``(..., classes)``.

    Returns:
        Tensor without the last axis.

    Raises:
        ValueError: If the shapes don't fit, or a target is no class number.
    """
    labels, y_pred = losses.matched_labels("sparse_categorical_accuracy", y_true, y_pred)
    return _as_float(ops.equal(labels, ops.argmax(y_pred, axis=-1)))


@registry.register
def top_k_categorical_accuracy(y_true: Any, y_pred: Any, k: int = 5) -> Tensor:
    """1 where the target class is among the ``k`` largest predictions, else 0; ties count as within.

    Args:
        y_true: One-hot targets, of the shape of ``y_pred``.
        y_pred: Scores ``(..., classes)``.
        k: Positive.

    Returns:
        Tensor without the last axis.

    Raises:
        ValueError: If the shapes differ.
    """
    y_true, y_pred = losses.matched("top_k_categorical_accuracy", y_true, y_pred)
    return _in_top_k("top_k_categorical_accuracy", ops.argmax(y_true, axis=-1), y_pred, k)


@registry.register
def sparse_top_k_categorical_accuracy(y_true: Any, y_pred: Any, k: int = 5) -> Tensor:
    """`top_k_categorical_accuracy` for integer targets, as `sparse_categorical_accuracy` takes them."""
    labels, y_pred = losses.matched_labels("sparse_top_k_categorical_accuracy", y_true, y_pred)
    return _in_top_k("sparse_top_k_categorical_accuracy", labels, y_pred, k)


_ACCURACIES = (binary_accuracy, sparse_categorical_accuracy, categorical_accuracy)
_CROSSENTROPIES = (
    losses.binary_crossentropy,
    losses.sparse_categorical_crossentropy,
    losses.categorical_crossentropy,
)
_FAMILIES: dict[str, tuple[str, tuple[Metric, Metric, Metric]]] = {
    "accuracy": ("acc", _ACCURACIES),
    "acc": ("acc", _ACCURACIES),
    "crossentropy": ("ce", _CROSSENTROPIES),
    "ce": ("ce", _CROSSENTROPIES),
}

# Losses are metrics too, under their own names
mean_squared_error = mse = MSE = losses.mean_squared_error
mean_absolute_error = mae = MAE = losses.mean_absolute_error
mean_absolute_percentage_error = mape = MAPE = losses.mean_absolute_percentage_error
mean_squared_logarithmic_error = msle = MSLE = losses.mean_squared_logarithmic_error
hinge, squared_hinge = losses.hinge, losses.squared_hinge
logcosh = losses.logcosh
categorical_crossentropy = losses.categorical_crossentropy
sparse_categorical_crossentropy = losses.sparse_categorical_crossentropy
binary_crossentropy = losses.binary_crossentropy
kullback_leibler_divergence = losses.kullback_leibler_divergence
poisson = losses.poisson
cosine_proximity = cosine = losses.cosine_proximity


def _in_top_k(name: str, labels: Tensor, y_pred: Tensor, k: int) -> Tensor:
    if isinstance(k, bool) or not isinstance(k, (int, np.integer)) or k < 1:
        raise ValueError(f"{name}: k must be a positive integer. Received: {k!r}")
    is_target = ops.equal(ops.expand_dims(labels, axis=-1), np.arange(y_pred.shape[-1]))
    target = ops.max(ops.where(is_target, y_pred, -np.inf), axis=-1)
    ahead = ops.sum(_as_float(ops.greater(y_pred, ops.expand_dims(target, axis=-1))), axis=-1)
    return _as_float(ops.logical_and(ops.less(ahead, k), ops.isfinite(target)))


def _as_float(truth: Tensor) -> Tensor:
    return ops.cast(truth, dtype=config.floatx())

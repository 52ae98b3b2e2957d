"""Activation functions: elementwise nonlinearities and softmax, found by name."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

from . import ops
from .core.tensor import Tensor
from .registry import Registry

registry = Registry("activation")
serialize = registry.serialize
deserialize = registry.deserialize


@registry.register
def softmax(x: Any, axis: int = -1) -> Tensor:
    """``exp(x) / sum(exp(x))``: positive values that sum to one along the axis.

    Args:
        x: At least two axes, the first of them the batch.
        axis: The axis of the classes.

    Raises:
        ValueError: If ``x`` has fewer than two axes.
    """
    ndim = len(x.shape) if hasattr(x, "shape") else Tensor(x).ndim
    if ndim < 2:
        raise ValueError(f"softmax: x must have at least two axes, (batch, classes). Received: {ndim} axes")
    return ops.softmax(x, axis=axis)


@registry.register
def elu(x: Any, alpha: float = 1.0) -> Tensor:
    """``x`` where positive, else ``alpha * (exp(x) - 1)`` (Clevert et al. 2016)."""
    return ops.elu(x, alpha=alpha)


@registry.register
def selu(x: Any) -> Tensor:
    """``1.0507 * elu(x, 1.6733)``, which keeps mean 0 and variance 1 (Klambauer et al. 2017).

    Goes with the initializer lecun_normal and AlphaDropout.
    """
    return ops.selu(x)


@registry.register
def softplus(x: Any) -> Tensor:
    """``log(1 + exp(x))``."""
    return ops.softplus(x)


@registry.register
def softsign(x: Any) -> Tensor:
    """``x / (1 + |x|)``."""
    return ops.softsign(x)


@registry.register
def relu(x: Any, alpha: float = 0.0, max_value: float | None = None, threshold: float = 0.0) -> Tensor:
    """Rectified linear unit (Nair and Hinton 2010): ``max(x, 0)`` with the defaults.

    Args:
        x: Any shape.
        alpha: Slope below the threshold.
        max_value: Values above are cut off here; None for no limit.
        threshold: Where the slope changes; below it the result is ``alpha * (x - threshold)``.
    """
    return ops.relu(x, alpha, max_value, threshold)


@registry.register
def tanh(x: Any) -> Tensor:
    """Hyperbolic tangent."""
    return ops.tanh(x)


@registry.register
def sigmoid(x: Any) -> Tensor:
    """``1 / (1 + exp(-x))``."""
    return ops.sigmoid(x)


@registry.register
def hard_sigmoid(x: Any) -> Tensor:
    """``0.2 * x + 0.5`` limited to 0 ... 1 (Courbariaux et al. 2015)."""
    return ops.hard_sigmoid(x)


@registry.register
def hard_sigmoid6(x: Any) -> Tensor:
    """``x / 6 + 0.5`` limited to 0 ... 1 (Howard et al. 2019): what Keras 3 and PyTorch mean by hard_sigmoid."""
    return ops.clip(x / 6.0 + 0.5, 0.0, 1.0)


@registry.register
def exponential(x: Any) -> Tensor:
    """``exp(x)``."""
    return ops.exp(x)


@registry.register
def linear(x: Any) -> Any:
    """``x`` itself."""
    return x


def get(identifier: Any) -> Callable[[Any], Tensor]:
    """The activation that a name or a callable stands for; `linear` for None.

    Raises:
        ValueError: If the name is unknown.
    """
    if identifier is None:
        return linear
    if hasattr(identifier, "compute_output_shape"):
        warnings.warn(
            f"{type(identifier).__name__} is a layer: add it to the model by itself rather than as the activation of "
            "another layer.",
            stacklevel=2,
        )
    return registry.get(identifier)


_FUSED = {relu: "relu", tanh: "tanh", sigmoid: "sigmoid"}


def fused_name(activation: Callable[..., Any]) -> str | None:
    """What ``ops.conv`` and ``ops.dense`` call an activation that they apply themselves; None for all others."""
    return _FUSED.get(activation)

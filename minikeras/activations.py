"""Activation functions: elementwise nonlinearities and softmax, found by name."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Mapping
from typing import Any

from . import ops
from .core.tensor import Tensor
from .registry import Registry, get_custom_objects

registry = Registry("activation", partials=True)
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
def relu6(x: Any) -> Tensor:
    """``relu(x)`` limited to 6 (Krizhevsky 2010)."""
    return ops.relu(x, max_value=6.0)


@registry.register
def leaky_relu(x: Any, negative_slope: float = 0.2) -> Tensor:
    """``x`` where positive, else ``negative_slope * x`` (Maas et al. 2013)."""
    return ops.relu(x, negative_slope)


@registry.register
def celu(x: Any, alpha: float = 1.0) -> Tensor:
    """``x`` where positive, else ``alpha * (exp(x / alpha) - 1)``: smooth for every alpha (Barron 2017)."""
    return ops.elu(x / alpha) * alpha


@registry.register
def gelu(x: Any, approximate: bool = False) -> Tensor:
    """``x`` times the probability that a standard normal number is below it (Hendrycks and Gimpel 2016).

    Args:
        x: Any shape.
        approximate: Whether to compute ``0.5 * x * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 * x**3)))`` instead.
    """
    if approximate:
        return x * (0.5 + 0.5 * ops.tanh(x * (1.0 + 0.044715 * ops.square(x)) * _GELU_SCALE))
    return x * (0.5 + 0.5 * ops.erf(x * math.sqrt(0.5)))


@registry.register("swish")
def silu(x: Any) -> Tensor:
    """``x * sigmoid(x)`` (Elfwing et al. 2017; Ramachandran et al. 2017, who call it swish)."""
    return x * ops.sigmoid(x)


@registry.register("hard_swish")
def hard_silu(x: Any) -> Tensor:
    """``x * hard_sigmoid6(x)`` (Howard et al. 2019)."""
    return x * hard_sigmoid6(x)


@registry.register
def mish(x: Any) -> Tensor:
    """``x * tanh(softplus(x))`` (Misra 2019)."""
    return x * ops.tanh(ops.softplus(x))


@registry.register
def log_sigmoid(x: Any) -> Tensor:
    """``log(sigmoid(x))``, exact also where the sigmoid is 0 or 1 to rounding."""
    return -ops.softplus(-x)


@registry.register
def log_softmax(x: Any, axis: int = -1) -> Tensor:
    """``log(softmax(x))`` along the axis, exact also where softmax is 0 to rounding."""
    return ops.log_softmax(x, axis=axis)


@registry.register
def hard_tanh(x: Any) -> Tensor:
    """``x`` limited to -1 ... 1 (Collobert 2004)."""
    return ops.clip(x, -1.0, 1.0)


@registry.register
def tanh_shrink(x: Any) -> Tensor:
    """``x - tanh(x)``."""
    return x - ops.tanh(x)


@registry.register
def hard_shrink(x: Any, threshold: float = 0.5) -> Tensor:
    """``x`` where its absolute value exceeds the threshold, else 0 (Donoho and Johnstone 1994)."""
    return ops.where(ops.greater(ops.absolute(x), threshold), x, 0.0)


@registry.register
def soft_shrink(x: Any, threshold: float = 0.5) -> Tensor:
    """``x``, brought nearer to 0 by the threshold; 0 within it (Donoho and Johnstone 1994)."""
    return x - ops.clip(x, -threshold, threshold)


@registry.register
def sparse_sigmoid(x: Any) -> Tensor:
    """``(x + 1) / 2`` limited to 0 ... 1."""
    return ops.clip(0.5 * x + 0.5, 0.0, 1.0)


@registry.register
def sparse_plus(x: Any) -> Tensor:
    """The integral of `sparse_sigmoid`: 0 up to -1, ``(x + 1)**2 / 4`` up to 1, then ``x``."""
    return ops.square(0.5 * ops.clip(x, -1.0, 1.0) + 0.5) + ops.relu(x - 1.0)


@registry.register
def exponential(x: Any) -> Tensor:
    """``exp(x)``."""
    return ops.exp(x)


@registry.register
def linear(x: Any) -> Any:
    """``x`` itself."""
    return x


layer_classes: dict[str, Any] = {}  # layers that are activations, too, by their names; `layers` puts them here
_LIKE_FUNCTIONS = ("ELU", "ReLU", "Softmax")  # layers whose defaults are those of the functions


def get(identifier: Any) -> Callable[[Any], Tensor]:
    """The activation that a name, a configuration or a callable stands for; `linear` for None.

    "LeakyReLU" and "PReLU" are the layers of these names, as in tf.keras: "LeakyReLU" has the slope 0.3, and the
    function "leaky_relu" 0.2.

    Raises:
        ValueError: If the name is unknown.
    """
    if identifier is None:
        return linear
    name = identifier.get("class_name") if isinstance(identifier, Mapping) else identifier
    named_function = isinstance(identifier, str) and identifier in _LIKE_FUNCTIONS
    if isinstance(name, str) and name in layer_classes and name not in get_custom_objects() and not named_function:
        config = {} if isinstance(identifier, str) else identifier.get("config")
        if not isinstance(config, Mapping):
            raise ValueError(f"The 'config' of activation {name!r} must be a dict. Received: {config!r:.100}")
        return layer_classes[name].from_config(config)
    if hasattr(identifier, "compute_output_shape"):
        warnings.warn(
            f"{type(identifier).__name__} is a layer: add it to the model by itself rather than as the activation of "
            "another layer.",
            stacklevel=2,
        )
    return registry.get(identifier)


_GELU_SCALE = math.sqrt(2.0 / math.pi)
_FUSED = {relu: "relu", tanh: "tanh", sigmoid: "sigmoid"}


def fused_name(activation: Callable[..., Any]) -> str | None:
    """What ``ops.conv`` and ``ops.dense`` call an activation that they apply themselves; None for all others."""
    return _FUSED.get(activation)

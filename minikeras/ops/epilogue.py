"""Back through the activations that a contraction applies in its last pass, from the activated output alone."""

from __future__ import annotations

from typing import Any

from .. import kernels
from ..core.primitive import primitive
from ..core.tensor import Tensor
from .elementwise import sigmoid_grad, tanh_grad


@primitive
def relu_grad(delta: Any, y: Any) -> Any:
    """``delta`` where ``y > 0``, else 0: back through relu, from its value ``y``; the derivative at 0 is 0."""
    return kernels.relu_grad(delta, y)


relu_grad.vjps(delta=lambda g, y: relu_grad(g, y), y=None)

_DERIVATIVES = {"relu": relu_grad, "tanh": tanh_grad, "sigmoid": sigmoid_grad}


def through_activation(g: Tensor, out: Tensor, activation: str | None) -> Tensor:
    """The cotangent of what was activated, from that of the output ``out``."""
    return g if activation is None else _DERIVATIVES[activation](g, out)

"""Penalties on weights and outputs, added to the loss."""

from __future__ import annotations

import numpy as np

from . import checks, ops
from .core.tensor import Tensor
from .registry import Configurable, Registry


class Regularizer(Configurable):
    """Base of all regularizers: a callable that gives the penalty of a tensor."""

    def __call__(self, x: Tensor) -> Tensor:
        """The penalty.

        Args:
            x: Any shape.

        Returns:
            Scalar Tensor.
        """
        raise NotImplementedError(f"{type(self).__name__} must define __call__(x)")


registry = Registry("regularizer", base=Regularizer)
get = registry.get
serialize = registry.serialize
deserialize = registry.deserialize


@registry.register
class L1L2(Regularizer):
    """``l1 * sum(|x|) + l2 * sum(x**2)``.

    Args:
        l1: Factor of the absolute values.
        l2: Factor of the squares.
    """

    def __init__(self, l1: float = 0.0, l2: float = 0.0) -> None:
        self.l1 = checks.number("L1L2", "l1", l1)
        self.l2 = checks.number("L1L2", "l2", l2)

    def __call__(self, x: Tensor) -> Tensor:
        x = x if isinstance(x, Tensor) else Tensor(x)
        terms = []
        if self.l1:
            terms.append(ops.sum(ops.absolute(x)) * self.l1)
        if self.l2:
            terms.append(ops.sum(ops.square(x)) * self.l2)
        return sum(terms[1:], terms[0]) if terms else Tensor(np.zeros((), x.dtype))


@registry.register
def l1(l: float = 0.01) -> L1L2:  # noqa: E741 (Keras's name)
    """``l * sum(|x|)``."""
    return L1L2(l1=l)


@registry.register
def l2(l: float = 0.01) -> L1L2:  # noqa: E741 (Keras's name)
    """``l * sum(x**2)``."""
    return L1L2(l2=l)


@registry.register
def l1_l2(l1: float = 0.01, l2: float = 0.01) -> L1L2:
    """``l1 * sum(|x|) + l2 * sum(x**2)``."""
    return L1L2(l1=l1, l2=l2)

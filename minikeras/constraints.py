"""Projections that keep weights in a set; the optimizer applies them after each update."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any, TypeVar

import numpy as np

from . import checks, ops
from .core import config
from .core.tensor import Tensor
from .registry import Configurable, Registry

ArrayOrTensor = TypeVar("ArrayOrTensor", np.ndarray, Tensor)
Axis = int | Sequence[int]


class Constraint(Configurable):
    """Base of all constraints: a callable from a weight to the nearest one allowed."""

    def __call__(self, w: ArrayOrTensor) -> ArrayOrTensor:
        """The constrained weight.

        Args:
            w: Any shape.

        Returns:
            The same shape; an ndarray of an ndarray, a Tensor of a Tensor.
        """
        if isinstance(w, Tensor):
            return self._project(w)
        return self._project(Tensor(w)).numpy()

    def _project(self, w: Tensor) -> Tensor:
        raise NotImplementedError(f"{type(self).__name__} must define __call__(w)")


registry = Registry("constraint", base=Constraint)
get = registry.get
serialize = registry.serialize
deserialize = registry.deserialize


@registry.register
class MaxNorm(Constraint):
    """Limits the norm of the weights that go into a unit (Srivastava et al. 2014).

    Args:
        max_value: The largest norm allowed.
        axis: Axis or axes the norm is taken over: 0 for a Dense kernel, ``[0, 1, 2]`` for a Conv2D kernel.
    """

    def __init__(self, max_value: float = 2, axis: Axis = 0) -> None:
        self.max_value = checks.number("MaxNorm", "max_value", max_value, "[0, inf]")
        self.axis = _checked_axis("MaxNorm", axis)

    def _project(self, w: Tensor) -> Tensor:
        norms = _norms(self, w)
        return w * (ops.clip(norms, 0.0, self.max_value) / (norms + config.epsilon()))


@registry.register
class NonNeg(Constraint):
    """Makes negative weights zero."""

    def _project(self, w: Tensor) -> Tensor:
        return ops.maximum(w, 0.0)


@registry.register
class UnitNorm(Constraint):
    """Scales the weights that go into a unit to norm 1.

    Args:
        axis: Axis or axes the norm is taken over, as for `MaxNorm`.
    """

    def __init__(self, axis: Axis = 0) -> None:
        self.axis = _checked_axis("UnitNorm", axis)

    def _project(self, w: Tensor) -> Tensor:
        return w / (_norms(self, w) + config.epsilon())


@registry.register
class MinMaxNorm(Constraint):
    """Brings the norm of the weights that go into a unit between two values.

    Args:
        min_value: The smallest norm.
        max_value: The largest norm.
        rate: How much of the way is gone at each update: 1 for all of it.
        axis: Axis or axes the norm is taken over, as for `MaxNorm`.
    """

    def __init__(self, min_value: float = 0.0, max_value: float = 1.0, rate: float = 1.0, axis: Axis = 0) -> None:
        self.min_value = checks.number("MinMaxNorm", "min_value", min_value, "[0, inf)")
        self.max_value = checks.number("MinMaxNorm", "max_value", max_value, f"[{self.min_value}, inf]")
        self.rate = checks.number("MinMaxNorm", "rate", rate, "[0, 1]")
        self.axis = _checked_axis("MinMaxNorm", axis)

    def _project(self, w: Tensor) -> Tensor:
        norms = _norms(self, w)
        desired = ops.clip(norms, self.min_value, self.max_value) * self.rate + norms * (1.0 - self.rate)
        return w * (desired / (norms + config.epsilon()))


max_norm = maxnorm = MaxNorm
non_neg = nonneg = NonNeg
unit_norm = unitnorm = UnitNorm
min_max_norm = MinMaxNorm


def _norms(constraint: Any, w: Tensor) -> Tensor:
    """Euclidean norms of ``w`` over the constraint's axes, which stay with length 1."""
    axes = (constraint.axis,) if isinstance(constraint.axis, int) else tuple(constraint.axis)
    if not all(-w.ndim <= axis < w.ndim for axis in axes):
        raise ValueError(
            f"{type(constraint).__name__}: axis must be within the {w.ndim} axes of the weight of shape {w.shape}. "
            f"Received: {constraint.axis!r}"
        )
    return ops.norm(w, axis=axes, keepdims=True)


def _checked_axis(owner: str, axis: Any) -> int | list[int]:
    axes = axis if isinstance(axis, (tuple, list)) else [axis]
    try:
        if not axes or any(isinstance(item, bool) for item in axes):
            raise TypeError
        checked = [operator.index(item) for item in axes]
    except TypeError:
        raise TypeError(f"{owner}: axis must be an integer or a list of integers. Received: {axis!r}") from None
    return checked if isinstance(axis, (tuple, list)) else checked[0]

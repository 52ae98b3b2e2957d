"""Rates adapted to each weight by its squared gradients: Adagrad and what grew out of it."""

from __future__ import annotations

from functools import partial
from typing import Any, ClassVar

import numpy as np

from .. import checks, kernels
from .base import Optimizer, Rule, fuzz
from .hyperparameter import Hyperparameter


class Adagrad(Optimizer):
    """Adagrad (Duchi et al. 2011): ``a += g**2; w -= lr * g / (sqrt(a) + epsilon)``.

    Args:
        lr: Learning rate.
        epsilon: Fuzz factor; the configured one if None.
        decay: The rate of step t (from 0 on) is ``lr / (1 + decay * t)``.
        epsilon_in_root: Whether to divide by ``sqrt(a + epsilon)`` instead, as Keras 3 does.
        initial_accumulator: What ``a`` begins with; 0.1 in Keras 3.
        **kwargs: clipnorm, clipvalue, learning_rate, weight_clipnorm: see `Optimizer`.
    """

    slots = ("accumulator",)
    saves_iterations = False
    unsaid: ClassVar[dict[str, Any]] = {"epsilon_in_root": False, "initial_accumulator": 0.0}
    epsilon = Hyperparameter("[0, inf)")
    initial_accumulator = Hyperparameter("[0, inf)")

    def __init__(
        self,
        lr: float = 0.01,
        epsilon: float | None = None,
        decay: float = 0.0,
        epsilon_in_root: bool = False,
        initial_accumulator: float = 0.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(lr, **kwargs)
        self.epsilon = fuzz(epsilon)
        self.decay = decay
        self.epsilon_in_root = checks.flag("Adagrad", "epsilon_in_root", epsilon_in_root)
        self.initial_accumulator = initial_accumulator

    def first_value(self, slot: str) -> float:
        return float(self.initial_accumulator)

    def rule(self, rate: float, step: int) -> Rule:
        return _descent(kernels.adagrad_step, rate, float(self.epsilon), self.epsilon_in_root)


class RMSprop(Optimizer):
    """RMSprop (Tieleman and Hinton 2012): ``a = rho * a + (1 - rho) * g**2; w -= lr * g / (sqrt(a) + epsilon)``.

    Args:
        lr: Learning rate.
        rho: How much of the mean of squares is kept in a step.
        epsilon: Fuzz factor; the configured one if None.
        decay: The rate of step t (from 0 on) is ``lr / (1 + decay * t)``.
        epsilon_in_root: Whether to divide by ``sqrt(a + epsilon)`` instead, as Keras 3 does.
        **kwargs: clipnorm, clipvalue, learning_rate, weight_clipnorm: see `Optimizer`.
    """

    slots = ("accumulator",)
    saves_iterations = False
    unsaid: ClassVar[dict[str, Any]] = {"epsilon_in_root": False}
    rho = Hyperparameter("[0, 1]")
    epsilon = Hyperparameter("[0, inf)")

    def __init__(
        self,
        lr: float = 0.001,
        rho: float = 0.9,
        epsilon: float | None = None,
        decay: float = 0.0,
        epsilon_in_root: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(lr, **kwargs)
        self.rho = rho
        self.epsilon = fuzz(epsilon)
        self.decay = decay
        self.epsilon_in_root = checks.flag("RMSprop", "epsilon_in_root", epsilon_in_root)

    def rule(self, rate: float, step: int) -> Rule:
        kernel = partial(kernels.rmsprop_step, rho=float(self.rho))
        return _descent(kernel, rate, float(self.epsilon), self.epsilon_in_root)


class Adadelta(Optimizer):
    """Adadelta (Zeiler 2012): steps in proportion to the root mean square of the last ones.

    ``a = rho * a + (1 - rho) * g**2; u = g * sqrt(d + epsilon) / sqrt(a + epsilon); w -= lr * u;
    d = rho * d + (1 - rho) * u**2``.

    Args:
        lr: Learning rate; the paper has 1.
        rho: How much of the means of squares is kept in a step.
        epsilon: Fuzz factor; the configured one if None.
        decay: The rate of step t (from 0 on) is ``lr / (1 + decay * t)``.
        **kwargs: clipnorm, clipvalue, learning_rate, weight_clipnorm: see `Optimizer`.
    """

    slots = ("accumulator", "delta_accumulator")
    saves_iterations = False
    rho = Hyperparameter("[0, 1]")
    epsilon = Hyperparameter("[0, inf)")

    def __init__(
        self, lr: float = 1.0, rho: float = 0.95, epsilon: float | None = None, decay: float = 0.0, **kwargs: Any
    ) -> None:
        super().__init__(lr, **kwargs)
        self.rho = rho
        self.epsilon = fuzz(epsilon)
        self.decay = decay

    def rule(self, rate: float, step: int) -> Rule:
        return partial(kernels.adadelta_step, rate=rate, rho=float(self.rho), epsilon=float(self.epsilon))


def _descent(kernel: Rule, rate: float, epsilon: float, in_root: bool) -> Rule:
    """The step of a kernel that divides by ``sqrt(a) + epsilon``; or by ``sqrt(a + epsilon)``."""
    if in_root:
        return partial(_descend_in_root, kernel, rate=rate, epsilon=epsilon)
    return partial(kernel, rate=rate, epsilon=epsilon)


def _descend_in_root(
    kernel: Rule, p: np.ndarray, g: np.ndarray, scratch: list[np.ndarray], a: np.ndarray, *, rate: float, epsilon: float
) -> None:
    kernel(p, g, scratch, a, rate=0.0, epsilon=1.0)  # moves a only
    s = scratch[0]
    np.sqrt(np.add(a, epsilon, out=s), out=s)
    np.divide(g, s, out=s)
    s *= rate
    p -= s

"""Rates adapted to each weight by its squared gradients: Adagrad and what grew out of it."""

from __future__ import annotations

from functools import partial
from typing import Any

from .. import kernels
from .base import Optimizer, Rule, fuzz
from .hyperparameter import Hyperparameter


class Adagrad(Optimizer):
    """Adagrad (Duchi et al. 2011): ``a += g**2; w -= lr * g / (sqrt(a) + epsilon)``.

    Args:
        lr: Learning rate.
        epsilon: Fuzz factor; the configured one if None.
        decay: The rate of step t (from 0 on) is ``lr / (1 + decay * t)``.
        **kwargs: clipnorm, clipvalue, learning_rate: see `Optimizer`.
    """

    slots = ("accumulator",)
    saves_iterations = False
    epsilon = Hyperparameter("[0, inf)")

    def __init__(self, lr: float = 0.01, epsilon: float | None = None, decay: float = 0.0, **kwargs: Any) -> None:
        super().__init__(lr, **kwargs)
        self.epsilon = fuzz(epsilon)
        self.decay = decay

    def rule(self, rate: float, step: int) -> Rule:
        return partial(kernels.adagrad_step, rate=rate, epsilon=float(self.epsilon))


class RMSprop(Optimizer):
    """RMSprop (Tieleman and Hinton 2012): ``a = rho * a + (1 - rho) * g**2; w -= lr * g / (sqrt(a) + epsilon)``.

    Args:
        lr: Learning rate.
        rho: How much of the mean of squares is kept in a step.
        epsilon: Fuzz factor; the configured one if None.
        decay: The rate of step t (from 0 on) is ``lr / (1 + decay * t)``.
        **kwargs: clipnorm, clipvalue, learning_rate: see `Optimizer`.
    """

    slots = ("accumulator",)
    saves_iterations = False
    rho = Hyperparameter("[0, 1]")
    epsilon = Hyperparameter("[0, inf)")

    def __init__(
        self, lr: float = 0.001, rho: float = 0.9, epsilon: float | None = None, decay: float = 0.0, **kwargs: Any
    ) -> None:
        super().__init__(lr, **kwargs)
        self.rho = rho
        self.epsilon = fuzz(epsilon)
        self.decay = decay

    def rule(self, rate: float, step: int) -> Rule:
        return partial(kernels.rmsprop_step, rate=rate, rho=float(self.rho), epsilon=float(self.epsilon))


class Adadelta(Optimizer):
    """Adadelta (Zeiler 2012): steps in proportion to the root mean square of the last ones.

    ``a = rho * a + (1 - rho) * g**2; u = g * sqrt(d + epsilon) / sqrt(a + epsilon); w -= lr * u;
    d = rho * d + (1 - rho) * u**2``.

    Args:
        lr: Learning rate; the paper has 1.
        rho: How much of the means of squares is kept in a step.
        epsilon: Fuzz factor; the configured one if None.
        decay: The rate of step t (from 0 on) is ``lr / (1 + decay * t)``.
        **kwargs: clipnorm, clipvalue, learning_rate: see `Optimizer`.
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

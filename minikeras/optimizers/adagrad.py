"""Rates adapted to each weight by its squared gradients: Adagrad and what grew out of it."""

from __future__ import annotations

from typing import Any

import numpy as np

from .base import Optimizer, Rule, fuzz
from .clipping import square
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
        epsilon = float(self.epsilon)

        def update(p: np.ndarray, g: np.ndarray, scratch: list[np.ndarray], a: np.ndarray) -> None:
            s = scratch[0]
            g = square(g, s)
            try:
                with np.errstate(over="raise"):
                    a += s
            except FloatingPointError:
                np.minimum(a, np.finfo(a.dtype).max, out=a)
            _descend(p, g, a, rate, epsilon, s)

        return update


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
        rho, epsilon = float(self.rho), float(self.epsilon)

        def update(p: np.ndarray, g: np.ndarray, scratch: list[np.ndarray], a: np.ndarray) -> None:
            s = scratch[0]
            g = square(g, s)
            average_squares(a, s, rho)
            _descend(p, g, a, rate, epsilon, s)

        return update


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
        rho, epsilon = float(self.rho), float(self.epsilon)

        def update(p: np.ndarray, g: np.ndarray, scratch: list[np.ndarray], a: np.ndarray, d: np.ndarray) -> None:
            u, s = scratch
            g = square(g, s)
            average_squares(a, s, rho)
            np.sqrt(np.add(d, epsilon, out=u), out=u)
            u /= np.sqrt(np.add(a, epsilon, out=s), out=s)
            u *= g
            average_squares(d, np.square(u, out=s), rho)
            u *= rate
            p -= u

        return update


def average_squares(a: np.ndarray, squares: np.ndarray, rho: float) -> None:
    """``a = rho * a + (1 - rho) * squares``, in place; the squares are changed too."""
    squares *= 1.0 - rho
    a *= rho
    a += squares


def _descend(p: np.ndarray, g: np.ndarray, a: np.ndarray, rate: float, epsilon: float, scratch: np.ndarray) -> None:
    """``p -= rate * g / (sqrt(a) + epsilon)``, in place."""
    np.sqrt(a, out=scratch)
    scratch += epsilon
    np.divide(g, scratch, out=scratch)
    scratch *= rate
    p -= scratch

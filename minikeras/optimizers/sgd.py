"""Stochastic gradient descent."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from .. import checks, kernels
from .base import Optimizer, Rule
from .hyperparameter import Hyperparameter


class SGD(Optimizer):
    """Stochastic gradient descent with momentum (Polyak 1964; Nesterov 1983; Sutskever et al. 2013).

    ``v = momentum * v - lr * g; w += v``, with Nesterov's ``w += momentum * v - lr * g``.

    Args:
        lr: Learning rate.
        momentum: Share of the last step that goes into the next.
        decay: The rate of step t (from 0 on) is ``lr / (1 + decay * t)``.
        nesterov: Whether to use Nesterov's form.
        **kwargs: clipnorm, clipvalue, learning_rate, weight_clipnorm: see `Optimizer`.
    """

    slots = ("velocity",)
    momentum = Hyperparameter("[0, 1]")

    def __init__(
        self, lr: float = 0.01, momentum: float = 0.0, decay: float = 0.0, nesterov: bool = False, **kwargs: Any
    ) -> None:
        super().__init__(lr, **kwargs)
        self.momentum = momentum
        self.decay = decay
        self.nesterov = checks.flag("SGD", "nesterov", nesterov)

    def rule(self, rate: float, step: int) -> Rule:
        momentum = float(self.momentum)

        def plain(p: np.ndarray, g: np.ndarray, scratch: list[np.ndarray], v: np.ndarray) -> None:
            kernels.sgd_step(p, g, scratch, rate=rate)

        if not momentum:
            return plain
        return partial(kernels.momentum_step, rate=rate, momentum=momentum, nesterov=self.nesterov)

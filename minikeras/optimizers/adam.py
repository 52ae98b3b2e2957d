"""Adam and its relatives: steps along a moving average of the gradients, scaled by that of their squares."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import numpy as np

from .. import checks, kernels
from ..core.tensor import Parameter
from .base import Optimizer, Rule, fuzz
from .hyperparameter import Hyperparameter


class Adam(Optimizer):
    """Adam (Kingma and Ba 2015).

    ``m = beta_1 * m + (1 - beta_1) * g; v = beta_2 * v + (1 - beta_2) * g**2;
    w -= lr * sqrt(1 - beta_2**t) / (1 - beta_1**t) * m / (sqrt(v) + epsilon)`` in step t.

    Args:
        lr: Learning rate.
        beta_1: How much of the mean of gradients is kept in a step.
        beta_2: How much of the mean of their squares is kept in a step.
        epsilon: Fuzz factor; the configured one if None.
        decay: The rate of step t (from 0 on) is ``lr / (1 + decay * t)``.
        amsgrad: Whether to divide by the largest ``v`` so far (Reddi et al. 2018).
        **kwargs: clipnorm, clipvalue, learning_rate, weight_clipnorm: see `Optimizer`.
    """

    slots = ("m", "v", "vhat")
    beta_1 = Hyperparameter("[0, 1)")
    beta_2 = Hyperparameter("[0, 1)")
    epsilon = Hyperparameter("[0, inf)")

    def __init__(
        self,
        lr: float = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float | None = None,
        decay: float = 0.0,
        amsgrad: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(lr, **kwargs)
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = fuzz(epsilon)
        self.decay = decay
        self.amsgrad = checks.flag("Adam", "amsgrad", amsgrad)

    def slot_shape(self, slot: str, param: Parameter) -> tuple[int, ...]:
        return (1,) if slot == "vhat" and not self.amsgrad else param.shape  # Keras keeps one zero then

    def rule(self, rate: float, step: int) -> Rule:
        beta_1, beta_2 = float(self.beta_1), float(self.beta_2)
        corrected = rate * math.sqrt(1.0 - beta_2**step) / (1.0 - beta_1**step)
        return partial(
            kernels.adam_step,
            rate=corrected,
            beta_1=beta_1,
            beta_2=beta_2,
            epsilon=float(self.epsilon),
            amsgrad=self.amsgrad,
        )


class Adamax(Optimizer):
    """Adam in the maximum norm (Kingma and Ba 2015, section 7).

    ``m = beta_1 * m + (1 - beta_1) * g; u = max(beta_2 * u, |g|); w -= lr / (1 - beta_1**t) * m / (u + epsilon)``
    in step t.

    Args:
        lr: Learning rate.
        beta_1: How much of the mean of gradients is kept in a step.
        beta_2: How much of their largest absolute value is kept in a step.
        epsilon: Fuzz factor; the configured one if None.
        decay: The rate of step t (from 0 on) is ``lr / (1 + decay * t)``.
        **kwargs: clipnorm, clipvalue, learning_rate, weight_clipnorm: see `Optimizer`.
    """

    slots = ("m", "u")
    beta_1 = Hyperparameter("[0, 1)")
    beta_2 = Hyperparameter("[0, 1)")
    epsilon = Hyperparameter("[0, inf)")

    def __init__(
        self,
        lr: float = 0.002,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float | None = None,
        decay: float = 0.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(lr, **kwargs)
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = fuzz(epsilon)
        self.decay = decay

    def rule(self, rate: float, step: int) -> Rule:
        beta_1, beta_2 = float(self.beta_1), float(self.beta_2)
        corrected = rate / (1.0 - beta_1**step)
        return partial(kernels.adamax_step, rate=corrected, beta_1=beta_1, beta_2=beta_2, epsilon=float(self.epsilon))


class Nadam(Optimizer):
    """Adam with Nesterov's momentum (Dozat 2016), the momentum warming up from half of ``beta_1``.

    Args:
        lr: Learning rate.
        beta_1: How much of the mean of gradients is kept in a step.
        beta_2: How much of the mean of their squares is kept in a step.
        epsilon: Fuzz factor; the configured one if None.
        schedule_decay: The momentum of step t is ``beta_1 * (1 - 0.5 * 0.96**(t * schedule_decay))``.
        **kwargs: clipnorm, clipvalue, learning_rate, weight_clipnorm: see `Optimizer`.
    """

    slots = ("m", "v")
    beta_1 = Hyperparameter("[0, 1)")
    beta_2 = Hyperparameter("[0, 1)")
    epsilon = Hyperparameter("[0, inf)")
    schedule_decay = Hyperparameter("[0, inf)")

    def __init__(
        self,
        lr: float = 0.002,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float | None = None,
        schedule_decay: float = 0.004,
        **kwargs: Any,
    ) -> None:
        super().__init__(lr, **kwargs)
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = fuzz(epsilon)
        self.schedule_decay = schedule_decay
        self._schedule = (0, 1.0)

    def rule(self, rate: float, step: int) -> Rule:
        beta_1, beta_2 = float(self.beta_1), float(self.beta_2)
        now, ahead = self._momentum(step), self._momentum(step + 1)
        product = self._product_before(step) * now
        self._schedule = (step, product)
        return partial(
            kernels.nadam_step,
            rate=rate,
            beta_1=beta_1,
            beta_2=beta_2,
            epsilon=float(self.epsilon),
            of_g=(1.0 - now) / (1.0 - product),
            of_m=ahead / (1.0 - product * ahead),
            of_v=1.0 / (1.0 - beta_2**step),
        )

    def _momentum(self, step: Any) -> Any:
        return float(self.beta_1) * (1.0 - 0.5 * 0.96 ** (step * float(self.schedule_decay)))

    def _product_before(self, step: int) -> float:
        """The product of the momenta of all earlier steps; files don't hold it, as it follows from the count."""
        steps, product = self._schedule
        return product if steps == step - 1 else float(np.prod(self._momentum(np.arange(1, step))))

"""FullBatchTrainer: training by an optimizer that minimizes over all samples at once."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from ..callbacks import Callback, CallbackList, History
from ..core.tape import no_grad
from .data import Samples
from .feeding import Feed
from .generators import GeneratorTrainer
from .surface import LossSurface


class FullBatchTrainer(GeneratorTrainer):
    """A layer that can be trained by optimizers whose ``full_batch`` is true; an epoch is one of their iterations."""

    def _fit_full_batch(
        self,
        samples: Samples,
        batch_size: int,
        validation: Feed | None,
        params: dict[str, Any],
        callbacks: Iterable[Callback],
        initial_epoch: int,
    ) -> History:
        surface = LossSurface(self, samples, batch_size, training=True)
        self.optimizer.check(self._trained)
        self.optimizer.build(self._trained)
        history = History()
        params |= {"samples": len(samples), "steps": 1}
        with self._training(history, None, validation, params, callbacks, initial_epoch) as run:
            if initial_epoch < params["epochs"]:
                epochs = _Epochs(self, surface, validation, batch_size, run.callbacks, initial_epoch)
                epochs.run(params["epochs"] - initial_epoch)
                if params["verbose"] and len(history.epoch) < params["epochs"] - initial_epoch:
                    print(f"{self.optimizer.method}: {self.optimizer.result.message}")
        return history


class _Epochs:
    """The iterations of an optimizer as epochs of a training: what is evaluated between two of them belongs to one.

    It is the function that the optimizer minimizes, and passes on to the loss's surface.
    """

    def __init__(
        self,
        model: FullBatchTrainer,
        surface: LossSurface,
        validation: Feed | None,
        batch_size: int,
        callbacks: CallbackList,
        epoch: int,
    ) -> None:
        self.model = model
        self.surface = surface
        self.validation = validation
        self.batch_size = batch_size
        self.callbacks = callbacks
        self.epoch = epoch
        self.open = False
        self.evaluated: tuple[bytes, dict[str, float]] = (b"", {})
        self.best: tuple[float, np.ndarray] = (np.inf, surface.start)

    def run(self, iterations: int) -> None:
        """Train; the model has the best iterate's weights in the end, however this ends."""
        try:
            result = self.model.optimizer.minimize(self, self.surface.start, iterations, self.end)
            if self.open:  # it ended without finding a better place
                self.end(result.x)
        finally:
            self.surface.parameters.assign(self.best[1])

    def value_and_gradient(self, theta: np.ndarray) -> tuple[float, np.ndarray]:
        """The loss and its gradient."""
        self.begin()
        logs, gradient = self.surface.logs_and_gradient(theta)
        if not self.evaluated[0]:
            self._check_noise(theta, logs["loss"])
        self.evaluated = (theta.tobytes(), logs)
        return logs["loss"], gradient

    def hvp(self, theta: np.ndarray, v: np.ndarray) -> np.ndarray:
        """The product of the Hessian and a vector."""
        self.begin()
        return self.surface.hvp(theta, v)

    def begin(self) -> None:
        """Begin an epoch, unless one has begun."""
        if not self.open:
            self.open = True
            self.callbacks.on_epoch_begin(self.epoch, {})
            self.callbacks.on_batch_begin(0, {"batch": 0, "size": len(self.surface.samples)})

    def end(self, theta: np.ndarray) -> bool:
        """End the epoch at an iterate; return whether to stop."""
        place, logs = self.evaluated
        if place != theta.tobytes():
            logs = self.surface.logs(theta)
        if logs["loss"] < self.best[0]:
            self.best = (logs["loss"], theta)
        self.surface.parameters.assign(theta)
        self._update_states()
        self.callbacks.on_batch_end(0, {"batch": 0, "size": len(self.surface.samples), **logs})
        self.callbacks.on_epoch_end(self.epoch, self.model._validation_logs(self.validation, self.batch_size))
        self.open = False
        self.epoch += 1
        return self.model.stop_training

    def _check_noise(self, theta: np.ndarray, loss: float) -> None:
        """Refuse a loss that isn't the same at each call."""
        optimizer, noisy = self.model.optimizer, self.surface.noisy
        if noisy and not optimizer.fixed_noise:
            raise ValueError(
                f"{self.model}: {type(optimizer).__name__} needs the same loss at each call. Take out the layers that "
                "draw random numbers, or have them draw only once, by fixed_noise=True. "
                f"Received: {', '.join(map(str, noisy))}"
            )
        again = self.surface(theta)
        if np.isfinite(loss) and not np.isclose(loss, again, rtol=1e-3):
            raise ValueError(
                f"{self.model}: {type(optimizer).__name__} needs the same loss at each call, but a function of yours, "
                "such as a Lambda layer's or the loss, draws random numbers or keeps a state. "
                f"Received: {loss:.6g}, then {again:.6g} with the same weights"
            )

    def _update_states(self) -> None:
        """One step of what training moves besides the parameters, such as moving statistics."""
        if self.surface.moving:
            with no_grad():
                for batch in self.surface.batches():
                    self.model._loss(batch, training=True)
        self.model._run_updates()

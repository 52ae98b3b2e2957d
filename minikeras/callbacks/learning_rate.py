"""Callbacks that set the learning rate: LearningRateScheduler, ReduceLROnPlateau."""

from __future__ import annotations

import inspect
import numbers
import warnings
from collections.abc import Callable
from typing import Any

from .. import checks
from ..layers.shapes import as_size
from .base import Callback, Logs
from .monitor import Monitor


class LearningRateScheduler(Callback):
    """Set the learning rate at the beginning of every epoch; the logs have it as "lr".

    Args:
        schedule: Function of the epoch's number (from 0 on), or of the number and the rate so far, that gives the rate.
        verbose: 1 tells each rate.

    Raises:
        TypeError: If the schedule isn't a function; in training, if it gives something other than a number.

    Example:
        >>> halve = LearningRateScheduler(lambda epoch, lr: lr / 2 if epoch else lr)
    """

    def __init__(self, schedule: Callable[..., float], verbose: int = 0) -> None:
        if not callable(schedule):
            raise TypeError(f"LearningRateScheduler: schedule must be a function of the epoch. Received: {schedule!r}")
        self.schedule = schedule
        self.verbose = verbose

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        optimizer = self.model.optimizer
        arguments = (epoch, float(optimizer.lr)) if _takes_two(self.schedule) else (epoch,)
        rate: Any = self.schedule(*arguments)
        if isinstance(rate, bool) or not isinstance(rate, numbers.Real):
            raise TypeError(f"LearningRateScheduler: the schedule must give a number. Received: {rate!r}")
        optimizer.lr = float(rate)
        if self.verbose:
            print(f"Epoch {epoch + 1:05d}: LearningRateScheduler setting learning rate to {float(rate):g}.")

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        if logs is not None:
            logs["lr"] = float(self.model.optimizer.lr)


class ReduceLROnPlateau(Callback):
    """Reduce the learning rate when a value has stopped getting better; the logs have the rate as "lr".

    Args:
        monitor: Name of the value in the logs.
        factor: What the rate is multiplied by, less than 1.
        patience: The rate is reduced when so many epochs have passed without improvement.
        verbose: 1 tells each reduction.
        mode: "min", "max", or "auto" to decide by the name: "max" for accuracies.
        min_delta: A change of at most this much is no improvement.
        cooldown: So many epochs after a reduction are not counted.
        min_lr: The rate never goes below.
        epsilon: Former name of ``min_delta``.

    Raises:
        ValueError, TypeError: If an argument is out of its range.
    """

    def __init__(
        self,
        monitor: str = "val_loss",
        factor: float = 0.1,
        patience: int = 10,
        verbose: int = 0,
        mode: str = "auto",
        min_delta: float = 1e-4,
        cooldown: int = 0,
        min_lr: float = 0,
        epsilon: float | None = None,
    ) -> None:
        owner = "ReduceLROnPlateau"
        if epsilon is not None:
            warnings.warn(f"{owner}: epsilon is called min_delta now", stacklevel=2)
            min_delta = epsilon
        self.monitor = monitor
        self.factor = checks.number(owner, "factor", factor, "(0, 1)")
        self.patience = as_size(patience, owner, "patience", 0)
        self.verbose = verbose
        self.min_delta = min_delta
        self.cooldown = as_size(cooldown, owner, "cooldown", 0)
        self.min_lr = checks.number(owner, "min_lr", min_lr, "[0, inf)")
        self._watch = Monitor(owner, monitor, mode, min_delta)
        self.on_train_begin()

    def on_train_begin(self, logs: Logs | None = None) -> None:
        self.best = self._watch.worst
        self.wait = 0
        self.cooldown_counter = 0

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        if logs is not None:
            logs["lr"] = float(self.model.optimizer.lr)
        value = self._watch.read(logs)
        if value is None:
            return
        if self.cooldown_counter:
            self.cooldown_counter -= 1
            self.wait = 0
        if self._watch.improves(value, self.best):
            self.best = value
            self.wait = 0
        elif not self.cooldown_counter:
            self.wait += 1
            if self.wait >= self.patience:
                self._reduce(epoch)

    def _reduce(self, epoch: int) -> None:
        rate = float(self.model.optimizer.lr)
        if rate <= self.min_lr:
            return
        rate = max(rate * self.factor, self.min_lr)
        self.model.optimizer.lr = rate
        self.cooldown_counter = self.cooldown
        self.wait = 0
        if self.verbose:
            print(f"Epoch {epoch + 1:05d}: ReduceLROnPlateau reducing learning rate to {rate:g}.")


def _takes_two(function: Callable[..., Any]) -> bool:
    try:
        inspect.signature(function).bind(0, 0.0)
    except (TypeError, ValueError):  # ValueError: a function of C without a signature
        return False
    return True

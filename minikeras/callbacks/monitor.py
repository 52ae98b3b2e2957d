"""Callbacks that watch one value of the logs: EarlyStopping, ModelCheckpoint."""

from __future__ import annotations

import math
import os
import warnings
from typing import Any

import numpy as np

from .. import checks, saving
from ..layers.shapes import as_size
from .base import Callback, Logs


class Monitor:
    """One value of the logs, and which way it gets better.

    Args:
        owner: Name of the callback, for messages.
        name: Of the value: "val_loss", "acc", ...
        mode: "min" if smaller is better, "max" if larger is; "auto" for "max" where the name has "acc" in it or begins
            with "fmeasure", else "min".
        min_delta: A change of at most this much is none.

    Attributes:
        worst: What every value improves on.

    Raises:
        ValueError: For another mode.
    """

    def __init__(self, owner: str, name: str, mode: str = "auto", min_delta: float = 0.0) -> None:
        self._owner = owner
        self._name = name
        mode = checks.choice(owner, "mode", mode, ("auto", "min", "max"))
        self._rises = mode == "max" or (mode == "auto" and ("acc" in name or name.startswith("fmeasure")))
        self._min_delta = checks.number(owner, "min_delta", min_delta)
        self.worst = -math.inf if self._rises else math.inf

    def improves(self, value: float, best: float) -> bool:
        """Whether the value is better than the best so far; NaN never is."""
        if self._rises:
            return value - self._min_delta > best
        return value + self._min_delta < best

    def read(self, logs: Logs | None) -> float | None:
        """The value in the logs; None, with a warning, if it isn't there."""
        value = (logs or {}).get(self._name)
        if value is None:
            warnings.warn(
                f"{self._owner}: {self._name!r} is not among the values of this epoch, {sorted(logs or {})}: "
                "nothing is done",
                RuntimeWarning,
                stacklevel=4,
            )
        return value


class EarlyStopping(Callback):
    """Stop the training when a value has stopped getting better.

    Args:
        monitor: Name of the value in the logs.
        min_delta: A change of at most this much is no improvement.
        patience: So many epochs may pass without improvement; the one after them is the last. 0 and 1 both stop at the
            first.
        verbose: 1 tells when it stops, and when it restores weights.
        mode: "min", "max", or "auto" to decide by the name: "max" for accuracies.
        baseline: Value that must be improved on, besides the best so far.
        restore_best_weights: Whether the model has the weights of its best epoch in the end, also where training ran
            through all its epochs.

    Attributes:
        best: The best value so far.
        stopped_epoch: Number of the epoch that was the last, 0 if training wasn't stopped.

    Raises:
        ValueError, TypeError: If an argument is out of its range.
    """

    def __init__(
        self,
        monitor: str = "val_loss",
        min_delta: float = 0,
        patience: int = 0,
        verbose: int = 0,
        mode: str = "auto",
        baseline: float | None = None,
        restore_best_weights: bool = False,
    ) -> None:
        self.monitor = monitor
        self.patience = as_size(patience, "EarlyStopping", "patience", 0)
        self.verbose = verbose
        self.min_delta = min_delta
        self.baseline = None if baseline is None else checks.number("EarlyStopping", "baseline", baseline)
        self.restore_best_weights = restore_best_weights
        self._watch = Monitor("EarlyStopping", monitor, mode, min_delta)
        self.on_train_begin()

    def on_train_begin(self, logs: Logs | None = None) -> None:
        self.wait = 0
        self.stopped_epoch = 0
        self.best = self._watch.worst if self.baseline is None else self.baseline
        self.best_weights: list[np.ndarray] | None = None

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        value = self._watch.read(logs)
        if value is None:
            return
        if self._watch.improves(value, self.best):
            self.best = value
            self.wait = 0
            if self.restore_best_weights:
                self.best_weights = self.model.get_weights()
            return
        self.wait += 1
        if self.wait >= self.patience:
            self.stopped_epoch = epoch
            self.model.stop_training = True
            if self.verbose:
                print(f"Epoch {epoch + 1:05d}: early stopping")

    def on_train_end(self, logs: Logs | None = None) -> None:
        if self.best_weights is not None:
            if self.verbose:
                print("Restoring model weights from the end of the best epoch")
            self.model.set_weights(self.best_weights)
            self.best_weights = None


class ModelCheckpoint(Callback):
    """Save the model, or its weights, after epochs or batches.

    Files are written beside their place and moved there when complete: whatever happens, a path holds a whole model.

    Args:
        filepath: Path that ends in ``.npz``, or as Keras's files, see `Model.save` and `Model.save_weights`; may name
            values of the logs in the form of ``str.format``, and ``epoch`` (from 1 on):
            ``"weights.{epoch:02d}-{val_loss:.2f}.npz"``; with a number as ``save_freq`` also ``batch`` (from 1 on).
            Its folder is made if need be.
        monitor: Name of the value that ``save_best_only`` goes by.
        verbose: 1 tells what is saved.
        save_best_only: Save only when the value is better than ever before.
        save_weights_only: ``model.save_weights`` instead of ``model.save``.
        mode: "min", "max", or "auto" to decide by the name: "max" for accuracies.
        period: Number of epochs between two saves.
        save_freq: "epoch", or the number of batches between two saves, counted on from epoch to epoch. The values are
            then those of the last batch, and there are none of the validation.
        initial_value_threshold: With ``save_best_only`` the value that the first one saved must be better than.

    Raises:
        ValueError, TypeError: If an argument is out of its range; in training, if the path names an unknown value.
    """

    def __init__(
        self,
        filepath: str | os.PathLike[str],
        monitor: str = "val_loss",
        verbose: int = 0,
        save_best_only: bool = False,
        save_weights_only: bool = False,
        mode: str = "auto",
        period: int = 1,
        save_freq: str | int = "epoch",
        initial_value_threshold: float | None = None,
    ) -> None:
        owner = "ModelCheckpoint"
        check = saving.check_weights_path if save_weights_only else saving.check_path
        check(filepath, owner)
        self.filepath = os.fspath(filepath)
        self.monitor = monitor
        self.verbose = verbose
        self.save_best_only = save_best_only
        self.save_weights_only = save_weights_only
        self.period = as_size(period, owner, "period")
        self.save_freq = checks.frequency(owner, "save_freq", save_freq)
        if self.period != 1 and self.save_freq != "epoch":
            raise ValueError(
                f"{owner}: period counts epochs and save_freq batches: give one of them. "
                f"Received: period={period!r}, save_freq={save_freq!r}"
            )
        self.epochs_since_last_save = 0
        self._batches_since_last_save = 0
        self._epoch = 0
        self._watch = Monitor(owner, monitor, mode)
        self.best = self._watch.worst
        if initial_value_threshold is not None:
            self.best = checks.number(owner, "initial_value_threshold", initial_value_threshold)

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        self._epoch = epoch

    def on_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        if self.save_freq == "epoch":
            return
        self._batches_since_last_save += 1
        if self._batches_since_last_save >= int(self.save_freq):
            self._batches_since_last_save = 0
            self._save(self._epoch, {**(logs or {}), "batch": batch + 1})

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        if self.save_freq != "epoch":
            return
        self.epochs_since_last_save += 1
        if self.epochs_since_last_save >= self.period:
            self.epochs_since_last_save = 0
            self._save(epoch, dict(logs or {}))

    def _save(self, epoch: int, logs: dict[str, Any]) -> None:
        news = ""
        if self.save_best_only:
            value = self._watch.read(logs)
            if value is None:
                return
            if not self._watch.improves(value, self.best):
                self._tell(epoch, f"{self.monitor} did not improve from {self.best:.5f}")
                return
            news = f"{self.monitor} improved from {self.best:.5f} to {value:.5f}, "
            self.best = value
        path = self._path(epoch, logs)
        self._tell(epoch, f"{news}saving model to {path}")
        os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
        save = self.model.save_weights if self.save_weights_only else self.model.save
        save(path, overwrite=True)

    def _path(self, epoch: int, logs: dict[str, Any]) -> str:
        try:
            return self.filepath.format(**{**logs, "epoch": epoch + 1})
        except (LookupError, ValueError, TypeError) as error:
            raise ValueError(
                f"ModelCheckpoint: filepath may name epoch and the values of this epoch, {sorted(logs)}. "
                f"Received: {self.filepath!r}"
            ) from error

    def _tell(self, epoch: int, what: str) -> None:
        if self.verbose:
            print(f"Epoch {epoch + 1:05d}: {what}")

"""Callbacks: what training calls at its beginning and end, and around every epoch and batch."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from .utils.progress import Bar

Logs = dict[str, Any]


class Callback:
    """Base of all callbacks; a subclass overrides the hooks it needs.

    ``logs`` is a dict. In `on_batch_end` it holds ``batch``, ``size`` (samples in the batch), the loss and the metrics
    of the batch; in `on_epoch_end` the loss and the metrics of the epoch and, with a ``val_`` in front, those of the
    validation data. What a callback adds to it is seen by the callbacks after it and kept by `History`.

    Attributes:
        model: The model in training; ``model.stop_training = True`` ends it after the current batch.
        params: Dict with ``batch_size``, ``epochs``, ``steps`` (batches in an epoch), ``samples``, ``verbose``,
            ``do_validation`` and ``metrics`` (the names that logs can have).

    Example:
        >>> class StopWhenPerfect(Callback):
        ...     def on_epoch_end(self, epoch, logs=None):
        ...         if logs["val_acc"] == 1.0:
        ...             self.model.stop_training = True
    """

    model: Any = None
    params: dict[str, Any]
    validation_data: Any = None

    def set_params(self, params: dict[str, Any]) -> None:
        """Take what training tells about itself."""
        self.params = params

    def set_model(self, model: Any) -> None:
        """Take the model in training."""
        self.model = model

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Before the first epoch."""

    def on_train_end(self, logs: Logs | None = None) -> None:
        """After the last epoch; not after an exception."""

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        """Before an epoch, numbered from 0."""

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """After an epoch and its validation."""

    def on_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """Before a batch, numbered from 0 in each epoch."""

    def on_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """After a batch and its update of the weights."""


class CallbackList:
    """Several callbacks as one: calls the hook of each, in order.

    Args:
        callbacks: The callbacks.

    Raises:
        TypeError: If one of them isn't a `Callback`.
    """

    def __init__(self, callbacks: Iterable[Callback] | None = None) -> None:
        self.callbacks: list[Callback] = []
        for callback in callbacks or ():
            self.append(callback)

    def append(self, callback: Callback) -> None:
        """Add a callback at the end."""
        if not isinstance(callback, Callback):
            hint = ": give an instance, with ()" if isinstance(callback, type) else ""
            raise TypeError(f"callbacks must be a list of Callback objects{hint}. Received: {callback!r}")
        self.callbacks.append(callback)

    def set_params(self, params: dict[str, Any]) -> None:
        for callback in self.callbacks:
            callback.set_params(params)

    def set_model(self, model: Any) -> None:
        for callback in self.callbacks:
            callback.set_model(model)

    def on_train_begin(self, logs: Logs | None = None) -> None:
        for callback in self.callbacks:
            callback.on_train_begin(logs)

    def on_train_end(self, logs: Logs | None = None) -> None:
        for callback in self.callbacks:
            callback.on_train_end(logs)

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        for callback in self.callbacks:
            callback.on_epoch_begin(epoch, logs)

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        for callback in self.callbacks:
            callback.on_epoch_end(epoch, logs)

    def on_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        for callback in self.callbacks:
            callback.on_batch_begin(batch, logs)

    def on_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        for callback in self.callbacks:
            callback.on_batch_end(batch, logs)


class Averages:
    """The means of some named values over batches, each batch counted by its number of samples.

    Example:
        >>> averages = Averages()
        >>> averages.add({"loss": 1.0}, 3)
        >>> averages.add({"loss": 2.0}, 1)
        >>> averages.means()
        {'loss': 1.25}
    """

    def __init__(self) -> None:
        self._sums: dict[str, float] = {}
        self._samples = 0

    def add(self, values: Mapping[str, float], samples: int) -> None:
        """Count the values of a batch with so many samples."""
        self._samples += samples
        for name, value in values.items():
            self._sums[name] = self._sums.get(name, 0.0) + value * samples

    def means(self) -> dict[str, float]:
        """Return the means so far; empty before the first batch."""
        return {name: total / self._samples for name, total in self._sums.items()} if self._samples else {}


class BaseLogger(Callback):
    """Turn the batches' loss and metrics into the epoch's: their means weighted by the number of samples.

    ``fit`` puts one in front of all other callbacks.
    """

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        self._averages = Averages()

    def on_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        _count(self._averages, self.params, logs)

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        if logs is not None:
            validation = dict(logs)
            logs.clear()
            logs.update(self._averages.means(), **validation)


class ProgbarLogger(Callback):
    """Show how far an epoch is and, when it is over, a line with its loss and metrics.

    ``fit`` adds one unless it is told ``verbose=0``.
    """

    _bar: Bar | None = None

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        self._averages = Averages()
        title = f"Epoch {epoch + 1}/{self.params['epochs']}"
        self._bar = Bar(self.params["steps"], title, self.params["verbose"])

    def on_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        _count(self._averages, self.params, logs)
        if self._bar is not None:
            self._bar.update(1, self._averages.means())

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        if self._bar is not None:
            known = self.params["metrics"]
            self._bar.close({name: value for name, value in (logs or {}).items() if name in known})
            self._bar = None

    def close(self) -> None:
        """Remove the bar of an epoch that was broken off."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None


class History(Callback):
    """The loss and the metrics of every epoch; what ``fit`` returns.

    Attributes:
        history: Dict from name (``loss``, ``acc``, ``val_loss``, ...) to the list of its values.
        epoch: The numbers of the epochs, from 0.
        params: What training told about itself, see `Callback`.
    """

    def __init__(self) -> None:
        self.epoch: list[int] = []
        self.history: dict[str, list[Any]] = {}

    def set_model(self, model: Any) -> None:
        """Keep no reference: the model keeps its History, and the two would be a cycle."""

    def on_train_begin(self, logs: Logs | None = None) -> None:
        self.epoch = []
        self.history = {}

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        self.epoch.append(epoch)
        for name, value in (logs or {}).items():
            self.history.setdefault(name, []).append(value)


def _count(averages: Averages, params: dict[str, Any], logs: Logs | None) -> None:
    logs = logs or {}
    averages.add({name: logs[name] for name in params["metrics"] if name in logs}, logs.get("size", 0))

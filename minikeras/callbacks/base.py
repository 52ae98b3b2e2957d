"""Callback: what training calls at its beginning and end, and around every epoch and batch."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

Logs = dict[str, Any]


class Callback:
    """Base of all callbacks; a subclass overrides the hooks it needs.

    ``logs`` is a dict. In `on_batch_end` it holds ``batch``, ``size`` (samples in the batch), the loss and the metrics
    of the batch; in `on_epoch_end` the loss and the metrics of the epoch and, with a ``val_`` in front, those of the
    validation data. What a callback adds to it is seen by the callbacks after it and kept by `History`.

    Attributes:
        model: The model in training; ``model.stop_training = True`` ends it after the current batch.
        params: Dict with ``batch_size``, ``epochs``, ``steps`` (batches in an epoch), ``samples``, ``verbose``,
            ``do_validation``, ``metrics`` (the names that logs can have) and, where `BackupAndRestore` goes on with a
            training that was broken off, ``resumed``.

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

    def close(self) -> None:
        """After training, however it ended: let go of files and threads."""

    def get_state(self) -> dict[str, Any] | None:
        """What changes in it while it trains, for `BackupAndRestore` to keep: plain values, arrays, random generators.

        None, as here, leaves it to `BackupAndRestore`, which keeps the attributes that have changed since training
        began. A callback with other things among these, such as files, says by itself what it needs.
        """
        return None

    def set_state(self, state: dict[str, Any]) -> None:
        """Go on from what `get_state` gave in an earlier process.

        Called after `on_train_begin`, and after `on_epoch_begin` too where an epoch goes on in its middle.
        ``params.get("resumed")`` says already in `on_train_begin` that this training is the rest of another one.
        """


class RunKeeper(Callback):
    """A callback that is told of the whole training as one, when all callbacks have done what they do."""

    def before_training(self, run: Any) -> None:
        """Before `on_train_begin` of any callback: ``run.go_on`` says from where on to train."""

    def at_rest(self, run: Any) -> None:
        """Between two batches or epochs: ``run.state()`` is all that there is to know."""

    def after_training(self) -> None:
        """After `on_train_end` of all callbacks."""


class CallbackList:
    """Several callbacks as one: calls the hook of each, in order.

    Args:
        callbacks: The callbacks.
        queue_length: Taken for the sake of Keras, which watches how long the hooks of so many batches take.

    Raises:
        TypeError: If one of them isn't a `Callback`.
    """

    def __init__(self, callbacks: Iterable[Callback] | None = None, queue_length: int = 10) -> None:
        self.callbacks: list[Callback] = []
        self._keepers: list[RunKeeper] = []
        for callback in callbacks or ():
            self.append(callback)

    def append(self, callback: Callback) -> None:
        """Add a callback at the end."""
        if not isinstance(callback, Callback):
            hint = ": give an instance, with ()" if isinstance(callback, type) else ""
            raise TypeError(f"callbacks must be a list of Callback objects{hint}. Received: {callback!r}")
        self.callbacks.append(callback)
        if isinstance(callback, RunKeeper):
            self._keepers.append(callback)

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

    def before_training(self, run: Any) -> None:
        for keeper in self._keepers:
            keeper.before_training(run)

    def begun(self, run: Any) -> None:
        if self._keepers:
            run.track()

    def at_rest(self, run: Any) -> None:
        for keeper in self._keepers:
            keeper.at_rest(run)

    def after_training(self) -> None:
        for keeper in self._keepers:
            keeper.after_training()


class LambdaCallback(Callback):
    """A callback made of functions, for short ones.

    Args:
        on_epoch_begin: Function ``(epoch, logs)``.
        on_epoch_end: Function ``(epoch, logs)``.
        on_batch_begin: Function ``(batch, logs)``.
        on_batch_end: Function ``(batch, logs)``.
        on_train_begin: Function ``(logs)``.
        on_train_end: Function ``(logs)``.
        **kwargs: Further attributes.

    Raises:
        TypeError: If a hook isn't callable.

    Example:
        >>> show = LambdaCallback(on_epoch_end=lambda epoch, logs: print(epoch, logs["loss"]))
        >>> show.on_epoch_end(0, {"loss": 0.5})
        0 0.5
    """

    def __init__(
        self,
        on_epoch_begin: Callable[[int, Any], Any] | None = None,
        on_epoch_end: Callable[[int, Any], Any] | None = None,
        on_batch_begin: Callable[[int, Any], Any] | None = None,
        on_batch_end: Callable[[int, Any], Any] | None = None,
        on_train_begin: Callable[[Any], Any] | None = None,
        on_train_end: Callable[[Any], Any] | None = None,
        **kwargs: Any,
    ) -> None:
        hooks = {
            "on_epoch_begin": on_epoch_begin,
            "on_epoch_end": on_epoch_end,
            "on_batch_begin": on_batch_begin,
            "on_batch_end": on_batch_end,
            "on_train_begin": on_train_begin,
            "on_train_end": on_train_end,
        }
        for name, hook in hooks.items():
            if hook is not None and not callable(hook):
                raise TypeError(f"LambdaCallback: {name} must be a function. Received: {hook!r}")
        for name in kwargs:
            if name.startswith("on_") and not hasattr(Callback, name):
                raise TypeError(f"LambdaCallback: there is no hook {name!r}, only {', '.join(hooks)}")
        vars(self).update(kwargs, **{name: hook for name, hook in hooks.items() if hook is not None})

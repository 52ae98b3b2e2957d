"""Loops: the epochs of training and the batches of evaluation and prediction, wherever the batches come from."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np

from ..callbacks import Averages, BaseLogger, Callback, CallbackList, History, ProgbarLogger
from ..core import random
from ..core.tape import no_grad
from ..layers.base import call_context
from ..layers.shapes import as_list, single
from ..utils.progress import Bar
from .compilation import Compilable
from .data import batches
from .feeding import ArrayFeed, Feed
from .run import TrainingRun


class Loops(Compilable):
    """A layer that goes through feeds of batches.

    Attributes:
        history: The History of the last training; None before.
        stop_training: Set by callbacks to end training after the current batch.
    """

    def __init__(self, **keywords: Any) -> None:
        super().__init__(**keywords)
        self.history: History | None = None
        self.stop_training = False
        self._stream: np.random.Generator | None = None

    @property
    def stream(self) -> np.random.Generator:
        """The model's own stream of random numbers, which shuffles samples; it begins when first used."""
        if self._stream is None:
            self._stream = random.stream()
        return self._stream

    def reset_states(self) -> None:
        """Reset every layer that keeps a state from batch to batch (``layer.stateful`` is true)."""
        for layer in self._sublayers():
            if layer.stateful and hasattr(layer, "reset_states"):
                layer.reset_states()

    def _fit(
        self,
        feed: Feed,
        validation: Feed | None,
        params: dict[str, Any],
        callbacks: Iterable[Callback],
        initial_epoch: int,
    ) -> History:
        history = History()
        with self._training(history, feed, validation, params, callbacks, initial_epoch) as run:
            everyone = run.callbacks
            while run.epoch < params["epochs"] and not run.stopped:
                if not run.batch:  # the epoch that a training was broken off in has begun already
                    everyone.on_epoch_begin(run.epoch, {})
                    self._reset_metrics()
                last_size = self._fit_epoch(feed, run)
                everyone.on_epoch_end(run.epoch, self._validation_logs(validation, last_size))
                run.epoch, run.batch, run.stopped = run.epoch + 1, 0, self.stop_training
                everyone.at_rest(run)
        return history

    @contextmanager
    def _training(
        self,
        history: History,
        feed: Feed | None,
        validation: Feed | None,
        params: dict[str, Any],
        callbacks: Iterable[Callback],
        initial_epoch: int,
    ) -> Iterator[TrainingRun]:
        """A training that goes on in the body of a ``with`` statement; from where it was broken off, if it was."""
        if not isinstance(callbacks, Iterable):
            raise TypeError(f"{self}: callbacks must be a list of Callback objects. Received: {callbacks!r}")
        names, stateful = self.metrics_names, self.stateful_metric_names
        params["do_validation"] = validation is not None
        params["metrics"] = names + [f"val_{name}" for name in names if validation is not None]
        self.history = history
        shown = [ProgbarLogger("steps", stateful)] if params["verbose"] else []
        everyone = CallbackList([BaseLogger(stateful), *shown, *callbacks, history])
        everyone.set_model(self)
        everyone.set_params(params)
        for callback in everyone.callbacks:
            callback.validation_data = _validation_arrays(validation)
        self.stop_training = False
        with ExitStack() as stack:
            for callback in everyone.callbacks:
                stack.callback(callback.close)
            for source in (feed, validation):
                if source is not None:
                    stack.enter_context(source)
            run = TrainingRun(self, everyone, feed, validation, params, initial_epoch)
            everyone.before_training(run)
            everyone.on_train_begin({})
            everyone.begun(run)
            if run.batch:
                everyone.on_epoch_begin(run.epoch, {})
            run.restore()
            yield run
            everyone.on_train_end({})
            everyone.after_training()

    def _validation_logs(self, validation: Feed | None, batch_size: int) -> dict[str, Any]:
        """Loss and metrics of the validation data with ``val_`` in front; nothing for a batch size of 0."""
        if validation is None or not batch_size:
            return {}
        values = self._evaluate(validation, verbose=0, batch_size=batch_size)
        return {f"val_{name}": value for name, value in zip(self.metrics_names, values, strict=True)}

    def _fit_epoch(self, feed: Feed, run: TrainingRun) -> int:
        """Train on each batch in turn; return the size of the last one, 0 if a callback stopped it."""
        names, callbacks = self.metrics_names, run.callbacks
        size = run.last_size if run.batch else 0
        for number, batch in enumerate(feed.batches(first=run.batch), run.batch):
            size = len(batch)
            logs: dict[str, Any] = {"batch": number, "size": size}
            callbacks.on_batch_begin(number, logs)
            logs.update(zip(names, self._train_step(batch), strict=True))
            callbacks.on_batch_end(number, logs)
            if self.stop_training:
                return 0
            run.batch, run.last_size = number + 1, size
            callbacks.at_rest(run)
        return size

    def _evaluate(self, feed: Feed, verbose: int, batch_size: int = 32) -> list[float]:
        averages = Averages(self.stateful_metric_names)
        names = self.metrics_names
        self._reset_metrics()
        with Bar(feed.steps, "evaluate", verbose) as bar:
            for batch in feed.batches(batch_size):
                averages.add(dict(zip(names, self._test_step(batch), strict=True)), len(batch))
                bar.update(1)
        return list(averages.means().values())

    def _predict(self, inputs: list[np.ndarray], batch_size: int, verbose: int) -> Any:
        if not inputs:  # all of them are tensors
            return single(self._outputs([]))
        count = len(inputs[0])
        results: list[np.ndarray] = []
        with Bar(-(-count // batch_size), "predict", verbose) as bar:
            for rows in batches(count, batch_size):
                outputs = self._outputs([array[rows] for array in inputs])
                if not results:
                    results = [np.empty((count, *output.shape[1:]), output.dtype) for output in outputs]
                for result, output in zip(results, outputs, strict=True):
                    result[rows] = output
                bar.update(1)
        return single(results)

    def _predict_feed(self, feed: Feed, verbose: int) -> Any:
        parts: list[list[np.ndarray]] = []
        with Bar(feed.steps, "predict", verbose) as bar:
            for inputs in feed.batches():
                parts.append(self._outputs(inputs))  # type: ignore[arg-type]  # the feed was made to give inputs
                bar.update(1)
        return single([np.concatenate(arrays) for arrays in zip(*parts, strict=True)])

    def _outputs(self, inputs: list[np.ndarray]) -> list[np.ndarray]:
        with no_grad(), call_context(training=False, collect=False):
            return [output.numpy() for output in as_list(self._forward(inputs))]


def _validation_arrays(feed: Feed | None) -> list[np.ndarray] | None:
    """Inputs, targets and weights of validation data, as callbacks of Keras 2 find them; None for generators."""
    if not isinstance(feed, ArrayFeed):
        return None
    return [array for arrays in feed.samples.fed() for array in arrays]

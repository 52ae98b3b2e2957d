"""Trainer: fit, evaluate and predict, for any graph of layers."""

from __future__ import annotations

import itertools
import numbers
import warnings
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from typing import Any

import numpy as np

from ..callbacks import Averages, BaseLogger, Callback, CallbackList, History, ProgbarLogger
from ..core import random
from ..core.tape import no_grad
from ..layers.base import call_context
from ..layers.shapes import as_list, as_size
from ..utils.progress import Bar
from .compilation import Compilable
from .data import Samples, batches, epoch_order, labels_are_sorted


class Trainer(Compilable):
    """A layer that can be trained by itself.

    Attributes:
        history: The History of the last ``fit``; None before.
        stop_training: Set by callbacks to end ``fit`` after the current batch.
    """

    def __init__(self, **keywords: Any) -> None:
        super().__init__(**keywords)
        self.history: History | None = None
        self.stop_training = False

    # ------------------------------------------------------------------ fit, evaluate, predict

    def fit(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = None,
        epochs: int = 1,
        verbose: int = 1,
        callbacks: Sequence[Callback] | None = None,
        validation_split: float = 0.0,
        validation_data: Any = None,
        shuffle: bool | str = True,
        class_weight: Any = None,
        sample_weight: Any = None,
        initial_epoch: int = 0,
        steps_per_epoch: int | None = None,
    ) -> History:
        """Train on arrays.

        Args:
            x: Inputs: array (samples, ...) or nested lists; for several inputs a list or a dict by name.
            y: Targets, likewise for the outputs.
            batch_size: Samples in one step; 32 if None. The last step of an epoch takes what is left.
            epochs: The number of the last epoch; as many epochs are trained if ``initial_epoch`` is 0.
            verbose: 0 is silent, 1 shows a bar and a line for each epoch, 2 the line only.
            callbacks: List of callbacks.
            validation_split: Share of the samples that is held out and evaluated after each epoch: the last ones,
                taken before shuffling.
            validation_data: ``(x, y)`` or ``(x, y, sample_weight)`` to evaluate instead.
            shuffle: Whether each epoch takes the samples in a new order; "batch" shuffles batches as a whole.
            class_weight: Dict from class number to its weight in the loss.
            sample_weight: Array (samples,), or (samples, steps) with ``sample_weight_mode="temporal"``.
            initial_epoch: The number of the first epoch, to go on with an earlier training.
            steps_per_epoch: End each epoch after so many steps.

        Returns:
            The History: ``.history["loss"]``, ``["acc"]``, ``["val_loss"]``, ... with a value for each epoch.

        Raises:
            RuntimeError: If the model isn't compiled.
            ValueError: If an argument or an array doesn't fit.

        Example:
            >>> from minikeras import Sequential, layers
            >>> model = Sequential([layers.Dense(1, input_dim=2)])
            >>> model.compile("sgd", "mse")
            >>> history = model.fit([[0.0, 1.0], [1.0, 0.0]], [1.0, 2.0], epochs=3, verbose=0)
            >>> len(history.history["loss"])
            3
        """
        batch_size = self._batch_size(batch_size)
        epochs, initial_epoch = as_size(epochs, self, "epochs"), as_size(initial_epoch, self, "initial_epoch", 0)
        self._check_verbose(verbose)
        if shuffle not in (True, False, "batch"):
            raise ValueError(f"{self}: shuffle must be True, False or 'batch'. Received: {shuffle!r}")
        samples = self._samples(x, y, sample_weight, class_weight)
        validation = None
        if validation_data is not None:
            validation = self._validation_samples(validation_data)
        elif validation_split:
            samples, validation = self._split(samples, validation_split)
        steps = -(-len(samples) // batch_size)
        if steps_per_epoch is not None:
            steps = as_size(steps_per_epoch, self, "steps_per_epoch")
            if (steps - 1) * batch_size >= len(samples):
                raise ValueError(
                    f"{self}: {len(samples)} samples make {-(-len(samples) // batch_size)} steps with batches of "
                    f"{batch_size}. Received: steps_per_epoch={steps_per_epoch}"
                )
        self._warn_of_stale_compile()
        params = {
            "batch_size": batch_size,
            "epochs": epochs,
            "steps": steps,
            "samples": len(samples),
            "verbose": int(verbose),
            "do_validation": validation is not None,
            "metrics": self.metrics_names + [f"val_{name}" for name in self.metrics_names if validation is not None],
        }
        return self._fit(samples, validation, params, callbacks or (), shuffle, initial_epoch)

    def evaluate(
        self, x: Any = None, y: Any = None, batch_size: int | None = None, verbose: int = 1, sample_weight: Any = None
    ) -> Any:
        """Compute the loss and the metrics without training.

        Args:
            x: Inputs, as in ``fit``.
            y: Targets.
            batch_size: Samples computed at a time; 32 if None.
            verbose: 0 is silent, 1 shows a bar while it runs.
            sample_weight: As in ``fit``.

        Returns:
            The loss, or a list of the loss and the metrics in the order of `metrics_names`: means over the batches,
            weighted by their number of samples. The loss includes the penalties of regularizers.

        Raises:
            RuntimeError: If the model isn't compiled.
            ValueError: If an argument or an array doesn't fit.
        """
        batch_size = self._batch_size(batch_size)
        self._check_verbose(verbose)
        values = self._evaluate(self._samples(x, y, sample_weight), batch_size, int(verbose))
        return _single(values)

    def predict(self, x: Any, batch_size: int | None = None, verbose: int = 0) -> Any:
        """Compute the outputs.

        Args:
            x: Inputs, as in ``fit``.
            batch_size: Samples computed at a time; 32 if None.
            verbose: 0 is silent, 1 shows a bar while it runs.

        Returns:
            Array (samples, ...), or a list of them for several outputs.

        Raises:
            ValueError: If an argument or an array doesn't fit.
        """
        batch_size = self._batch_size(batch_size)
        self._check_verbose(verbose)
        return self._predict(self._inputs(x), batch_size, int(verbose))

    def train_on_batch(self, x: Any, y: Any, sample_weight: Any = None, class_weight: Any = None) -> Any:
        """Take one step of training on these samples.

        Args:
            x: Inputs, as in ``fit``.
            y: Targets.
            sample_weight: As in ``fit``.
            class_weight: As in ``fit``.

        Returns:
            The loss before the update, or a list of it and the metrics in the order of `metrics_names`.

        Raises:
            RuntimeError: If the model isn't compiled.
            ValueError: If an array doesn't fit.
        """
        return _single(self._train_step(self._samples(x, y, sample_weight, class_weight)))

    def test_on_batch(self, x: Any, y: Any, sample_weight: Any = None) -> Any:
        """Compute the loss and the metrics of these samples in one step; arguments and result as in ``evaluate``."""
        return _single(self._test_step(self._samples(x, y, sample_weight)))

    def predict_on_batch(self, x: Any) -> Any:
        """Compute the outputs of these samples in one step; arguments and result as in ``predict``."""
        inputs = self._inputs(x)
        return self._predict(inputs, len(inputs[0]), 0)

    # ------------------------------------------------------------------ loops

    def _fit(
        self,
        samples: Samples,
        validation: Samples | None,
        params: dict[str, Any],
        callbacks: Iterable[Callback],
        shuffle: bool | str,
        initial_epoch: int,
    ) -> History:
        rng = random.stream()
        self.history = history = History()
        bar = ProgbarLogger()
        shown = [bar] if params["verbose"] else []
        everyone = CallbackList([BaseLogger(), *shown, *callbacks, history])
        everyone.set_model(self)
        everyone.set_params(params)
        for callback in everyone.callbacks:
            callback.validation_data = None if validation is None else [*validation.inputs, *validation.targets]
        self.stop_training = False
        with ExitStack() as stack:
            stack.callback(bar.close)
            everyone.on_train_begin({})
            for epoch in range(initial_epoch, params["epochs"]):
                everyone.on_epoch_begin(epoch, {})
                order = epoch_order(len(samples), params["batch_size"], shuffle, rng)
                complete = self._fit_epoch(samples, itertools.islice(order, params["steps"]), everyone)
                logs = {}
                if complete and validation is not None:
                    values = self._evaluate(validation, params["batch_size"], verbose=0)
                    logs = {f"val_{name}": value for name, value in zip(self.metrics_names, values, strict=True)}
                everyone.on_epoch_end(epoch, logs)
                if self.stop_training:
                    break
            everyone.on_train_end({})
        return history

    def _fit_epoch(self, samples: Samples, order: Iterable[Any], callbacks: CallbackList) -> bool:
        """Train on each batch in turn; return whether no callback stopped it."""
        names = self.metrics_names
        for number, rows in enumerate(order):
            batch = samples.take(rows)
            logs: dict[str, Any] = {"batch": number, "size": len(batch)}
            callbacks.on_batch_begin(number, logs)
            logs.update(zip(names, self._train_step(batch), strict=True))
            callbacks.on_batch_end(number, logs)
            if self.stop_training:
                return False
        return True

    def _evaluate(self, samples: Samples, batch_size: int, verbose: int) -> list[float]:
        averages = Averages()
        names = self.metrics_names
        with Bar(-(-len(samples) // batch_size), "evaluate", verbose) as bar:
            for rows in batches(len(samples), batch_size):
                batch = samples.take(rows)
                averages.add(dict(zip(names, self._test_step(batch), strict=True)), len(batch))
                bar.update(1)
        return list(averages.means().values())

    def _predict(self, inputs: list[np.ndarray], batch_size: int, verbose: int) -> Any:
        count = len(inputs[0])
        results: list[np.ndarray] = []
        with Bar(-(-count // batch_size), "predict", verbose) as bar, no_grad(), call_context(training=False):
            for rows in batches(count, batch_size):
                outputs = [output.numpy() for output in as_list(self._forward([array[rows] for array in inputs]))]
                if not results:
                    results = [np.empty((count, *output.shape[1:]), output.dtype) for output in outputs]
                for result, output in zip(results, outputs, strict=True):
                    result[rows] = output
                bar.update(1)
        return _single(results)

    # ------------------------------------------------------------------ checks and preparation

    def _warn_of_stale_compile(self) -> None:
        now, then = self.trainable_weights, self._trained
        if len(now) != len(then) or any(a is not b for a, b in zip(now, then, strict=True)):
            warnings.warn(
                f"{self}: trainable was changed after compile: {len(then)} weights are trained, {len(now)} are "
                "trainable now. compile again to train these",
                stacklevel=3,
            )

    def _validation_samples(self, data: Any) -> Samples:
        if not isinstance(data, (tuple, list)) or len(data) not in (2, 3):
            raise ValueError(
                f"{self}: validation_data must be (x, y) or (x, y, sample_weight). Received: {type(data).__name__}"
                + (f" of {len(data)}" if isinstance(data, (tuple, list)) else "")
            )
        return self._samples(*data)

    def _split(self, samples: Samples, fraction: float) -> tuple[Samples, Samples]:
        if isinstance(fraction, bool) or not isinstance(fraction, numbers.Real) or not 0 < fraction < 1:
            raise ValueError(f"{self}: validation_split must be a number in [0, 1). Received: {fraction!r}")
        training, validation = samples.split_tail(float(fraction))
        if not len(training) or not len(validation):
            raise ValueError(
                f"{self}: validation_split must leave samples on both sides: of {len(samples)}, {len(training)} for "
                f"training and {len(validation)} for validation. Received: {fraction!r}"
            )
        for head, target in zip(self._bound().heads, samples.targets, strict=True):
            classifies = getattr(head.loss, "__name__", "").endswith("crossentropy")
            if target is not None and classifies and labels_are_sorted(target):
                warnings.warn(
                    f"{self}: the labels are sorted, and validation_split={fraction} takes the last samples, before "
                    "shuffling: training and validation see different classes. Shuffle the data first",
                    stacklevel=3,
                )
        return training, validation

    def _batch_size(self, batch_size: Any) -> int:
        return 32 if batch_size is None else as_size(batch_size, self, "batch_size")

    def _check_verbose(self, verbose: Any) -> None:
        if verbose not in (0, 1, 2):
            raise ValueError(
                f"{self}: verbose must be 0 (silent), 1 (bar) or 2 (a line per epoch). Received: {verbose!r}"
            )


def _single(values: list[Any]) -> Any:
    return values[0] if len(values) == 1 else values

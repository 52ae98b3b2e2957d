"""Trainer: compile, fit, evaluate and predict, for any graph of layers."""

from __future__ import annotations

import itertools
import numbers
import warnings
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from typing import Any

import numpy as np

from .. import losses, metrics, optimizers
from ..callbacks import Averages, BaseLogger, Callback, CallbackList, History, ProgbarLogger
from ..core import random
from ..core.tape import enable_grad, gradients, no_grad
from ..core.tensor import Parameter, Tensor
from ..layers.base import Layer, call_context
from ..layers.shapes import Shape, as_list, as_size
from ..utils.progress import Bar
from .data import (
    Samples,
    as_arrays,
    as_targets,
    as_weights,
    batches,
    check_lengths,
    epoch_order,
    labels_are_sorted,
)
from .objective import Goals, Objective, warn_of_mismatch


class Trainer(Layer):
    """A layer that can be trained by itself.

    What it needs of the graph of layers is written below as properties; everything else is the same for all graphs.

    Attributes:
        optimizer: What ``compile`` was given, as an object; None before.
        history: The History of the last ``fit``; None before.
        stop_training: Set by callbacks to end ``fit`` after the current batch.
    """

    def __init__(self, **keywords: Any) -> None:
        super().__init__(**keywords)
        self.optimizer: Any = None
        self.history: History | None = None
        self.stop_training = False
        self._goals: Goals | None = None
        self._objective: Objective | None = None
        self._trained: list[Parameter] = []
        self._penalized: list[Parameter] = []

    # ------------------------------------------------------------------ what a graph of layers tells

    @property
    def input_names(self) -> list[str]:
        """The names of the inputs, in order."""
        raise NotImplementedError

    @property
    def output_names(self) -> list[str]:
        """The names of the outputs, in order."""
        raise NotImplementedError

    @property
    def output_shapes(self) -> list[Shape]:
        """The shapes of the outputs with the batch axis, once the model is built."""
        raise NotImplementedError

    @property
    def output_layers(self) -> list[Layer]:
        """The layer that makes each output."""
        raise NotImplementedError

    # ------------------------------------------------------------------ compile

    def compile(
        self,
        optimizer: Any,
        loss: Any = None,
        metrics: Any = None,
        loss_weights: Any = None,
        sample_weight_mode: Any = None,
        weighted_metrics: Any = None,
    ) -> None:
        """Say how to train.

        The weights that are trainable now are those that training updates, as in Keras 2: ``trainable`` changed later
        takes effect with the next ``compile``.

        The metrics "accuracy" and "acc" depend on the loss and the shape of the output: see `metrics_resolved` for
        what was taken. In logs both are "acc"; other metrics have the name of their function.

        Args:
            optimizer: Name, configuration or Optimizer.
            loss: Name or function ``(y_true, y_pred)``; for several outputs also a list or a dict by output name.
            metrics: List of names or functions; a dict by output name gives each output its own.
            loss_weights: Factor of each output's loss in the total: list or dict by output name.
            sample_weight_mode: "temporal" if sample weights are given for each step (N, steps); for several outputs
                also a list or a dict.
            weighted_metrics: As ``metrics``, and weighted by sample and class weights as the loss is.

        Raises:
            ValueError: If something is unknown or doesn't go with the outputs.

        Example:
            >>> from minikeras import Sequential, layers
            >>> model = Sequential([layers.Dense(3, activation="softmax", input_dim=2)])
            >>> model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
            >>> model.metrics_resolved
            {'acc': 'sparse_categorical_accuracy'}
        """
        goals = Goals(
            loss=_each(losses.get, loss),
            loss_weights=loss_weights,
            metrics=_each(_known_metric, metrics),
            weighted_metrics=_each(_known_metric, weighted_metrics),
            sample_weight_mode=sample_weight_mode,
        )
        if not any(as_list(list(goals.loss.values()) if isinstance(goals.loss, Mapping) else goals.loss)):
            raise ValueError(f"{self}: compile needs a loss, such as 'mean_squared_error'. Received: loss={loss!r}")
        self.optimizer = optimizers.get(optimizer)
        self.loss, self.metrics, self.loss_weights = loss, metrics, loss_weights
        self.sample_weight_mode, self.weighted_metrics = sample_weight_mode, weighted_metrics
        self._goals, self._objective = goals, None
        if self.built:
            self._bind(goals)

    @property
    def metrics_names(self) -> list[str]:
        """The names of what ``evaluate`` and ``train_on_batch`` return: "loss", then the metrics."""
        objective = self._objective
        if objective is None:
            objective = Objective(self._compiled(), self.output_names, [(None,)] * len(self.output_names), str(self))
        return objective.names

    @property
    def metrics_resolved(self) -> dict[str, str]:
        """The name of each metric in the logs, and of the function it stands for.

        Raises:
            RuntimeError: Before the model is compiled and built, when the functions are known.
        """
        self._compiled()
        if self._objective is None:
            raise RuntimeError(f"{self}: what its metrics stand for is known once it is built")
        return self._objective.resolved

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

    # ------------------------------------------------------------------ steps

    def _train_step(self, batch: Samples) -> list[float]:
        with enable_grad():
            loss, values = self._loss(batch, training=True)
            if self._trained:
                self.optimizer.apply_gradients(gradients(loss, self._trained), self._trained)
        return values

    def _test_step(self, batch: Samples) -> list[float]:
        with no_grad():
            return self._loss(batch, training=False)[1]

    def _loss(self, batch: Samples, training: bool) -> tuple[Tensor, list[float]]:
        """The loss with all penalties, and what the step returns."""
        objective = self._bound()
        with call_context(training) as context:
            outputs = as_list(self._forward(batch.inputs))
            penalties = [weight.regularizer(weight) for weight in self._penalized if weight.regularizer is not None]
            return objective(outputs, batch.targets, batch.weights, penalties + context.penalties)

    def _forward(self, inputs: list[np.ndarray]) -> Any:
        tensors = [Tensor(array.astype(self.dtype, copy=False)) for array in inputs]
        return self(tensors if len(tensors) > 1 else tensors[0])

    # ------------------------------------------------------------------ checks and preparation

    def _compiled(self) -> Goals:
        if self._goals is None:
            raise RuntimeError(f"{self} must be compiled first: model.compile(optimizer, loss, metrics)")
        return self._goals

    def _bound(self) -> Objective:
        return self._objective or self._bind(self._compiled())

    def _bind(self, goals: Goals) -> Objective:
        """Fix what depends on the built model: what each output is trained for, and which weights are trained."""
        objective = Objective(goals, self.output_names, self.output_shapes, str(self))
        for head, layer in zip(objective.heads, self.output_layers, strict=True):
            activation = getattr(getattr(layer, "activation", None), "__name__", None)
            warn_of_mismatch(head.loss, activation, head.shape[-1], f"{self}, {layer}")
        self._trained = self.trainable_weights
        self._penalized = [weight for weight in self.weights if weight.regularizer is not None]
        self._objective = objective
        return objective

    def _unbind(self) -> None:
        """Forget the training: the layers are others now."""
        self._goals = self._objective = None
        self._trained, self._penalized = [], []

    def _warn_of_stale_compile(self) -> None:
        now, then = self.trainable_weights, self._trained
        if len(now) != len(then) or any(a is not b for a, b in zip(now, then, strict=True)):
            warnings.warn(
                f"{self}: trainable was changed after compile: {len(then)} weights are trained, {len(now)} are "
                "trainable now. compile again to train these",
                stacklevel=3,
            )

    def _inputs(self, x: Any) -> list[np.ndarray]:
        """The inputs as arrays; builds the model if this is its first data."""
        inputs = as_arrays(x, self.input_names, "input", str(self))
        check_lengths(Samples(inputs, [], []), str(self))
        shapes = [array.shape for array in inputs]
        shape = shapes if len(shapes) > 1 else shapes[0]
        self.ensure_built(shape)
        self._check_inputs(shape)
        return inputs

    def _samples(self, x: Any, y: Any, sample_weight: Any = None, class_weight: Any = None) -> Samples:
        self._compiled()
        inputs = self._inputs(x)
        heads, owner = self._bound().heads, str(self)
        targets = as_targets(y, [head.name if head.loss else None for head in heads], owner)
        for head, target in zip(heads, targets, strict=True):
            if target is not None:
                head.check_target(target, owner)
        names, modes = [head.name for head in heads], [head.mode for head in heads]
        weights = as_weights(sample_weight, class_weight, targets, names, modes, owner)
        samples = Samples(inputs, targets, weights)
        check_lengths(samples, owner)
        return samples

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


def _each(function: Any, value: Any) -> Any:
    """``function`` of everything in nested lists and dicts; None stays None."""
    if value is None:
        return None
    if isinstance(value, Mapping) and "class_name" not in value:
        return {key: _each(function, item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_each(function, item) for item in value]
    return function(value)


def _known_metric(identifier: Any) -> Any:
    """The identifier itself, as what it stands for depends on the output; ValueError if it is unknown."""
    metrics.resolve(identifier, losses.mean_squared_error, (None,))
    return identifier


def _single(values: list[Any]) -> Any:
    return values[0] if len(values) == 1 else values

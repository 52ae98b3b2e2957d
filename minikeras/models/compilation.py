"""Compilable: what a model is trained for, and one step of it, for any graph of layers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from .. import losses, metrics, optimizers
from ..core.memory import keep_freed_memory
from ..core.symbolic import SymbolicTensor
from ..core.tape import enable_grad, gradients, no_grad
from ..core.tensor import Parameter, Tensor
from ..layers.base import Layer, call_context
from ..layers.shapes import Shape, as_list, count
from .data import Samples, as_arrays, as_targets, as_weights, check_lengths
from .objective import Goals, Objective, warn_of_mismatch


class Compilable(Layer):
    """A layer with an optimizer and a loss of its own.

    What it needs of the graph of layers is written below as properties; everything else is the same for all graphs.

    Attributes:
        optimizer: What ``compile`` was given, as an object; None before.
    """

    def __init__(self, **keywords: Any) -> None:
        super().__init__(**keywords)
        self.optimizer: Any = None
        self._goals: Goals | None = None
        self._objective: Objective | None = None
        self._trained: list[Parameter] = []
        self._penalized: list[Parameter] = []
        self._captured: list[SymbolicTensor] = []  # what losses and metrics read of the model besides its outputs
        self._reported: list[SymbolicTensor] = []  # what is reported with the metrics, under further names
        self._inside: dict[Layer, bool] = {}  # itself and all layers inside, and whether training leaves each alone

    # ------------------------------------------------------------------ what a graph of layers tells

    @property
    def input_names(self) -> list[str]:
        """The names of the inputs, in order."""
        raise NotImplementedError

    @property
    def input_dtypes(self) -> list[Any]:
        """The dtype that each input is cast to."""
        return [self.dtype] * len(self.input_names)

    @property
    def input_tensors(self) -> list[Tensor | None]:
        """For each input the tensor that it always is, as ``Input(tensor=...)`` says, or None where it is fed."""
        return [None] * len(self.input_names)

    @property
    def _feed_input_names(self) -> list[str]:
        """The names of the inputs that are fed."""
        return [name for name, own in zip(self.input_names, self.input_tensors, strict=True) if own is None]

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
        target_tensors: None = None,
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
            target_tensors: Kept for Keras's signature; only None.

        Raises:
            ValueError: If something is unknown or doesn't go with the outputs.

        Example:
            >>> from minikeras import Sequential, layers
            >>> model = Sequential([layers.Dense(3, activation="softmax", input_dim=2)])
            >>> model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
            >>> model.metrics_resolved
            {'acc': 'sparse_categorical_accuracy'}
        """
        if target_tensors is not None:
            raise ValueError(
                f"{self}: target_tensors: give the targets to fit, or compute with them in a loss of add_loss. "
                f"Received: {target_tensors!r:.100}"
            )
        goals = Goals(
            loss=each(losses.get, loss),
            loss_weights=loss_weights,
            metrics=each(_known_metric, metrics),
            weighted_metrics=each(_known_metric, weighted_metrics),
            sample_weight_mode=sample_weight_mode,
        )
        given = as_list(list(goals.loss.values()) if isinstance(goals.loss, Mapping) else goals.loss)
        if not any(given) and not self.losses and not any(layer._adds_in_call for layer in self._flatten()):
            raise ValueError(
                f"{self}: compile needs a loss, such as 'mean_squared_error', or one of add_loss. "
                f"Received: loss={loss!r}"
            )
        optimizer = optimizers.get(optimizer)
        self._objective = self._bind(goals) if self.built else None
        self._goals, self.optimizer = goals, optimizer
        self.loss, self.loss_weights, self.sample_weight_mode = loss, loss_weights, sample_weight_mode
        keep_freed_memory()

    # Not attributes: a metric that is a layer is no part of the model, as layers in attributes are.

    @property
    def metrics(self) -> Any:
        """The metrics given to `compile`; None before."""
        return self._goals and (self._goals.metrics or [])

    @property
    def weighted_metrics(self) -> Any:
        """The weighted metrics given to `compile`; None before."""
        return self._goals and self._goals.weighted_metrics

    @property
    def metrics_names(self) -> list[str]:
        """The names of what ``evaluate`` and ``train_on_batch`` return: "loss", then the metrics."""
        objective = self._objective
        if objective is None:
            objective = Objective(self._compiled(), self.output_names, [(None,)] * len(self.output_names), str(self))
        return objective.names

    @property
    def stateful_metric_names(self) -> list[str]:
        """The names of the metrics that count on from batch to batch, and are reset with every epoch."""
        return list(self._objective.stateful) if self._objective is not None else []

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

    # ------------------------------------------------------------------ steps

    def _gradients(self, batch: Samples) -> dict[str, np.ndarray]:
        with enable_grad():
            loss, _ = self._loss(batch, training=False)
            found = gradients(loss, self._trained) if self._trained else []
        return {
            str(weight.name): np.zeros(weight.shape, weight.dtype) if gradient is None else gradient.numpy()
            for weight, gradient in zip(self._trained, found, strict=True)
        }

    def _train_step(self, batch: Samples) -> list[float]:
        with enable_grad():
            loss, values = self._loss(batch, training=True)
            if self._trained:
                self.optimizer.apply_gradients(gradients(loss, self._trained), self._trained)
        self._run_updates()
        return values

    def _test_step(self, batch: Samples) -> list[float]:
        with no_grad():
            return self._loss(batch, training=False)[1]

    def _loss(self, batch: Samples, training: bool) -> tuple[Tensor, list[float]]:
        """The loss with all penalties, and what the step returns."""
        objective = self._bound()
        with call_context(training, frozen=self._frozen()) as context:
            outputs = as_list(self._forward(batch.inputs))
            penalties = [weight.regularizer(weight) for weight in self._penalized if weight.regularizer is not None]
            penalties += [loss() for loss in self._functions("_losses", self._inside)]
            penalties += context.penalties or ()
            read = [*self._captured, *self._reported]
            captured = dict(zip(map(id, read), context.captured.get(id(self), []), strict=True))
            loss, values = objective(outputs, batch.targets, batch.weights, penalties, captured)
        values += [float(captured[id(symbol)].numpy().mean()) for symbol in self._reported]
        if len(values) != len(objective.names):
            raise ValueError(
                f"{self}: to metrics_names and metrics_tensors the same number of items must be appended. "
                f"Received: the names {objective.names} and {count(len(self._reported), 'tensor')}"
            )
        return loss, values

    def _frozen(self) -> frozenset[int]:
        return frozenset(id(layer) for layer, frozen in self._inside.items() if frozen)

    def _functions(self, kind: str, layers: Iterable[Layer]) -> list[Any]:
        """What add_loss or add_update was given as functions by these layers."""
        items = [attachment.item for layer in layers for attachment in getattr(layer, kind)]
        return [item for item in items if not isinstance(item, Tensor)]

    def _run_updates(self) -> None:
        """What add_update was given as functions, by layers that training doesn't leave alone."""
        updating = [layer for layer, frozen in self._inside.items() if layer.stateful or not frozen]
        for update in self._functions("_updates", updating):
            update()

    def _reset_metrics(self) -> None:
        if self.built:  # a model that its first batch builds has counted nothing yet
            self._bound().reset_states()

    def _forward(self, inputs: list[np.ndarray]) -> Any:
        fed = iter(inputs)
        given = [next(fed) if own is None else own for own in self.input_tensors]
        tensors = [
            array if isinstance(array, Tensor) else Tensor(array.astype(dtype, copy=False))
            for array, dtype in zip(given, self.input_dtypes, strict=True)
        ]
        if len(inputs) < len(tensors) and len({len(tensor) for tensor in tensors}) > 1:
            raise ValueError(
                f"{self}: an input that is a tensor is the same in every batch, and the others must be as long. "
                f"Received: the inputs {self.input_names} of {[len(tensor) for tensor in tensors]} samples"
            )
        return self(tensors if len(tensors) > 1 else tensors[0])

    # ------------------------------------------------------------------ data

    def _inputs(self, x: Any) -> list[np.ndarray]:
        """The inputs as arrays; builds the model if this is its first data."""
        owner, tensors = str(self), self.input_tensors
        names = [name for name, own in zip(self.input_names, tensors, strict=True) if own is None]
        if not names and not (x is None or (isinstance(x, (list, tuple, dict)) and not x)):
            raise ValueError(
                f"{self}: its inputs {self.input_names} are tensors, and nothing is fed: give None for x. "
                f"Received: {type(x).__name__}"
            )
        inputs = as_arrays(x, names, "input", owner) if names else []
        check_lengths(Samples(inputs, [], []), owner)
        fed = iter(inputs)
        shapes = [next(fed).shape if own is None else own.shape for own in tensors]
        shape = shapes if len(shapes) > 1 else shapes[0]
        if shape != self._accepted or not self.built:
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

    # ------------------------------------------------------------------ binding

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
        self._reported = []
        self._trained = self.trainable_weights
        self._penalized = [weight for weight in self.weights if weight.regularizer is not None]
        frozen = set(_frozen(self, True))
        self._inside = {layer: id(layer) in frozen for layer in self._flatten()}
        self._objective = objective
        return objective

    def _unbind(self) -> None:
        """Forget the training: the layers are others now."""
        self._goals = self._objective = None
        self._trained, self._penalized, self._captured, self._reported, self._inside = [], [], [], [], {}


def each(function: Any, value: Any) -> Any:
    """``function`` of everything in nested lists and dicts; None stays None."""
    if value is None:
        return None
    if isinstance(value, Mapping) and "class_name" not in value:
        return {key: each(function, item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [each(function, item) for item in value]
    return function(value)


def _frozen(layer: Layer, trainable: bool) -> Iterator[int]:
    """The ids of the layers at and inside this one that training leaves alone."""
    trainable = trainable and layer.trainable
    if not trainable:
        yield id(layer)
    for inner in layer._sublayers():
        yield from _frozen(inner, trainable)


def _known_metric(identifier: Any) -> Any:
    """The identifier itself, as what it stands for depends on the output; ValueError if it is unknown."""
    metrics.resolve(identifier, losses.mean_squared_error, (None,))
    return identifier

"""GraphTraining: what training a graph of layers takes besides the outputs, and the loss as a symbolic tensor."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import backend
from ..core import symbolic
from ..core.symbolic import Program, SymbolicTensor, symbols_in
from ..core.tensor import Parameter
from ..layers.attached import Attachment
from .graph import Graph
from .network import Network
from .objective import Goals, Objective
from .recorded import RecordedLoss, record_loss, target_of


class GraphTraining(Network):
    """A model of symbolic inputs and outputs as what a loss is recorded for."""

    def __init__(self, **keywords: Any) -> None:
        super().__init__(**keywords)
        self._graph: Graph | None = None
        self._loss_program: Program | None = None
        self._extras: list[SymbolicTensor] = []  # what the loss program gives between the outputs and the losses
        self._recorded: RecordedLoss | None = None

    def _connected(self) -> Graph | None:
        """The graph; None for a subclass that writes ``call``."""
        return self._graph

    def _known_graph(self, what: str) -> Graph:
        graph = self._connected()
        if graph is None:
            raise AttributeError(f"{self} has no {what}: it isn't made of symbolic inputs and outputs")
        return graph

    @property
    def uses_learning_phase(self) -> bool:
        """Whether the outputs differ in training."""
        graph = self._connected()
        if graph is None:
            return super().uses_learning_phase
        return any(symbol._uses_learning_phase for symbol in graph.outputs)

    @uses_learning_phase.setter
    def uses_learning_phase(self, value: bool) -> None:
        self._uses_phase = bool(value)

    @property
    def predict_function(self) -> Any:
        """A ``K.function`` from a list of the inputs, and the learning phase if that matters, to the outputs."""
        graph = self._known_graph("predict_function")
        phase = [backend.learning_phase()] if self.uses_learning_phase else []
        return backend.function([*graph.inputs, *(p for p in phase if isinstance(p, SymbolicTensor))], graph.outputs)

    def _make_predict_function(self) -> None:
        """Nothing: prediction is ready as soon as the model is built, also from several threads."""
        self._require_built("predict")

    def _make_test_function(self) -> None:
        """Check that the model is ready to be evaluated."""
        self._require_built("evaluate")
        self._bound()

    def _make_train_function(self) -> None:
        """Make the state of the optimizer, for ``optimizer.set_weights``."""
        self._require_built("fit")
        self._bound()
        self.optimizer.build(self._trained)

    def _program_with_losses(self, graph: Graph) -> Program:
        """What computes the outputs, what losses and metrics read besides them or is reported, and symbolic losses."""
        extras = [*self._captured, *self._reported]
        if self._loss_program is None or list(map(id, extras)) != list(map(id, self._extras)):
            self._require_own(self._reported, "one of metrics_tensors")
            self._loss_program = Program(graph.inputs, graph.outputs + extras + self._symbolic_losses())
            self._extras = extras
        return self._loss_program

    @property
    def metrics_tensors(self) -> list[SymbolicTensor]:
        """Tensors of the model whose means are reported besides the metrics; empty after `compile`.

        A tensor is appended here, and a name to `metrics_names`, as scripts for Keras 2 do for the parts of a loss of
        `add_loss`. (There, the metrics that `compile` was given are in the list as well.)

        Raises:
            RuntimeError: If the model isn't compiled.

        Example:
            >>> from minikeras import Model
            >>> from minikeras import backend as K
            >>> from minikeras.layers import Dense, Input
            >>> x = Input((2,))
            >>> model = Model(x, Dense(1)(x))
            >>> model.compile("sgd", "mse")
            >>> model.metrics_tensors.append(K.mean(x))
            >>> model.metrics_names.append("mean")
            >>> model.test_on_batch([[1.0, 2.0]], [[5.0]])[1]
            1.5
        """
        self._known_graph("metrics_tensors")
        self._bound()
        return self._reported

    def add_loss(self, losses: Any, inputs: Any = None) -> None:
        """Add to the loss that training minimises; see `Layer.add_loss`.

        A symbolic loss is made of this model's tensors, as that of a variational autoencoder; compiled with
        ``loss=None`` it is all that is minimised.
        """
        super().add_loss(losses, inputs)
        self._recorded = self._loss_program = None

    def get_losses_for(self, inputs: Any = None) -> list[Any]:
        """Return the losses that are computed from any of these symbolic tensors; for None those from no inputs."""
        if self._connected() is None or inputs is None:
            return super().get_losses_for(inputs)
        return _made_of(inputs, self._attached_losses())

    def get_updates_for(self, inputs: Any = None) -> list[Any]:
        """Return the updates that are computed from any of these symbolic tensors; for None those from no inputs."""
        if self._connected() is None or inputs is None:
            return super().get_updates_for(inputs)
        return _made_of(inputs, self._all_updates())

    def _all_updates(self) -> list[Attachment]:
        graph = self._connected()
        if graph is None or not (self.trainable or self.stateful):
            return super()._all_updates()
        updating = [layer for layer in graph.layers if layer.trainable or layer.stateful]
        return self._live_updates() + [a for layer in updating for a in layer._updates_at(graph.nodes(layer))]

    def _attached_losses(self) -> list[Attachment]:
        graph = self._connected()
        if graph is None:
            return super()._attached_losses()
        own = [layer for layer in graph.layers if not isinstance(layer, Network)]
        connected = [attachment for layer in (self, *own) for attachment in layer._losses]
        inner = [a for a in self._added_losses() if not isinstance(a.item, SymbolicTensor)]
        added = {id(attachment): attachment for attachment in [*connected, *inner]}
        return [*added.values(), *(a for layer in graph.layers for a in layer._penalties_at(graph.nodes(layer)))]

    def _symbolic_losses(self) -> list[SymbolicTensor]:
        """The symbolic losses added to the model or to a layer of it, which is no model itself."""
        found = [
            attachment.item
            for layer in (self, *(layer for layer in self._flatten() if not isinstance(layer, Network)))
            for attachment in layer._losses
            if isinstance(attachment.item, SymbolicTensor)
        ]
        self._require_own(found, "a loss of add_loss")
        return found

    def _require_own(self, symbols: list[SymbolicTensor], what: str) -> None:
        """Raise ValueError if something isn't made of the model's inputs."""
        graph = self._known_graph("inputs")
        for symbol in symbols:
            try:
                Program(graph.inputs, [symbol])
            except (ValueError, AttributeError) as error:
                raise ValueError(f"{self}: {what} isn't made of the model's inputs: {error}") from None

    def _bind(self, goals: Goals) -> Objective:
        objective = super()._bind(goals)
        graph = self._connected()
        self._recorded = self._loss_program = None
        if graph is not None:
            made = [*graph.inputs, *(symbol for call in graph.program.calls for symbol in call.outputs)]
            known = {id(symbol): symbol for symbol in made}
            self._captured = objective.capture(target_of, graph.outputs, known)
        return objective

    def _recorded_loss(self, what: str) -> RecordedLoss:
        """The loss as a record, made when it is first asked for."""
        graph = self._known_graph(what)
        if self._recorded is None:
            objective = self._bound()
            self._recorded = record_loss(objective.heads, graph.outputs, self.losses)
        return self._recorded

    @property
    def targets(self) -> list[SymbolicTensor]:
        """Symbolic tensors for the targets, one for each output that has a loss; inputs of `total_loss`."""
        return list(self._recorded_loss("targets").targets)

    @property
    def sample_weights(self) -> list[SymbolicTensor]:
        """Symbolic tensors for the weights of the samples, one for each output that has a loss; see `targets`."""
        return list(self._recorded_loss("sample_weights").sample_weights)

    @property
    def _feed_inputs(self) -> list[SymbolicTensor]:
        """The inputs that are fed; before `targets` and `sample_weights` they are all that `total_loss` needs."""
        graph = self._known_graph("_feed_inputs")
        return [symbol for symbol, own in zip(graph.inputs, self.input_tensors, strict=True) if own is None]

    @property
    def _feed_targets(self) -> list[SymbolicTensor]:
        return self.targets

    @property
    def _feed_sample_weights(self) -> list[SymbolicTensor]:
        return self.sample_weights

    @property
    def _collected_trainable_weights(self) -> list[Parameter]:
        """The weights that training updates: those that were trainable when the model was compiled."""
        self._bound()
        return list(self._trained)

    def _standardize_user_data(
        self, x: Any, y: Any = None, sample_weight: Any = None, class_weight: Any = None, **ignored: Any
    ) -> tuple[list[np.ndarray], list[np.ndarray], list[np.ndarray]]:
        """The arrays for `_feed_inputs`, `_feed_targets` and `_feed_sample_weights`, checked."""
        return self._samples(x, y, sample_weight, class_weight).fed()

    @property
    def total_loss(self) -> SymbolicTensor:
        """What training minimises, as a symbolic tensor made of `inputs`, `targets` and `sample_weights`.

        Raises:
            RuntimeError: If the model isn't compiled.

        Example:
            >>> from minikeras import Model
            >>> from minikeras import backend as K
            >>> from minikeras.layers import Dense, Input
            >>> x = Input((2,))
            >>> model = Model(x, Dense(1, kernel_initializer="ones")(x))
            >>> model.compile("sgd", "mse")
            >>> gradients = K.gradients(model.total_loss, model.trainable_weights)
            >>> get = K.function([*model.inputs, *model.sample_weights, *model.targets, K.learning_phase()], gradients)
            >>> get([[[1.0, 2.0]], [1.0], [[5.0]], 0])[1]
            array([-4.], dtype=float32)
        """
        return self._recorded_loss("total_loss").total


def _made_of(inputs: Any, attachments: list[Attachment]) -> list[Any]:
    """The losses or updates that are computed from any of these symbolic tensors."""
    given = {id(symbol) for symbol in symbols_in(inputs)}
    return [
        attachment.item
        for attachment in attachments
        if given & {id(symbol) for symbol in symbolic.upstream(symbols_in([attachment.item]))}
    ]

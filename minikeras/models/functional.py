"""Model: any graph of layers, or a class of the user's own."""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping
from typing import Any

from .. import saving
from ..core import symbolic
from ..core.symbolic import Call, SymbolicTensor, symbols_in
from ..core.tensor import Tensor
from ..layers.base import Layer
from ..layers.context import current_context, trial
from ..layers.shapes import InputSpec, Shape, as_list, count, is_shape, map_shapes, masks_of, shapes_of, single
from .configuration import graph_config, graph_from_config
from .graph import Graph, name_of, node_of, unflatten
from .graph_training import GraphTraining
from .network import LayerList


class Model(GraphTraining):
    """A model of layers that were called on `Input`, or on one another, with any number of inputs and outputs.

    Operations of ``ops`` and of the backend on the symbolic tensors in between are part of the model too. Its layers
    may be shared, and may be models themselves. It computes only what its outputs depend on, and forgets each
    intermediate result once nothing needs it.

    A subclass may write ``call`` in place of giving inputs and outputs: then the layers that it keeps as attributes
    are those of the model, and the weights are made with the first data.

    Args:
        inputs: What `Input` gave, or a list of them.
        outputs: Symbolic tensor made of them, or a list of them.
        name: Name of the model.

    Raises:
        TypeError: If inputs or outputs are something else than symbolic tensors.
        ValueError: If an input isn't from `Input` or is given twice, an output depends on something else than the
            inputs, or two layers have one name.

    Example:
        >>> from minikeras.layers import Dense, Input
        >>> x = Input((3,))
        >>> hidden = Dense(4, activation="relu")(x)
        >>> model = Model(inputs=x, outputs=[Dense(2)(hidden), 2.0 * hidden])
        >>> model.output_shape
        [(None, 2), (None, 4)]
    """

    def __init__(self, inputs: Any = None, outputs: Any = None, name: str | None = None, **keywords: Any) -> None:
        super().__init__(name=name, **keywords)
        self._number_of_inputs = 0
        self._own_shapes: list[Shape] = []
        if inputs is not None or outputs is not None:
            self._connect(*(self._checked(given, what) for given, what in ((inputs, "inputs"), (outputs, "outputs"))))

    # ------------------------------------------------------------------ the graph

    def _checked(self, given: Any, what: str) -> list[SymbolicTensor]:
        if given is None:
            raise TypeError(f"{self}: a model needs inputs and outputs. Received: {what}=None")
        for item in as_list(given):
            if not isinstance(item, SymbolicTensor):
                hint = "; a layer gives one when it is called on an Input" if isinstance(item, Layer) else ""
                raise TypeError(
                    f"{self}: {what} must be symbolic tensors, made by Input and by calling layers on them{hint}. "
                    f"Received: {type(item).__name__} {item!r:.100}"
                )
        return as_list(given)

    def _connect(self, inputs: list[SymbolicTensor], outputs: list[SymbolicTensor]) -> None:
        for symbol in inputs:
            if symbol.entry is None:
                raise ValueError(
                    f"{self}: inputs must come from Input. To begin in the middle of a model, call its later layers on "
                    f"a new Input. Received: {symbol!r}"
                    + (f", the output of {symbol.source.operation!r}" if symbol.source is not None else "")
                )
        if len({id(symbol) for symbol in inputs}) < len(inputs):
            raise ValueError(f"{self}: each input must be given once. Received: {[s.name for s in inputs]}")
        self._graph = Graph(inputs, outputs, str(self))
        self._loss_program = None
        own = Call(self, (inputs if len(inputs) > 1 else inputs[0],), {})
        own.outputs = tuple(outputs)
        self._nodes[:1] = [own]
        self.built = True

    def __getstate__(self) -> dict[str, Any]:
        state = super().__getstate__()
        if self._graph is not None:
            symbolic_losses = [a.item for a in self._losses if isinstance(a.item, SymbolicTensor)]
            state["_losses"] = [a for a in self._losses if not isinstance(a.item, SymbolicTensor)]
            state["_graph"] = self._graph.flatten(symbolic_losses)
            state["_number_of_losses"] = len(symbolic_losses)
        if own := [*self._captured, *self._reported]:
            raise TypeError(
                f"{self}: a loss or metric reads tensors of this very model, {own[0]!r}, which a copy can't "
                "follow. Add it by model.add_loss(...) instead, or copy the model before compile"
            )
        return {**state, "_loss_program": None, "_recorded": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        flat = state.pop("_graph", None)
        vars(self).update(state, _graph=None)
        if flat is not None:
            inputs, made = unflatten(flat)
            number = len(made) - state.get("_number_of_losses", 0)
            self._connect(inputs, made[:number])
            for loss in made[number:]:
                self.add_loss(loss)

    @property
    def layers(self) -> list[Layer]:
        """The layers, from the inputs on: in Keras's order, which is that of the weights."""
        graph = self._connected()
        return LayerList(graph.layers if graph is not None else Layer._sublayers(self), self)

    @property
    def inputs(self) -> list[SymbolicTensor]:
        """The symbolic inputs."""
        return list(self._known_graph("inputs").inputs)

    @property
    def outputs(self) -> list[SymbolicTensor]:
        """The symbolic outputs; what is assigned must be made of the inputs, and the model be compiled anew."""
        return list(self._known_graph("outputs").outputs)

    @outputs.setter
    def outputs(self, outputs: Any) -> None:
        given = self._checked(outputs, "outputs")
        if list(map(id, given)) != list(map(id, self.outputs)):
            self._end_with(given)
            self._unbind()

    def _end_with(self, outputs: list[SymbolicTensor]) -> None:
        self._connect(self.inputs, outputs)

    def _take_off(self, layer: Layer) -> None:
        graph = self._connected()
        if graph is None:
            return super()._take_off(layer)
        call = node_of(graph.outputs[0])
        before = symbols_in([*call.inputs])
        if len(graph.outputs) > 1 or call.operation is not layer or not before:
            raise ValueError(
                f"{self}: layers.pop() takes off the layer that makes the only output. A part of a model is "
                f"Model(model.inputs, model.layers[i].output). Received: {layer!r} of a model with the outputs "
                f"{self.output_names}"
            )
        self.outputs = before

    @property
    def input(self) -> Any:
        """The symbolic input, or the list of them."""
        return single(self.inputs)

    @property
    def output(self) -> Any:
        """The symbolic output, or the list of them."""
        return single(self.outputs)

    @property
    def input_shape(self) -> Any:
        """The shape of the input with the batch axis, or the list of several."""
        return single([symbol.shape for symbol in self.inputs])

    @property
    def output_shape(self) -> Any:
        """The shape of the output with the batch axis, or the list of several."""
        return single(self._own_shapes or [symbol.shape for symbol in self.outputs])

    @property
    def input_mask(self) -> Any:
        """The mask of the input, or the list of several."""
        return masks_of(self.input)

    @property
    def output_mask(self) -> Any:
        """The mask of the output, or the list of several."""
        return masks_of(self.output)

    @property
    def layer_shapes(self) -> list[Shape | None]:
        """The shape of each layer's output, with the batch axis; None where it isn't known."""
        graph = self._connected()
        if graph is None:
            return [None] * len(self.layers)
        return [single([symbol.shape for symbol in graph.nodes(layer)[0].outputs]) for layer in graph.layers]

    def _layer_sources(self) -> list[list[str]] | None:
        graph = self._connected()
        if graph is None or graph.is_chain():
            return None
        return [graph.sources(layer) for layer in graph.layers]

    # ------------------------------------------------------------------ what training asks for

    @property
    def input_names(self) -> list[str]:
        """The names of the inputs, in order."""
        if self._connected() is None:
            return [f"input_{i + 1}" for i in range(self._number_of_inputs or 1)]
        return [str(symbol.name) for symbol in self.inputs]

    @property
    def output_names(self) -> list[str]:
        """The names of the outputs, in order: those of the layers that make them, each with a number if it recurs."""
        if self._connected() is None:
            return [f"output_{i + 1}" for i in range(len(self._own_shapes) or 1)]
        found: list[str] = []
        for symbol in self.outputs:
            name = name_of(node_of(symbol))
            found.append(name if name not in found else f"{name}_{sum(n.startswith(name) for n in found)}")
        return found

    @property
    def input_dtypes(self) -> list[Any]:
        """The dtype of each input."""
        return super().input_dtypes if self._connected() is None else [symbol.dtype for symbol in self.inputs]

    @property
    def input_tensors(self) -> list[Tensor | None]:
        """For each input the tensor that it always is, or None where it is fed."""
        if self._connected() is None:
            return super().input_tensors
        own = [symbol.entry.operation.input_tensor if symbol.entry else None for symbol in self.inputs]
        return [None if isinstance(tensor, SymbolicTensor) else tensor for tensor in own]

    @property
    def output_shapes(self) -> list[Shape]:
        """The shapes of the outputs with the batch axis."""
        if self._connected() is None:
            return list(self._own_shapes)
        return [symbol.shape for symbol in self.outputs]

    @property
    def output_layers(self) -> list[Layer]:
        """The layer that makes each output; the model itself, where it is an operation or not known."""
        if self._connected() is None:
            return [self] * len(self._own_shapes)
        made_by = [node_of(symbol).operation for symbol in self.outputs]
        return [operation if isinstance(operation, Layer) else self for operation in made_by]

    def _inputs(self, x: Any) -> list[Any]:
        if self._connected() is None and not self.built and isinstance(x, (list, tuple)):
            arrays = [part for part in x if getattr(part, "ndim", 0)]
            self._number_of_inputs = len(arrays) if len(arrays) == len(x) else 1
        return super()._inputs(x)

    # ------------------------------------------------------------------ computation

    def build(self, input_shape: Any) -> None:
        """Make the weights of a model that writes its own ``call``, by running it on small arrays.

        Args:
            input_shape: With the batch axis in front, None where a dimension is free; a list for several inputs.
        """
        if self._connected() is None:
            symbols = map_shapes(lambda shape: SymbolicTensor(shape, self.dtype), input_shape)
            with trial():
                found = symbolic.infer(self.call, (symbols,), {})
            self._own_shapes = [shape for shape, _ in (found if isinstance(found, tuple) else found[:1])]
            self._number_of_inputs = len(as_list(symbols))
        super().build(input_shape)

    def call(self, inputs: Any, mask: Any = None) -> Any:
        """Compute the outputs.

        Args:
            inputs: A Tensor for each input, in a list if there are several.
            mask: Kept for Keras's signature: the inputs carry their masks.

        Returns:
            A Tensor, or a list for several outputs.
        """
        graph = self._connected()
        if graph is None:
            raise TypeError(
                f"{self}: give inputs and outputs, or write call(self, inputs) in a subclass. "
                f"{type(self).__name__} has neither"
            )
        context = current_context()
        if context is None or context.penalties is None:
            return single(graph.program(as_list(inputs)))
        results = iter(self._program_with_losses(graph)(as_list(inputs)))
        outputs = list(itertools.islice(results, len(graph.outputs)))
        context.captured[id(self)] = list(itertools.islice(results, len(self._extras)))
        context.penalties += [loss.sum() if loss.ndim else loss for loss in results]
        return single(outputs)

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Return the output's shape for an input's shape, batch axis and None included; a list of several."""
        graph = self._connected()
        if graph is None:
            return super().compute_output_shape(input_shape)
        shapes = [tuple(input_shape)] if is_shape(input_shape) else [tuple(shape) for shape in input_shape]
        if shapes == [symbol.shape for symbol in graph.inputs]:
            return self.output_shape
        return single(graph.output_shapes(shapes))

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        """Return the masks that the outputs carry, for those that the inputs carry."""
        graph = self._connected()
        if graph is None:
            return None
        masks = as_list(mask) if mask is not None else [None] * len(graph.inputs)
        carries = graph.carries_masks(masks)
        if not any(carries):
            return None
        if not symbols_in(inputs):
            return masks_of(self(inputs, mask=mask))
        return single(
            [
                symbolic.record(_MaskOf(self, index), (inputs,), {}, [(output.shape[:-1], "bool")]) if carried else None
                for index, (output, carried) in enumerate(zip(graph.outputs, carries, strict=True))
            ]
        )

    def _symbolic_outputs(self, inputs: Any, keywords: dict[str, Any]) -> Any:
        graph = self._connected()
        if graph is None:
            return super()._symbolic_outputs(inputs, keywords)
        shapes = self.compute_output_shape(shapes_of(inputs))
        pairs = [
            (shape, output.dtype)
            for shape, output in zip([shapes] if is_shape(shapes) else shapes, graph.outputs, strict=True)
        ]
        return pairs if len(pairs) == 1 else tuple(pairs)

    def _check_inputs(self, shapes: Any) -> None:
        graph = self._connected()
        if graph is None:
            return
        given = [shapes] if is_shape(shapes) else shapes
        names = [symbol.name for symbol in graph.inputs]
        if len(given) != len(names):
            raise ValueError(
                f"{self}: expected {count(len(names), 'input')} {names}. Received: {len(given)}, shapes {given}"
            )
        for symbol, shape in zip(graph.inputs, given, strict=True):
            InputSpec(shape=(None, *symbol.shape[1:])).check(tuple(shape), f"{self}, input {symbol.name!r}")

    # ------------------------------------------------------------------ configuration

    def to_json(self, **keywords: Any) -> str:
        """Return the configuration as JSON text in Keras 2's form, for `model_from_json`.

        Args:
            **keywords: For ``json.dumps``.
        """
        return json.dumps({**saving.describe(self), "keras_version": "2.2.4", "backend": "minikeras"}, **keywords)

    def get_config(self) -> dict[str, Any]:
        """Return the layers' configurations and how they are connected, in Keras 2's form.

        Raises:
            NotImplementedError: For a subclass with a ``call`` of its own.
            ValueError: If an operation stands between the layers: it has no configuration, a Lambda layer has.
        """
        graph = self._connected()
        if graph is None:
            raise NotImplementedError(
                f"{self} is a program, not a graph of layers, and has no configuration: save its weights, or write "
                "get_config and from_config"
            )
        config = {"name": self.name, **graph_config(graph, str(self))}
        return config if self.trainable else {**config, "trainable": False}

    @classmethod
    def from_config(cls, config: Mapping[str, Any], custom_objects: Mapping[str, Any] | None = None) -> Any:
        """Make a model from what `get_config` gave; the weights are new.

        Args:
            config: The configuration.
            custom_objects: Dict from name to class or function of the user's own.

        Raises:
            ValueError: If a class is unknown or a configuration doesn't fit.
        """
        inputs, outputs = graph_from_config(config, custom_objects)
        model = cls(inputs=single(inputs), outputs=single(outputs), name=config.get("name"))
        model.trainable = config.get("trainable", True)
        return model


class _MaskOf:
    """The mask of one output of a model, as an operation."""

    def __init__(self, model: Model, index: int) -> None:
        self.model = model
        self.index = index
        self.name = f"mask of {model.name}"

    def __call__(self, inputs: Any) -> Tensor | None:
        return as_list(self.model(inputs))[self.index].mask

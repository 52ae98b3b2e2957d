"""Sequential: layers one after the other."""

from __future__ import annotations

import warnings
from collections.abc import Container, Mapping, Sequence
from typing import Any

import numpy as np

from .. import layers as layers_module
from ..core.symbolic import Call, SymbolicTensor
from ..core.tensor import Tensor
from ..layers.base import Layer
from ..layers.shapes import InputSpec, Shape, as_shape, is_shape
from .functional import Model
from .graph import Graph
from .network import LayerList


class Sequential(Model):
    """A model whose layers follow one another, each with one input and one output.

    The weights are made as soon as the shape of the input is known: from the ``input_shape`` (or
    ``batch_input_shape``) of the first layer, by `build`, or from the first data.

    A Sequential is a layer: it can be called on Tensors and be part of another model.

    Args:
        layers: The layers, as for `add`.
        name: Name of the model.

    Raises:
        TypeError: If one of the layers is something else.
        ValueError: If a layer can't take the output of the one before it.

    Example:
        >>> from minikeras.layers import Conv2D, Dense, Flatten
        >>> model = Sequential(
        ...     [
        ...         Conv2D(16, 3, activation="relu", input_shape=(28, 28, 1)),
        ...         Flatten(),
        ...         Dense(10, activation="softmax"),
        ...     ]
        ... )
        >>> model.output_shape, model.count_params()
        ((None, 10), 108330)
    """

    def __init__(self, layers: Sequence[Layer] | None = None, name: str | None = None) -> None:
        super().__init__(name=name)
        self._layers: list[Layer] = []
        self._symbols: list[SymbolicTensor] = []  # the input, and the output of each layer, once the shape is known
        if isinstance(layers, Layer):
            raise TypeError(f"{self}: layers must be a list of layers. Received: {layers!r}")
        for layer in layers or ():
            self.add(layer)

    # ------------------------------------------------------------------ layers

    def add(self, layer: Layer | SymbolicTensor) -> None:
        """Append a layer; a model that was compiled must be compiled again.

        Args:
            layer: The layer; at the beginning also what `Input` gives.

        Raises:
            TypeError: If it isn't a layer.
            ValueError: If it can't take the output so far, or its name is taken.
        """
        if isinstance(layer, SymbolicTensor) and layer.entry is not None and not self._layers:
            layer = layer.entry.operation
        self._append(layer, {other.name for other in self._layers})

    def _append(self, layer: Any, names: Container[str]) -> None:
        """Append a layer whose name isn't among those of the others."""
        if not isinstance(layer, Layer):
            hint = ": give an instance, with ()" if isinstance(layer, type) else ""
            raise TypeError(f"{self}: add takes a layer{hint}. Received: {layer!r}")
        if layer.name in names:
            raise ValueError(f"{self}: the name of each layer must be its own. Received: another {layer}")
        if not self._layers:
            shape = layer.batch_input_shape
            if shape is None and isinstance(layer, Model) and layer.built:
                shape = layer.input_shape
            if shape is not None:
                self._begin(layer, shape)
                self._follow([layer])
                self.built = True
            self.dtype = layer.dtype
        elif self.built:
            self._follow([layer])
        self._layers.append(layer)
        self._unbind()

    def pop(self) -> None:
        """Remove the last layer; a model that was compiled must be compiled again.

        Raises:
            TypeError: If there are no layers.
        """
        if not self._layers:
            raise TypeError(f"{self}: there are no layers to pop")
        self._layers.pop()
        self._nodes.clear()
        if self.built:
            self._leave(self._symbols.pop())
        if not self._layers:
            self._symbols.clear()
            self.built = False
            self.batch_input_shape = None
        self._unbind()

    @property
    def layers(self) -> list[Layer]:
        """The layers in order, without an InputLayer at the front."""
        return LayerList(self._layers[1:] if self._starts_with_input() else self._layers, self)

    @property
    def model(self) -> Sequential:
        """The model itself, as in Keras 2, where it once was inside."""
        return self

    # ------------------------------------------------------------------ shapes

    def build(self, input_shape: Any = None) -> None:
        """Make the weights of all layers.

        Args:
            input_shape: With the batch axis in front, None where a dimension is free. It may be left out for a model
                that is built already: nothing happens.

        Raises:
            ValueError: If there are no layers, or one can't take its input.
        """
        if not self._layers:
            raise ValueError(f"{self}: there are no layers to build")
        if input_shape is None and self.built:
            return
        shape = as_shape(input_shape, self, "input_shape")
        for symbol in self._symbols[1:]:
            self._leave(symbol)
        self._begin(self._layers[0], shape)
        self._follow(self._layers)
        self.built = True

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Return the output's shape for an input's shape, batch axis and None included."""
        for layer in self.layers:
            input_shape = layer.compute_output_shape(input_shape)
        return input_shape

    @property
    def layer_shapes(self) -> list[Shape | None]:
        """The shape of each layer's output; None where it isn't known yet."""
        if not self.built:
            return [None] * len(self.layers)
        return [symbol.shape for symbol in self._symbols[1:]]

    @property
    def input_names(self) -> list[str]:
        """The name of the input."""
        self._require_layers()
        return [self._layers[0].name if self._starts_with_input() else f"{self._layers[0].name}_input"]

    @property
    def output_names(self) -> list[str]:
        """The name of the output: that of the last layer."""
        return [self.output_layers[0].name]

    @property
    def output_layers(self) -> list[Layer]:
        """The last layer, in a list."""
        self._require_layers()
        return [self._layers[-1]]

    # ------------------------------------------------------------------ classes

    def predict_proba(self, x: Any, batch_size: int | None = None, verbose: int = 0) -> np.ndarray:
        """Compute the outputs as probabilities of classes; warns if they aren't between 0 and 1.

        Args:
            x: Inputs, as for ``predict``.
            batch_size: As for ``predict``.
            verbose: As for ``predict``.

        Returns:
            Array (samples, classes), or (samples, 1) for the probability of the second of two classes.
        """
        outputs = self.predict(x, batch_size, verbose)
        if outputs.min() < 0.0 or outputs.max() > 1.0:
            warnings.warn(
                f"{self}: predict_proba: the outputs are no probabilities, as the last layer's activation is neither "
                "softmax nor sigmoid",
                stacklevel=2,
            )
        return outputs

    def predict_classes(self, x: Any, batch_size: int | None = None, verbose: int = 0) -> np.ndarray:
        """Compute the class of each sample.

        Args:
            x: Inputs, as for ``predict``.
            batch_size: As for ``predict``.
            verbose: As for ``predict``.

        Returns:
            Class numbers: the largest output's along the last axis, or of a last axis of length 1 (kept) whether it is
            above 0.5.
        """
        outputs = self.predict(x, batch_size, verbose)
        if outputs.shape[-1] > 1:
            return outputs.argmax(axis=-1)
        return (outputs > 0.5).astype(np.int32)

    # ------------------------------------------------------------------ computation and configuration

    def call(self, inputs: Tensor, mask: Tensor | None = None) -> Tensor:
        """Compute the layers one after the other.

        Args:
            inputs: (samples, ...), what the first layer takes.
            mask: Kept for Keras's signature: the input carries its mask.

        Returns:
            The output of the last layer.
        """
        if self.built:
            return super().call(inputs)
        for layer in self.layers:
            inputs = layer(inputs)
        return inputs

    def get_config(self) -> dict[str, Any]:
        """Return the name, the configurations of all layers and the input's shape, for `from_config` and for files."""
        config: dict[str, Any] = {"name": self.name, "layers": [layers_module.serialize(item) for item in self._layers]}
        if self.batch_input_shape is not None:
            config["build_input_shape"] = self.batch_input_shape
        if not self.trainable:
            config["trainable"] = False
        return config

    @classmethod
    def from_config(cls, config: Any, custom_objects: Mapping[str, Any] | None = None) -> Sequential:
        """Make a model from what `get_config` gave; the weights are new.

        Args:
            config: The configuration, or only the list of its layers as early versions of Keras 2 wrote it.
            custom_objects: Dict from name to class or function of the user's own.

        Raises:
            ValueError: If a class is unknown or a configuration doesn't fit.
        """
        settings: dict[str, Any] = {"layers": config} if isinstance(config, (list, tuple)) else dict(config)
        model = cls(name=settings.get("name"))
        names: set[str] = set()
        for described in settings["layers"]:
            layer = layers_module.deserialize(described, custom_objects=custom_objects)
            model._append(layer, names)
            names.add(layer.name)
        if not model.built and settings.get("build_input_shape"):
            model.build(settings["build_input_shape"])
        model.trainable = settings.get("trainable", True)
        return model

    # ------------------------------------------------------------------ helpers

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), "_graph": None, "_symbols": []}

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        if self.built and self._layers:
            self._begin(self._layers[0], self.batch_input_shape or ())
            self._follow(self._layers)

    def _known_graph(self, what: str) -> Graph:
        if not self._symbols:
            raise AttributeError(f"{self} is not built: its {what} and their shapes are not known yet")
        return super()._known_graph(what)

    def _begin(self, layer: Layer, shape: Shape) -> None:
        """Make the symbolic input, unless the first layer is one."""
        if isinstance(layer, layers_module.InputLayer):
            symbol = layer.output
        else:
            dtype = layer.input_dtypes[0] if isinstance(layer, Model) and layer.built else layer.dtype
            symbol = layers_module.Input(batch_shape=shape, dtype=dtype, name=f"{layer.name}_input")
        self._symbols = [symbol]
        self.batch_input_shape = shape

    def _follow(self, layers: Sequence[Layer]) -> None:
        """Call layers one after the other, from the last symbolic output on."""
        symbol = self._symbols[-1]
        made = []
        for layer in layers:
            if not isinstance(layer, layers_module.InputLayer):
                try:
                    symbol = layer(symbol)
                except ValueError as error:
                    raise ValueError(f"{self}: {layer} can't take the shape {symbol.shape}. {error}") from error
                if not isinstance(symbol, SymbolicTensor):
                    raise ValueError(
                        f"{self}: each layer must have one output; for several there is Model. Received: {layer}, "
                        f"which has {len(symbol)}"
                    )
                made.append(symbol)
        self._symbols += made
        own = Call(self, (self._symbols[0],), {})
        own.outputs = (self._symbols[-1],)
        self._nodes[:1] = [own]
        self._graph = self._loss_program = self._recorded = None

    def _leave(self, symbol: SymbolicTensor) -> None:
        """Forget the call that made this output."""
        call = symbol.source
        if call is not None and call in call.operation._nodes:
            call.operation._nodes.remove(call)
        self._graph = self._loss_program = self._recorded = None

    def _connected(self) -> Graph | None:
        if self._graph is None and self._symbols:
            self._graph = Graph(self._symbols[:1], self._symbols[-1:], str(self))
        return self._graph

    def _check_inputs(self, shapes: Any) -> None:
        if self._symbols:
            owner = f"{self}, {self.layers[0]}" if self.layers else str(self)
            if not is_shape(shapes):
                raise ValueError(f"{owner}: expected one input. Received: {len(shapes)}, shapes {shapes}")
            InputSpec(shape=(None, *self._symbols[0].shape[1:])).check(tuple(shapes), owner)

    def _end_with(self, outputs: list[SymbolicTensor]) -> None:
        if len(outputs) != 1 or not any(outputs[0] is symbol for symbol in self._symbols[1:]):
            raise ValueError(
                f"{self}: outputs must be the output of one of its layers; for others there is "
                f"Model(model.inputs, outputs). Received: {outputs!r}"
            )
        while self._symbols[-1] is not outputs[0]:
            self.pop()

    def _take_off(self, layer: Layer) -> None:
        self.pop()

    def _starts_with_input(self) -> bool:
        return bool(self._layers) and isinstance(self._layers[0], layers_module.InputLayer)

    def _require_layers(self) -> None:
        if not self._layers:
            raise ValueError(f"{self}: there are no layers. Add some by model.add(layer)")

"""What the layers of a model cost for one sample: operations, memory of their outputs, and receptive fields."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..core.symbolic import Call, SymbolicTensor, symbols_in
from ..layers import InputLayer, TimeDistributed
from ..layers.base import Layer
from ..layers.measures import says
from ..layers.shapes import Shape, as_list, is_shape, single
from .graph import Graph, name_of
from .receptive import ReceptiveField, Tracker
from .training import Trainer


@dataclass(frozen=True)
class LayerStatistics:
    """What a layer of a model costs for one sample, in all its calls. What isn't known is None.

    Args:
        name: Of the layer, or of an operation that stands between layers.
        class_name: Of the layer; "" for an operation.
        flops: Floating-point operations outside of training, a multiply-add being two; see `Layer.flops`.
        activation_bytes: Memory of its outputs; 0 for an input. For a model inside of the model that of the outputs of
            all its layers.
        receptive_fields: For each input that it depends on, by name, its `ReceptiveField`: the larger one of several
            calls.
    """

    name: str
    class_name: str
    flops: int | None = None
    activation_bytes: int | None = None
    receptive_fields: dict[str, ReceptiveField] | None = None


@dataclass(frozen=True)
class ModelStatistics:
    """What a model costs for one sample.

    Args:
        layers: For each of ``model.layers`` its `LayerStatistics`.
        operations: The same for each operation that stands between the layers.
    """

    layers: tuple[LayerStatistics, ...]
    operations: tuple[LayerStatistics, ...] = ()

    def __getitem__(self, name: str) -> LayerStatistics:
        for item in self.layers:
            if item.name == name:
                return item
        raise KeyError(f"there is no layer {name!r}, only {[item.name for item in self.layers]}")

    @property
    def flops(self) -> int | None:
        """Operations of all layers; None if those of one aren't known."""
        return _total([item.flops for item in self._all()])

    @property
    def activation_bytes(self) -> int | None:
        """Memory of all outputs, each as an array of its own; None if that of one isn't known."""
        return _total([item.activation_bytes for item in self._all()])

    def unknown(self, what: str) -> list[str]:
        """Return the names of the layers and operations of which something isn't known.

        Args:
            what: "flops", "activation_bytes" or "receptive_fields".
        """
        return [item.name for item in self._all() if getattr(item, what) is None]

    def known(self, what: str) -> int:
        """Return the sum over the layers and operations of which it is known.

        Args:
            what: "flops" or "activation_bytes".
        """
        return sum(getattr(item, what) or 0 for item in self._all())

    def _all(self) -> tuple[LayerStatistics, ...]:
        return (*self.layers, *self.operations)


def model_statistics(layers: Sequence[Layer], graph: Graph | None, input_shape: Any = None) -> ModelStatistics:
    """Count what a model costs; see `Network.statistics`.

    Args:
        layers: Those of the model.
        graph: How they are connected; None if nobody knows.
        input_shape: With the batch axis; a list for several inputs; that of the model if None.
    """
    if graph is None:
        return ModelStatistics(tuple(LayerStatistics(layer.name, type(layer).__name__) for layer in layers))
    known = graph.propagate(_input_shapes(graph, input_shape))
    tracker = Tracker(graph, known)
    operations = [call for call in graph.program.calls if not isinstance(call.operation, Layer)]
    return ModelStatistics(
        tuple(
            LayerStatistics(
                layer.name,
                type(layer).__name__,
                _total([_flops(call, known) for call in graph.nodes(layer)]),
                _total([_bytes(call, known) for call in graph.nodes(layer)]),
                tracker.fields([symbol for call in graph.nodes(layer) for symbol in call.outputs]),
            )
            for layer in layers
        ),
        tuple(LayerStatistics(name_of(call), "", None, _bytes(call, known)) for call in operations),
    )


def _input_shapes(graph: Graph, given: Any) -> list[Shape]:
    if given is None:
        return [symbol.shape for symbol in graph.inputs]
    shapes = []
    if isinstance(given, (tuple, list)):
        shapes = [tuple(given)] if is_shape(given) else [tuple(as_list(shape)) for shape in given]
    own = [symbol.shape for symbol in graph.inputs]
    fits = len(shapes) == len(own) and all(
        len(one) == len(other) and all(n in (None, m) for n, m in zip(other[1:], one[1:], strict=True))
        for one, other in zip(shapes, own, strict=True)
    )
    if not fits:
        raise ValueError(f"statistics: input_shape must fit that of the model, {own}. Received: {given!r}")
    return shapes


def _flops(call: Call, known: Mapping[int, SymbolicTensor]) -> int | None:
    layer = call.operation
    if isinstance(layer, InputLayer):
        return 0
    if not says(layer, "flops"):
        return None
    given = [known[id(symbol)].shape for symbol in symbols_in([*call.inputs])]
    made = [known[id(symbol)].shape for symbol in call.outputs]
    found = layer.flops(single([_sized(shape) for shape in given]), single([_sized(s) for s in made]))
    is_free = any(None in shape[1:] for shape in [*given, *made])
    return None if is_free and found else found


def _bytes(call: Call, known: Mapping[int, SymbolicTensor]) -> int | None:
    if isinstance(call.operation, InputLayer):
        return 0
    outputs = [known[id(symbol)] for symbol in call.outputs]
    if any(None in symbol.shape[1:] for symbol in outputs):
        return None
    (shape, *_) = shapes = [known[id(symbol)].shape for symbol in symbols_in([*call.inputs])]
    layer, steps = call.operation, 1
    while isinstance(layer, TimeDistributed):
        steps *= shape[1] or 0
        shape = (None, *shape[2:])
        layer = layer.layer
        shapes = [shape]
    if isinstance(layer, Trainer):
        if layer._connected() is None:  # type: ignore[attr-defined]  # of a Network, as the next
            return None
        inside = layer.statistics(single(shapes)).activation_bytes  # type: ignore[attr-defined]  # of a Network
        return None if inside is None else steps * inside
    return sum(math.prod(n or 0 for n in symbol.shape[1:]) * symbol.dtype.itemsize for symbol in outputs)


def _sized(shape: Shape) -> Shape:
    return tuple(1 if size is None else size for size in shape)


def _total(numbers: Sequence[int | None]) -> int | None:
    known = [number for number in numbers if number is not None]
    return sum(known) if len(known) == len(numbers) else None

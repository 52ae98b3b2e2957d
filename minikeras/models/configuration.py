"""Graphs of layers as configurations in Keras 2's form, and back."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from heapq import heappop, heappush
from typing import Any

from .. import layers as layers_module
from ..core.symbolic import Call, SymbolicTensor, symbols_in
from ..layers import catalog
from ..layers.base import Layer
from .graph import Graph, name_of, node_of
from .network import Network

Place = tuple[str, int, int]


def graph_config(graph: Graph, owner: str) -> dict[str, Any]:
    """The layers with the nodes that lead to them, and which outputs of theirs are the model's.

    Raises:
        ValueError: If an operation stands between the layers, or a call has arguments that JSON can't hold.
    """
    for call in graph.program.calls:
        if not isinstance(call.operation, Layer):
            raise ValueError(
                f"{owner}: the operation {name_of(call)!r} stands between the layers, and only layers have a "
                "configuration. Put it into a Lambda layer, or a layer of your own, to save or copy the model by "
                "its configuration"
            )
    # The node of a model that leads from its own inputs to its outputs counts, as in Keras.
    numbers = {
        id(node): index + isinstance(layer, Network)
        for layer in graph.layers
        for index, node in enumerate(graph.nodes(layer))
    }

    def place(symbol: SymbolicTensor) -> list[Any]:
        node = node_of(symbol)
        return [node.operation.name, numbers[id(node)], symbol.output]

    return {
        "layers": [
            {
                "name": layer.name,
                **layers_module.serialize(layer),
                "inbound_nodes": [
                    [[*place(symbol), _arguments(node, owner)] for symbol in _only_symbols(node, owner)]
                    for node in graph.nodes(layer)
                    if node.inputs
                ],
            }
            for layer in graph.layers
        ],
        "input_layers": [place(symbol) for symbol in graph.inputs],
        "output_layers": [place(symbol) for symbol in graph.outputs],
    }


def graph_from_config(
    config: Mapping[str, Any], custom_objects: Mapping[str, Any] | None = None
) -> tuple[list[SymbolicTensor], list[SymbolicTensor]]:
    """Make the layers of a configuration, call them as it says, and return the inputs and outputs.

    Raises:
        ValueError: If the configuration lacks something, or calls a layer on what nothing makes.
    """
    if missing := [key for key in ("layers", "input_layers", "output_layers") if key not in config]:
        raise ValueError(f"Improper configuration of a Model: {missing[0]!r} is missing. Received: {sorted(config)}")
    found = []
    for item in config["layers"]:
        described = {key: item[key] for key in ("class_name", "config", catalog.NUMBER) if key in item}
        found.append((item, layers_module.deserialize(described, custom_objects=custom_objects)))
    # when all are there, as a layer may have been called in the graph of another one
    made = {item["name"]: _Made(layer) for item, layer in found}
    pending = [(made[item["name"]], list(item["inbound_nodes"])) for item, _ in found]

    _call_all(pending, made)
    inputs, outputs = ([_existing(made, place) for place in config[key]] for key in ("input_layers", "output_layers"))
    return inputs, outputs


class _Made:
    """A layer of the graph that is being made, and its calls there, which come after those in other graphs."""

    def __init__(self, layer: Layer) -> None:
        self.layer = layer
        own = isinstance(layer, (Network, layers_module.InputLayer))  # whose first node is no call
        self._before = max(len(layer._nodes) - own, 0)

    @property
    def calls(self) -> int:
        """How many there are."""
        return len(self.layer._nodes) - self._before

    def outputs(self, index: int) -> Sequence[SymbolicTensor]:
        """What a call gave; that of number 0 is the first node of a model or an input."""
        own = index == 0 and isinstance(self.layer, (Network, layers_module.InputLayer))
        return self.layer._nodes[0 if own else index + self._before].outputs


def _call_all(pending: list[tuple[_Made, list[Any]]], made: Mapping[str, _Made]) -> None:
    """Call the layers for their nodes: one after the other, again and again, each as far as its inputs are there.

    A layer is looked at again when the call that it waits for was made, so any order takes one look for each call.
    """
    waiting: dict[tuple[int, Any], list[int]] = {}
    turns = [(0, number) for number in range(len(pending))]
    while turns:
        turn, number = heappop(turns)
        layer, nodes = pending[number]
        before = layer.calls
        done = 0
        for node in nodes:
            if missing := [place for place in node if _found(made, place) is None]:
                name, index = missing[0][:2]
                waiting.setdefault((id(made[name]), index), []).append(number)
                break
            inputs = [_found(made, place) for place in node]
            arguments = node[0][3] if len(node[0]) > 3 else {}
            layer.layer(inputs[0] if len(inputs) == 1 else inputs, **arguments)
            done += 1
        del nodes[:done]
        for index in range(before, layer.calls):
            for other in waiting.pop((id(layer), index), []):
                heappush(turns, (turn + (other <= number), other))
    if lost := [layer.layer.name for layer, nodes in pending if nodes]:
        raise ValueError(f"Improper configuration of a Model: the inputs of the layers {lost} are made by nothing")


def _found(made: Mapping[str, _Made], place: Any) -> SymbolicTensor | None:
    """What a call gave that has been made; None if it hasn't been."""
    name, index, output = place[:3]
    if name not in made:
        raise ValueError(f"Improper configuration of a Model: there is no layer {name!r}, only {sorted(made)}")
    return made[name].outputs(index)[output] if index < made[name].calls else None


def _existing(made: Mapping[str, _Made], place: Any) -> SymbolicTensor:
    symbol = _found(made, place)
    if symbol is None:
        raise ValueError(f"Improper configuration of a Model: nothing makes {place}")
    return symbol


def _only_symbols(node: Call, owner: str) -> list[SymbolicTensor]:
    """The inputs of a layer's call, if all are symbolic."""
    inputs = node.inputs[0] if isinstance(node.inputs[0], (list, tuple)) else [node.inputs[0]]
    if len(symbols_in(inputs)) != len(inputs):
        raise ValueError(
            f"{owner}: {node.operation} is called on a Tensor that isn't symbolic, which no configuration can hold. "
            "Make it an Input, or a weight of a layer"
        )
    return symbols_in(inputs)


def _arguments(node: Call, owner: str) -> dict[str, Any]:
    """The keyword arguments of a layer's call, if JSON can hold them."""
    try:
        json.dumps(node.static)
    except TypeError:
        raise ValueError(
            f"{owner}: {node.operation} is called with arguments that no configuration can hold. "
            f"Received: {node.static!r:.200}"
        ) from None
    return dict(node.static)

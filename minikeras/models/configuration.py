"""Graphs of layers as configurations in Keras 2's form, and back."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from .. import layers as layers_module
from ..core.symbolic import Call, SymbolicTensor, symbols_in
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
    made: dict[str, Layer] = {}
    pending: list[tuple[Layer, list[Any]]] = []
    for item in config["layers"]:
        layer = layers_module.deserialize(
            {"class_name": item["class_name"], "config": item["config"]}, custom_objects=custom_objects
        )
        made[item["name"]] = layer
        pending.append((layer, list(item["inbound_nodes"])))

    def found(place: Any) -> SymbolicTensor | None:
        name, node, output = place[:3]
        if name not in made:
            raise ValueError(f"Improper configuration of a Model: there is no layer {name!r}, only {sorted(made)}")
        nodes = made[name]._nodes
        return nodes[node].outputs[output] if node < len(nodes) else None

    while pending:
        waiting = [(layer, rest) for layer, nodes in pending if (rest := _called(layer, nodes, found))]
        if sum(len(rest) for _, rest in waiting) == sum(len(nodes) for _, nodes in pending):
            names = [layer.name for layer, _ in waiting]
            raise ValueError(f"Improper configuration of a Model: the inputs of the layers {names} are made by nothing")
        pending = waiting
    return [_existing(found, p) for p in config["input_layers"]], [_existing(found, p) for p in config["output_layers"]]


def _called(layer: Layer, nodes: list[Any], found: Any) -> list[Any]:
    """Call a layer for each node in turn whose inputs are there; return the nodes that are left."""
    for index, node in enumerate(nodes):
        inputs = [found(place) for place in node]
        if any(symbol is None for symbol in inputs):
            return nodes[index:]
        arguments = node[0][3] if len(node[0]) > 3 else {}
        layer(inputs[0] if len(inputs) == 1 else inputs, **arguments)
    return []


def _existing(found: Any, place: Any) -> SymbolicTensor:
    symbol = found(place)
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

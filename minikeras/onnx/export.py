"""A model as an ONNX file."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ..layers.shapes import Shape
from ..saving.atomic import atomic_write
from . import functions, merge, shapes, space  # noqa: F401  # whose converters register themselves
from .models import convert_model
from .values import Value, plain
from .writer import GraphWriter, Node

OLDEST_OPSET = 17
_LARGEST = 2**31 - 2**20  # bytes: protobuf's limit, less room for the nodes


def export_onnx(model: Any, path: str | os.PathLike[str], opset_version: int = OLDEST_OPSET) -> None:
    """Write what a model predicts as an ONNX graph; see `Model.export`.

    Args:
        model: A model, built.
        path: The file.
        opset_version: As for `onnx_model`.

    Raises:
        ImportError, RuntimeError, ValueError: As `onnx_model`.
    """
    content = onnx_model(model, opset_version).SerializeToString()
    with atomic_write(path) as file:
        file.write(content)


def onnx_model(model: Any, opset_version: int = OLDEST_OPSET) -> Any:
    """What a model predicts as an ``onnx.ModelProto``.

    Args:
        model: A model, built.
        opset_version: The version of ONNX's operations, 17 or newer.

    Raises:
        ImportError: If onnx isn't installed.
        RuntimeError: If the model isn't built.
        ValueError: If a layer can't be exported, the version isn't known or the weights take 2 GiB and more.
    """
    onnx = _require_onnx()
    newest = onnx.defs.onnx_opset_version()
    if type(opset_version) is not int or not OLDEST_OPSET <= opset_version <= newest:
        raise ValueError(
            f"{model}: export: opset_version must be an integer from {OLDEST_OPSET} to {newest}, the newest of the "
            f"installed onnx. Received: {opset_version!r}"
        )
    if not model.built:
        raise RuntimeError(f"{model}: export needs a built model. Give the first layer an input_shape, or call build")
    writer = GraphWriter(opset_version)
    inputs, outputs = _graph(writer, model)
    nodes = _needed(writer.nodes, [value.name for value in outputs])
    read = {name for node in nodes for name in node.inputs}
    constants = {name: array for name, array in writer.constants.items() if name in read}
    size = sum(array.nbytes for array in constants.values())
    if size > _LARGEST:
        raise ValueError(f"{model}: export: its weights take {size} bytes, and an ONNX file holds less than 2 GiB")
    graph = onnx.helper.make_graph(
        [_node(onnx, node) for node in nodes],
        model.name,
        [_described(onnx, value) for value in inputs],
        [_described(onnx, value) for value in outputs],
        [onnx.numpy_helper.from_array(array, name) for name, array in constants.items()],
    )
    imports = [onnx.helper.make_opsetid("", opset_version)]
    ir_version = onnx.helper.find_min_ir_version_for(imports)  # the newest is not yet read everywhere
    return onnx.helper.make_model(graph, producer_name="minikeras", opset_imports=imports, ir_version=ir_version)


def _require_onnx() -> Any:
    try:
        import onnx
    except ImportError:
        raise ImportError("export to ONNX needs onnx: pip install 'minikeras[onnx]'") from None
    return onnx


def _graph(writer: GraphWriter, model: Any) -> tuple[list[Value], list[Value]]:
    """Write the whole model; return the inputs that are fed, and the outputs, under the model's names for them."""
    names = [f"{name}_output" if name in model.input_names else name for name in model.output_names]
    for name in [*model.input_names, *names]:
        writer.reserve(name)
    graph = model._connected()
    symbols = [] if graph is None else graph.inputs
    inputs = [Value(str(s.name), s.shape, s.dtype, plain(s.ndim)) for s in symbols]
    outputs = _named(writer, convert_model(writer, model, inputs), names)
    return [x for x, own in zip(inputs, model.input_tensors, strict=True) if own is None], outputs


def _named(writer: GraphWriter, values: Sequence[Value], names: Sequence[str]) -> list[Value]:
    """The outputs, stored as they are seen, under their names."""
    stored = [writer.plain(value) for value in values]
    makers = {node.output: node for node in writer.nodes}
    called: dict[str, str] = {}
    for value, name in zip(stored, names, strict=True):
        if value.name in makers and value.name not in called:
            called[value.name] = makers[value.name].output = name
        else:  # an input, a constant, or what is an output already
            writer.nodes.append(Node("Identity", f"{name}/Identity", [value.name], name))
    for node in writer.nodes:
        node.inputs = [called.get(tensor, tensor) for tensor in node.inputs]
    return [replace(value, name=name, mask=None) for value, name in zip(stored, names, strict=True)]


def _needed(nodes: Sequence[Node], outputs: Sequence[str]) -> list[Node]:
    """The nodes that the outputs depend on, in order."""
    wanted = set(outputs)
    found = []
    for node in reversed(nodes):
        if node.output in wanted:
            wanted.update(node.inputs)
            found.append(node)
    return found[::-1]


def _node(onnx: Any, node: Node) -> Any:
    attributes = {
        name: onnx.helper.np_dtype_to_tensor_dtype(value) if isinstance(value, np.dtype) else value
        for name, value in node.attributes.items()
    }
    return onnx.helper.make_node(node.operation, node.inputs, [node.output], node.name, **attributes)


def _described(onnx: Any, value: Value) -> Any:
    return onnx.helper.make_tensor_value_info(
        value.name, onnx.helper.np_dtype_to_tensor_dtype(value.dtype), _sizes(value.name, value.shape)
    )


def _sizes(name: str, shape: Shape) -> list[int | str]:
    """The sizes; a free one has a name, which for the batch is the same everywhere."""
    return [
        size if size is not None else "batch" if axis == 0 else f"{name}_axis_{axis}" for axis, size in enumerate(shape)
    ]

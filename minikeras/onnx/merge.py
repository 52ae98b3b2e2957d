"""Layers of several inputs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import reduce

from ..layers import Add, Average, Concatenate, Dot, Maximum, Minimum, Multiply, Subtract
from ..layers.merge import ElementwiseMerge
from .converters import converts
from .values import Value, product
from .writer import GraphWriter

_OPERATIONS = {
    Add: "Add",
    Average: "Add",
    Maximum: "Max",
    Minimum: "Min",
    Multiply: "Mul",
    Subtract: "Sub",
}


@converts(*_OPERATIONS, masks=True)
def _elementwise(writer: GraphWriter, layer: ElementwiseMerge, *inputs: Value) -> Value:
    rank = max(x.ndim for x in inputs)
    ready = [writer.unsqueeze(x, range(1, 1 + rank - x.ndim)) if x.ndim < rank else x for x in inputs]
    operation = _OPERATIONS[type(layer)]
    y = reduce(lambda one, other: writer.elementwise(operation, one, other), ready)
    if isinstance(layer, Average):
        y = writer.elementwise("Div", y, writer.scalar(len(inputs), y))
    return replace(y, mask=_all_masks(writer, inputs))


@converts(Concatenate, masks=True)
def _concatenate(writer: GraphWriter, layer: Concatenate, *inputs: Value) -> Value:
    first = inputs[0]
    ready = [writer.arranged(x, first.order) for x in inputs]
    shape = layer.compute_output_shape([x.shape for x in inputs])
    y = writer.node("Concat", ready, shape, first.dtype, first.order, axis=first.place(layer.axis))
    masks = [x.mask for x in inputs if x.mask is not None]
    axis = layer.axis % first.ndim
    if not masks or axis >= masks[0].ndim:
        return replace(y, mask=_all_masks(writer, inputs))
    known = [_everywhere(writer, x, masks[0].ndim) if x.mask is None else x.mask for x in inputs]
    return replace(y, mask=writer.node("Concat", known, shape[: masks[0].ndim], bool, axis=axis))


@converts(Dot, masks=True)
def _dot(writer: GraphWriter, layer: Dot, x: Value, y: Value) -> Value:
    """A product of matrices (free, axis) and (axis, free) for each sample."""
    first, second = layer._axes_of([x.shape, y.shape])
    shape = layer.compute_output_shape([x.shape, y.shape])
    kept = [axis for axis in range(1, x.ndim) if axis != first]
    others = [axis for axis in range(1, y.ndim) if axis != second]
    sources = {0: (x, 0), **dict(enumerate([(x, axis) for axis in kept] + [(y, axis) for axis in others], 1))}
    if layer.normalize:
        x, y = _normalized(writer, x, first), _normalized(writer, y, second)
    rows = writer.arranged(x, (0, *kept, first)).as_stored()
    columns = writer.arranged(y, (0, second, *others)).as_stored()
    length = x.shape[first]
    made = writer.node(
        "MatMul",
        [
            writer.reshape(rows, (rows.shape[0], product(rows.shape[1:-1]), length), {0: (rows, 0), 2: (rows, -1)}),
            writer.reshape(columns, (rows.shape[0], length, product(columns.shape[2:])), {0: (rows, 0), 1: (rows, -1)}),
        ],
        (rows.shape[0], product(rows.shape[1:-1]), product(columns.shape[2:])),
        x.dtype,
    )
    return writer.reshape(made, shape, sources)


def _normalized(writer: GraphWriter, x: Value, axis: int) -> Value:
    length = writer.reduce("ReduceL2", x, [axis], keepdims=True)
    return writer.elementwise("Div", x, writer.elementwise("Max", length, writer.scalar(1e-6, x)))


def _all_masks(writer: GraphWriter, inputs: Sequence[Value]) -> Value | None:
    """Where the masks of all inputs are true; one without counts as true everywhere."""
    masks = [x.mask for x in inputs if x.mask is not None]
    return reduce(lambda one, other: writer.elementwise("And", one, other, dtype=bool), masks) if masks else None


def _everywhere(writer: GraphWriter, x: Value, ndim: int) -> Value:
    """A mask over the first axes that is true everywhere."""
    anything = writer.any(writer.elementwise("Equal", x, x, dtype=bool), range(ndim, x.ndim))
    anything = writer.plain(anything)
    return writer.elementwise("Or", anything, writer.like("Not", anything), dtype=bool)

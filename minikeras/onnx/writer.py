"""GraphWriter: collects the nodes and constants of an ONNX graph, and puts a Transpose where an order is asked for."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from ..layers.shapes import Shape
from .values import Order, Value, plain, stretched

_REDUCTIONS_BY_INPUT = 18  # from this opset on all reductions take their axes as an input; before, only ReduceSum


@dataclass(slots=True)
class Node:
    """A node of the graph.

    Attributes:
        operation: ONNX's name of what it computes.
        name: Its own name.
        inputs: Names of tensors; "" for one that is left out.
        output: Name of its tensor.
        attributes: What the operation takes besides.
    """

    operation: str
    name: str
    inputs: list[str]
    output: str
    attributes: dict[str, Any] = field(default_factory=dict)


class GraphWriter:
    """An ONNX graph in the making.

    Args:
        opset: The version of ONNX's operations.

    Attributes:
        opset: The same.
        nodes: What is computed, each node after those that it needs.
        constants: Arrays by name.
    """

    def __init__(self, opset: int) -> None:
        self.opset = opset
        self.nodes: list[Node] = []
        self.constants: dict[str, np.ndarray] = {}
        self._scope: list[str] = []
        self._taken: Counter[str] = Counter()
        self._known_constants: dict[tuple[Any, ...], Value] = {}
        self._arranged: dict[tuple[str, Order], Value] = {}

    # ------------------------------------------------------------------ names

    @contextmanager
    def scope(self, name: str) -> Iterator[None]:
        """Put a name before those of the nodes that are made inside."""
        self._scope.append(name)
        try:
            yield
        finally:
            self._scope.pop()

    def reserve(self, name: str) -> None:
        """Keep a name for an input or an output of the graph."""
        self._taken[name] += 1

    def _unique(self, name: str) -> str:
        name = "/".join([*self._scope, name])
        self._taken[name] += 1
        return name if self._taken[name] == 1 else self._unique_again(name)

    def _unique_again(self, name: str) -> str:
        while (found := f"{name}_{self._taken[name]}") in self._taken:
            self._taken[name] += 1
        self._taken[found] += 1
        return found

    # ------------------------------------------------------------------ nodes

    def node(
        self,
        operation: str,
        inputs: Sequence[Value | None],
        shape: Shape,
        dtype: Any,
        order: Order | None = None,
        **attributes: Any,
    ) -> Value:
        """Add a node.

        Args:
            operation: ONNX's name of what it computes.
            inputs: Values; None for one that is left out.
            shape: Of the output, as layers see it.
            dtype: Of the output.
            order: How the output's axes are stored; as they are counted, if None.
            **attributes: Those of the operation; what is None is left out.

        Returns:
            The output.
        """
        name = self._unique(operation)
        given = {key: value for key, value in attributes.items() if value is not None}
        self.nodes.append(Node(operation, name, [value.name if value else "" for value in inputs], name, given))
        return Value(name, tuple(shape), np.dtype(dtype), order or plain(len(shape)))

    def constant(self, array: Any, name: str | None = None) -> Value:
        """An array of the graph; equal ones are one, where they have one name or none."""
        array = np.array(array, order="C")
        path = [*self._scope, name] if name else []
        key = (*path, array.dtype.str, array.shape, hashlib.blake2b(array.tobytes()).digest())
        if key not in self._known_constants:
            unique = self._unique(name or "constant")
            self.constants[unique] = array
            self._known_constants[key] = Value(unique, array.shape, array.dtype, plain(array.ndim))
        return self._known_constants[key]

    def scalar(self, number: float, like: Value) -> Value:
        """A number of the dtype of a value."""
        return self.constant(np.array(number, like.dtype))

    def stored_like(self, value: Value, array: np.ndarray, name: str | None = None) -> Value:
        """An array of as many axes as a value, or of all but the batch's, stored in the value's order."""
        array = array.reshape((1,) * (value.ndim - array.ndim) + array.shape)
        found = self.constant(array.transpose(value.order), name)
        return replace(found, shape=array.shape, order=value.order)

    def along(self, value: Value, axis: int, vector: np.ndarray, name: str | None = None) -> Value:
        """A vector along one axis of a value, to be stretched along the others."""
        sizes = [1] * value.ndim
        sizes[axis] = -1
        return self.stored_like(value, vector.reshape(sizes), name)

    # ------------------------------------------------------------------ order, shape and type

    def arranged(self, value: Value, order: Order) -> Value:
        """The value, stored in an order: by a Transpose, unless it is that already."""
        if value.order == order:
            return value
        key = (value.name, order)
        if key not in self._arranged:
            perm = [value.order.index(axis) for axis in order]
            self._arranged[key] = self.node("Transpose", [value], value.shape, value.dtype, order, perm=perm)
        return replace(self._arranged[key], mask=value.mask)

    def plain(self, value: Value) -> Value:
        """The value, stored as its axes are counted."""
        return self.arranged(value, plain(value.ndim))

    def cast(self, value: Value, dtype: Any) -> Value:
        """The value in another dtype."""
        if value.dtype == np.dtype(dtype):
            return value
        cast = self.node("Cast", [value], value.shape, dtype, value.order, to=np.dtype(dtype))
        return replace(cast, mask=value.mask)

    def reshape(self, value: Value, shape: Shape, free: Mapping[int, tuple[Value, int]] | None = None) -> Value:
        """The value in another shape.

        Args:
            value: The value.
            shape: The shape; None where a size is free.
            free: For the axes whose size is free a value and its axis of that size; one needs none.
        """
        unknown = [axis for axis, size in enumerate(shape) if size is None]
        if len(unknown) <= 1:
            target = self.constant(np.array([-1 if size is None else size for size in shape], np.int64))
        else:
            sizes = [
                self.size(*(free or {})[axis])
                if size is None and axis in (free or {})
                else self.constant(np.array([-1 if size is None else size], np.int64))
                for axis, size in enumerate(shape)
            ]
            target = self.node("Concat", sizes, (len(shape),), np.int64, axis=0)
        return self.node("Reshape", [self.plain(value), target], shape, value.dtype)

    def size(self, value: Value, axis: int) -> Value:
        """The size of an axis, as a vector of one number."""
        place = value.place(axis)
        return self.node("Shape", [value], (1,), np.int64, start=place, end=place + 1)

    def unsqueeze(self, value: Value, axes: Sequence[int]) -> Value:
        """The value with axes of size 1 at these places of the result."""
        value = self.plain(value)
        sizes = iter(value.shape)
        shape = tuple(1 if axis in axes else next(sizes) for axis in range(value.ndim + len(axes)))
        return self.node("Unsqueeze", [value, self.constant(np.array(axes, np.int64))], shape, value.dtype)

    # ------------------------------------------------------------------ arithmetic

    def like(self, operation: str, value: Value, **attributes: Any) -> Value:
        """A node of one input that keeps its shape, dtype and order."""
        return self.node(operation, [value], value.shape, value.dtype, value.order, **attributes)

    def elementwise(self, operation: str, *values: Value, dtype: Any = None) -> Value:
        """A node of values of one number of axes, or of none: stretched to one shape, in the order of the first."""
        first = next((value for value in values if value.ndim), values[0])
        ready = [self.arranged(value, first.order) if value.ndim else value for value in values]
        shape = stretched([value.shape for value in ready if value.ndim])
        return self.node(operation, ready, shape, dtype or first.dtype, first.order)

    def reduce(self, operation: str, value: Value, axes: Sequence[int], keepdims: bool = False) -> Value:
        """A node that reduces axes of the shape."""
        axes = [axis % value.ndim for axis in axes]
        places = sorted(value.place(axis) for axis in axes)
        if keepdims:
            shape: Shape = tuple(1 if axis in axes else size for axis, size in enumerate(value.shape))
            order = value.order
        else:
            kept = [axis for axis in range(value.ndim) if axis not in axes]
            shape = tuple(value.shape[axis] for axis in kept)
            order = tuple(kept.index(axis) for axis in value.order if axis in kept)
        if operation == "ReduceSum" or self.opset >= _REDUCTIONS_BY_INPUT:
            inputs = [value, self.constant(np.array(places, np.int64))]
            return self.node(operation, inputs, shape, value.dtype, order, keepdims=int(keepdims))
        return self.node(operation, [value], shape, value.dtype, order, axes=places, keepdims=int(keepdims))

    def any(self, value: Value, axes: Sequence[int], keepdims: bool = False) -> Value:
        """Whether any boolean along axes of the shape is true."""
        found = self.reduce("ReduceMax", self.cast(value, np.float32), axes, keepdims)
        return self.cast(found, np.bool_)

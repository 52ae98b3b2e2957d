"""Operations of ``ops`` and of the backend that stand between layers, as far as ONNX has them under another name."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..core.primitive import Primitive
from ..core.symbolic import Call
from .values import Value, plain
from .writer import GraphWriter

_OF_ONE = {
    "absolute": "Abs",
    "ceil": "Ceil",
    "cos": "Cos",
    "erf": "Erf",
    "exp": "Exp",
    "floor": "Floor",
    "log": "Log",
    "negative": "Neg",
    "reciprocal": "Reciprocal",
    "relu": "Relu",
    "sigmoid": "Sigmoid",
    "sign": "Sign",
    "sin": "Sin",
    "softplus": "Softplus",
    "softsign": "Softsign",
    "sqrt": "Sqrt",
    "tanh": "Tanh",
}
_OF_SEVERAL = {
    "add": "Add",
    "divide": "Div",
    "maximum": "Max",
    "minimum": "Min",
    "multiply": "Mul",
    "power": "Pow",
    "subtract": "Sub",
}
_REDUCTIONS = {"max": "ReduceMax", "mean": "ReduceMean", "min": "ReduceMin", "sum": "ReduceSum"}


def convert_operation(writer: GraphWriter, call: Call, arguments: Sequence[Any]) -> Value:
    """Add the node of an operation.

    Args:
        writer: The graph.
        call: The call that was recorded.
        arguments: Values in the place of its tensors.

    Raises:
        ValueError: If ONNX has none for it, or for these arguments.
    """
    name = getattr(call.operation, "__name__", type(call.operation).__name__)
    convert = _CONVERTERS.get(name) if isinstance(call.operation, Primitive) else None
    if convert is None:
        raise ValueError(
            f"the operation {name!r}, which stands between layers, can't be exported to ONNX. Layers of "
            f"minikeras.layers can, and of minikeras.ops {', '.join(sorted(_CONVERTERS))}"
        )
    return convert(writer, name, *arguments, **call.static)


def _of_one(writer: GraphWriter, name: str, x: Value) -> Value:
    return writer.like(_OF_ONE[name], x)


def _of_several(writer: GraphWriter, name: str, *items: Any) -> Value:
    like = next(item for item in items if isinstance(item, Value))
    values = [item if isinstance(item, Value) else writer.constant(np.asarray(item, like.dtype)) for item in items]
    rank = max(value.ndim for value in values)
    # NumPy puts axes of size 1 in front, also before the batch
    ready = [writer.unsqueeze(value, range(rank - value.ndim)) if 0 < value.ndim < rank else value for value in values]
    return writer.elementwise(_OF_SEVERAL[name], *ready)


def _square(writer: GraphWriter, name: str, x: Value) -> Value:
    return writer.elementwise("Mul", x, x)


def _identity(writer: GraphWriter, name: str, x: Value) -> Value:
    return x


def _cast(writer: GraphWriter, name: str, x: Value, dtype: Any) -> Value:
    return writer.cast(x, dtype)


def _softmax(writer: GraphWriter, name: str, x: Value, axis: int = -1) -> Value:
    return writer.like("Softmax", x, axis=x.place(axis))


def _reduction(writer: GraphWriter, name: str, x: Value, axis: Any = None, keepdims: bool = False) -> Value:
    axes = range(x.ndim) if axis is None else axis if isinstance(axis, (tuple, list)) else [axis]
    return writer.reduce(_REDUCTIONS[name], x, list(axes), keepdims)


def _transpose(writer: GraphWriter, name: str, x: Value, axes: Sequence[int] | None = None) -> Value:
    order = tuple(reversed(range(x.ndim))) if axes is None else tuple(axis % x.ndim for axis in axes)
    return writer.arranged(x, order).as_stored()


def _concatenate(writer: GraphWriter, name: str, *values: Value, axis: int = -1) -> Value:
    ready = [writer.plain(value) for value in values]
    axis %= ready[0].ndim
    sizes = [value.shape[axis] for value in ready]
    joined = None if None in sizes else sum(size for size in sizes if size is not None)
    shape = (*ready[0].shape[:axis], joined, *ready[0].shape[axis + 1 :])
    return writer.node("Concat", ready, shape, ready[0].dtype, axis=axis)


def _matmul(writer: GraphWriter, name: str, x: Value, y: Value) -> Value:
    shape = (*x.shape[:-1], y.shape[-1])
    return writer.node("MatMul", [writer.plain(x), writer.plain(y)], shape, x.dtype, plain(len(shape)))


_CONVERTERS: dict[str, Callable[..., Value]] = {
    **dict.fromkeys(_OF_ONE, _of_one),
    **dict.fromkeys(_OF_SEVERAL, _of_several),
    **dict.fromkeys(_REDUCTIONS, _reduction),
    "cast": _cast,
    "concatenate": _concatenate,
    "identity": _identity,
    "matmul": _matmul,
    "softmax": _softmax,
    "square": _square,
    "stop_gradient": _identity,
    "transpose": _transpose,
}

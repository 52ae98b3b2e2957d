"""NumPy manners: ``np.exp(t)``, ``array * t``, ``np.concatenate([a, t])`` give Tensors with gradients."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..core.tensor import Tensor
from . import elementwise, linalg, reduce, shape

_UFUNCS: dict[Any, Callable[..., Any]] = {
    np.add: elementwise.add, np.subtract: elementwise.subtract, np.multiply: elementwise.multiply,
    np.true_divide: elementwise.divide, np.floor_divide: elementwise.floor_divide,
    np.remainder: elementwise.remainder, np.power: elementwise.power, np.float_power: elementwise.power,
    np.negative: elementwise.negative, np.positive: elementwise.identity, np.absolute: elementwise.absolute,
    np.fabs: elementwise.absolute, np.sign: elementwise.sign, np.square: elementwise.square, np.sqrt: elementwise.sqrt,
    np.reciprocal: elementwise.reciprocal, np.exp: elementwise.exp, np.expm1: elementwise.expm1,
    np.log: elementwise.log, np.log1p: elementwise.log1p, np.sin: elementwise.sin, np.cos: elementwise.cos,
    np.tan: elementwise.tan, np.arcsin: elementwise.arcsin, np.arccos: elementwise.arccos,
    np.arctan: elementwise.arctan, np.sinh: elementwise.sinh, np.cosh: elementwise.cosh, np.tanh: elementwise.tanh,
    np.maximum: elementwise.maximum, np.minimum: elementwise.minimum, np.floor: elementwise.floor,
    np.ceil: elementwise.ceil, np.rint: elementwise.round, np.isnan: elementwise.isnan, np.isinf: elementwise.isinf,
    np.isfinite: elementwise.isfinite, np.equal: elementwise.equal, np.not_equal: elementwise.not_equal,
    np.greater: elementwise.greater, np.greater_equal: elementwise.greater_equal, np.less: elementwise.less,
    np.less_equal: elementwise.less_equal, np.logical_not: elementwise.logical_not,
    np.logical_and: elementwise.logical_and, np.logical_or: elementwise.logical_or, np.matmul: linalg.matmul,
}  # fmt: skip

_REDUCTIONS: dict[Any, Callable[..., Any]] = {
    np.add: reduce.sum, np.multiply: reduce.prod, np.maximum: reduce.max, np.minimum: reduce.min,
}  # fmt: skip

_FUNCTIONS: dict[Any, Callable[..., Any]] = {
    np.sum: reduce.sum, np.mean: reduce.mean, np.prod: reduce.prod, np.max: reduce.max, np.min: reduce.min,
    np.amax: reduce.max, np.amin: reduce.min, np.var: reduce.var, np.std: reduce.std, np.any: reduce.any,
    np.all: reduce.all, np.argmax: reduce.argmax, np.argmin: reduce.argmin,
    np.cumsum: lambda x, axis=None: _along(reduce.cumsum, x, axis),
    np.cumprod: lambda x, axis=None: _along(reduce.cumprod, x, axis),
    np.linalg.norm: lambda x, *, axis=None, keepdims=False: reduce.norm(x, axis=axis, keepdims=keepdims),
    np.reshape: shape.reshape, np.ravel: shape.flatten, np.transpose: shape.transpose, np.moveaxis: shape.moveaxis,
    np.swapaxes: shape.swapaxes, np.expand_dims: shape.expand_dims, np.squeeze: shape.squeeze,
    np.broadcast_to: shape.broadcast_to, np.flip: shape.flip,
    np.concatenate: lambda arrays, axis=0: shape.concatenate(arrays, axis),
    np.stack: shape.stack, np.split: shape.split, np.tile: shape.tile,
    np.repeat: lambda x, repeats, axis=None: _along(shape.repeat, x, axis, repeats),
    np.take: lambda x, indices, axis=None: _along(shape.take, x, axis, indices),
    np.where: elementwise.where, np.clip: elementwise.clip, np.round: elementwise.round,
    np.zeros_like: lambda x, dtype=None: Tensor(np.zeros(x.shape, dtype or x.dtype)),
    np.ones_like: lambda x, dtype=None: Tensor(np.ones(x.shape, dtype or x.dtype)),
    np.dot: linalg.dot, np.tensordot: linalg.tensordot, np.einsum: linalg.einsum,
    np.shape: lambda x: x.shape, np.ndim: lambda x: x.ndim, np.size: lambda x: x.size,
}  # fmt: skip


def array_ufunc(ufunc: Any, method: str, inputs: tuple[Any, ...], keywords: dict[str, Any]) -> Any:
    """What NumPy calls for a ufunc with a Tensor among its operands."""
    if method == "__call__" and ufunc in _UFUNCS and not keywords:
        return _UFUNCS[ufunc](*inputs)
    if method == "reduce" and ufunc in _REDUCTIONS and set(keywords) <= {"axis", "keepdims"}:
        return _REDUCTIONS[ufunc](*inputs, **{"axis": 0, **keywords})
    if "out" in keywords:
        raise TypeError(
            f"np.{ufunc.__name__}: a result can't be written into a given array (out=, or array += tensor), as its "
            "gradient would be lost; write array = array + tensor, or use .numpy()"
        )
    what = ufunc.__name__ if method == "__call__" else f"{ufunc.__name__}.{method}"
    raise TypeError(_no_gradient(what, keywords))


def array_function(function: Any, args: tuple[Any, ...], keywords: dict[str, Any]) -> Any:
    """What NumPy calls for one of its other functions with a Tensor among its arguments."""
    known = _FUNCTIONS.get(function)
    if known is None:
        raise TypeError(_no_gradient(function.__name__, {}))
    return known(*args, **keywords)


def _along(operation: Callable[..., Tensor], x: Any, axis: int | None, *options: Any) -> Tensor:
    """``operation`` along ``axis``, or over all elements in a row: what None means to these functions of NumPy."""
    return operation(shape.flatten(x), *options, axis=0) if axis is None else operation(x, *options, axis=axis)


def _no_gradient(name: str, keywords: dict[str, Any]) -> str:
    options = f" with {', '.join(keywords)}" if keywords else ""
    return f"np.{name}{options} is not defined for Tensors: use minikeras.ops, or leave the tape by .numpy()"

"""How many floating-point operations a product or a convolution makes, by the shapes it is called with.

A multiply-add is two operations, and what a convolution reads of its padding counts, as in `Layer.flops`. Bias and
activation aren't counted here: they are little beside the products, whose rate is to be compared with the machine's.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from .. import ops
from ..core.primitive import Primitive
from ..ops import linalg
from ..ops.conv import conv_gradients

Shape = tuple[int, ...]


def operations_of(operation: Primitive, inputs: tuple[Any, ...], static: dict[str, Any], output: Shape) -> int | None:
    """Return the number of floating-point operations of one call; None for what isn't a product.

    Args:
        operation: What is called.
        inputs, static: With these, Tensors or arrays.
        output: The shape of the result.
    """
    count = _COUNTS.get(operation)
    if count is None:
        return None
    bound, options = operation._bind(inputs, static)
    return count([getattr(value, "shape", None) or np.shape(value) for value in bound], output, options)


def _conv(shapes: list[Shape], output: Shape, static: Mapping[str, Any]) -> int:
    return 2 * math.prod(output) * math.prod(shapes[1][:-1])  # of the kernel (*window, C / groups, F)


def _conv_input_grad(shapes: list[Shape], output: Shape, static: Mapping[str, Any]) -> int:
    return 2 * math.prod(shapes[0]) * math.prod(shapes[1][:-1])


def _conv_kernel_grad(shapes: list[Shape], output: Shape, static: Mapping[str, Any]) -> int:
    return 2 * math.prod(shapes[1]) * math.prod(output[:-1])


def _conv_gradients(shapes: list[Shape], output: Shape, static: Mapping[str, Any]) -> int:
    delta, x, w, *_ = shapes
    inputs = x[-1] // static.get("groups", 1) if x else w[-2]
    return 2 * math.prod(delta) * math.prod(static["window"]) * inputs * sum(static["wanted"][:2])


def _depthwise(shapes: list[Shape], output: Shape, static: Mapping[str, Any]) -> int:
    return 2 * math.prod(output) * math.prod(shapes[1][:-2])  # of the kernel (*window, C, M)


def _depthwise_input_grad(shapes: list[Shape], output: Shape, static: Mapping[str, Any]) -> int:
    return 2 * math.prod(shapes[0]) * math.prod(shapes[1][:-2])


def _depthwise_kernel_grad(shapes: list[Shape], output: Shape, static: Mapping[str, Any]) -> int:
    return 2 * math.prod(shapes[1]) * math.prod(output[:-2])


def _matmul(shapes: list[Shape], output: Shape, static: Mapping[str, Any]) -> int:
    return 2 * math.prod(output) * shapes[0][-1]


def _einsum(shapes: list[Shape], output: Shape, static: Mapping[str, Any]) -> int | None:
    terms = static["spec"].partition("->")[0].split(",")
    if len(terms) != 2:
        return None
    sizes: dict[str, int] = {}
    for term, shape in zip(terms, shapes, strict=True):
        sizes.update({letter: max(n, sizes.get(letter, 1)) for letter, n in zip(term, shape, strict=True)})
    return 2 * math.prod(sizes.values())


_COUNTS: dict[Primitive, Callable[[list[Shape], Shape, Mapping[str, Any]], int | None]] = {
    ops.conv: _conv,
    ops.conv_input_grad: _conv_input_grad,
    ops.conv_kernel_grad: _conv_kernel_grad,
    conv_gradients: _conv_gradients,
    ops.depthwise_conv: _depthwise,
    ops.depthwise_input_grad: _depthwise_input_grad,
    ops.depthwise_kernel_grad: _depthwise_kernel_grad,
    linalg.dense: _matmul,
    linalg._matmul: _matmul,
    linalg._einsum: _einsum,
}

"""Derivatives of functions: ``grad``, ``value_and_grad``, ``vjp``, ``jvp``, ``hvp``, ``jacobian``, ``hessian``.

The functions take Tensors or arrays and return Tensors, and nest: ``grad(grad(f))`` is the second derivative. Inside
another transform, or of Tensors that already require a gradient, results stay on the tape.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from . import ops
from .core import tape
from .core.tensor import Tensor

Function = Callable[..., Any]


class _Nesting(threading.local):
    depth = 0  # how many transforms are running their function in this thread


_nesting = _Nesting()


def grad(f: Function, argnums: int | Sequence[int] = 0, create_graph: bool | None = None) -> Function:
    """The gradient of a scalar function.

    Args:
        f: takes Tensors, returns a Tensor with one element.
        argnums: which positional argument to differentiate, or several.
        create_graph: record the gradient's own computation. None: inside another transform, or if an argument already
            requires a gradient. Say True to differentiate through Parameters that ``f`` uses, as in a gradient penalty.

    Returns:
        A function of the same arguments that gives the gradient, of the argument's shape; a tuple for several.
    """

    def gradient(*args: Any, **keywords: Any) -> Any:
        return value_and_grad(f, argnums, create_graph)(*args, **keywords)[1]

    return gradient


def value_and_grad(f: Function, argnums: int | Sequence[int] = 0, create_graph: bool | None = None) -> Function:
    """A scalar function and its gradient.

    Args:
        f: takes Tensors, returns a Tensor with one element.
        argnums: which positional argument to differentiate, or several.
        create_graph: record the gradient's own computation, see :func:`grad`.

    Returns:
        A function of the same arguments that gives ``(value, gradient)``; the gradient is a tuple for several.
    """

    def both(*args: Any, **keywords: Any) -> tuple[Tensor, Any]:
        positions = [argnums] if isinstance(argnums, int) else list(argnums)
        for i in positions:
            if not -len(args) <= i < len(args):
                raise TypeError(f"grad: argnums {i} is not among the {len(args)} positional arguments")
        arguments, chosen, outer = _enter(args, positions)
        recording = outer if create_graph is None else create_graph
        value = _scalar("grad", f, arguments, keywords)
        found = _gradients([value], chosen, None, recording)
        return (value if recording else value.detach()), (found[0] if isinstance(argnums, int) else tuple(found))

    return both


def vjp(f: Function, *inputs: Any) -> tuple[Any, Callable[..., tuple[Tensor, ...]]]:
    """Vector-Jacobian products.

    Returns:
        ``(f(*inputs), pull_back)``; ``pull_back(cotangent)``, with one cotangent per output, gives a tuple with one
        gradient per input and can be called repeatedly.
    """
    arguments, chosen, outer = _enter(inputs, range(len(inputs)))
    outputs, results = _run("vjp", f, arguments)

    def pull_back(*cotangents: Any) -> tuple[Tensor, ...]:
        if len(cotangents) != len(results):
            raise TypeError(f"vjp: expected one cotangent per output, {len(results)}. Received: {len(cotangents)}")
        live = outer or any(isinstance(c, Tensor) and c.requires_grad for c in cotangents)
        return tuple(_gradients(results, chosen, list(cotangents), live, retain_graph=True))

    return (outputs if outer else _detached(outputs)), pull_back


def jvp(f: Function, primals: Sequence[Any], tangents: Sequence[Any]) -> tuple[Any, Any]:
    """Jacobian-vector product, by differentiating the vector-Jacobian product in its vector.

    Args:
        f: takes Tensors, returns a Tensor or several.
        primals: the arguments.
        tangents: one direction per argument, of its shape.

    Returns:
        ``(f(*primals), derivative of f along tangents)``.
    """
    arguments, chosen, outer = _enter(primals, range(len(primals)))
    outputs, results = _run("jvp", f, arguments)
    if len(tangents) != len(chosen):
        raise ValueError(f"jvp: expected one tangent per primal, {len(chosen)}. Received: {len(tangents)}")
    dummies = [Tensor(np.zeros(r.shape, r.dtype), requires_grad=True) for r in results]
    products = _gradients(results, chosen, dummies, True)
    linear = [(p, t) for p, t in zip(products, tangents, strict=True) if p.requires_grad]
    directions = [p.as_cotangent(t) for p, t in linear]
    found = (
        tape.gradients([p for p, _ in linear], dummies, directions, create_graph=outer)
        if linear
        else [None] * len(dummies)
    )
    moved = [_zeros(d) if t is None else t for d, t in zip(dummies, found, strict=True)]
    tangent = type(outputs)(moved) if isinstance(outputs, (list, tuple)) else moved[0]
    return (outputs if outer else _detached(outputs)), tangent


def hvp(f: Function, x: Any, v: Any) -> Tensor:
    """Hessian-vector product of a scalar function, without the Hessian.

    Args:
        f: takes a Tensor, returns a Tensor with one element.
        x: where to differentiate, a Tensor or an array.
        v: the vector, of the shape of ``x``.

    Returns:
        Tensor of the shape of ``x``.
    """
    (argument,), chosen, outer = _enter((x,), (0,))
    value = _scalar("hvp", f, [argument], {})
    (first,) = _gradients([value], chosen, None, True)
    if not first.requires_grad:
        return _zeros(argument)
    return _gradients([first], chosen, [first.as_cotangent(v)], outer)[0]


def jacobian(f: Function) -> Function:
    """The Jacobian of a function of one Tensor.

    Args:
        f: takes a Tensor, returns a Tensor.

    Returns:
        A function of the same argument that gives a Tensor (*output shape, *input shape).
    """

    def matrix(x: Any) -> Tensor:
        (argument,), chosen, outer = _enter((x,), (0,))
        output, _ = _run("jacobian", f, [argument])
        if not isinstance(output, Tensor):
            raise TypeError(f"jacobian: the function must return one Tensor. Received: {type(output).__name__}")
        basis = np.eye(output.size, dtype=output.dtype).reshape(output.size, *output.shape)
        rows = [_gradients([output], chosen, [Tensor(e)], outer, retain_graph=True)[0] for e in basis]
        shape = (*output.shape, *argument.shape)
        return ops.reshape(ops.stack(rows), shape) if rows else Tensor(np.zeros(shape, argument.dtype))

    return matrix


def hessian(f: Function) -> Function:
    """The Hessian of a scalar function of one Tensor.

    Args:
        f: takes a Tensor, returns a Tensor with one element.

    Returns:
        A function of the same argument that gives a Tensor (*shape, *shape).
    """
    return jacobian(grad(f))


def _enter(args: Sequence[Any], positions: Sequence[int]) -> tuple[list[Any], list[Tensor], bool]:
    """Arguments as fresh places on the tape; and whether an outer differentiation may go through the result.

    It may inside another transform, also where the function only closes over the other's variable.
    """
    arguments = list(args)
    outer = _nesting.depth > 0 and tape.grad_enabled()
    for i in positions:
        value = args[i] if isinstance(args[i], Tensor) else Tensor(args[i], requires_grad=True)
        if isinstance(args[i], Tensor) and value.requires_grad and tape.grad_enabled():
            outer = True
            arguments[i] = ops.identity(value)
        else:
            arguments[i] = Tensor(value, requires_grad=True)
    return arguments, [arguments[i] for i in positions], outer


def _run(transform: str, f: Function, arguments: list[Any]) -> tuple[Any, list[Tensor]]:
    """What ``f`` returns, and that as a list of Tensors."""
    outputs = _call(f, arguments, {})
    results = list(outputs) if isinstance(outputs, (list, tuple)) else [outputs]
    for result in results:
        if not isinstance(result, Tensor):
            raise TypeError(f"{transform}: the function must return Tensors. Received: {type(result).__name__}")
    return outputs, results


def _call(f: Function, arguments: list[Any], keywords: dict[str, Any]) -> Any:
    """``f`` on the tape; transforms in it know that they are inside another one."""
    _nesting.depth += 1
    try:
        with tape.enable_grad():
            return f(*arguments, **keywords)
    finally:
        _nesting.depth -= 1


def _scalar(transform: str, f: Function, arguments: list[Any], keywords: dict[str, Any]) -> Tensor:
    value = _call(f, arguments, keywords)
    if not isinstance(value, Tensor) or value.size != 1:
        what = f"shape {value.shape}" if isinstance(value, Tensor) else type(value).__name__
        raise ValueError(f"{transform}: the function must return a Tensor with one element. Received: {what}")
    return value


def _detached(outputs: Any) -> Any:
    if isinstance(outputs, Tensor):
        return outputs.detach()
    return type(outputs)(output.detach() for output in outputs)


def _gradients(
    outputs: list[Tensor], inputs: list[Tensor], cotangents: Any, create_graph: bool, retain_graph: bool | None = None
) -> list[Tensor]:
    """Gradients with zeros where an output does not depend on an input."""
    pairs = [
        (output, cotangent)
        for output, cotangent in zip(outputs, cotangents or [None] * len(outputs), strict=True)
        if output.requires_grad
    ]
    if not pairs:
        return [_zeros(x) for x in inputs]
    found = tape.gradients([o for o, _ in pairs], inputs, [c for _, c in pairs], create_graph, retain_graph)
    return [_zeros(x) if value is None else value for x, value in zip(inputs, found, strict=True)]


def _zeros(x: Tensor) -> Tensor:
    return Tensor(np.zeros(x.shape, x.dtype))

"""Variables and other tensors: making them, their values, shapes and types, and their updates."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from .. import ops
from ..core import config, symbolic
from ..core.symbolic import SymbolicTensor
from ..core.tensor import Parameter, Tensor, as_array
from ..layers.base import Layer, in_call
from ..layers.naming import scoped
from .randomness import random_normal, random_uniform
from .recording import as_ints, as_tensor, recorded

# ---------------------------------------------------------------------- making


class Update(NamedTuple):
    """A new value for a variable that is yet to be assigned: what `function` and ``Layer.add_update`` take."""

    variable: Tensor
    value: Any


def variable(
    value: Any, dtype: Any = None, name: str | None = None, constraint: Callable[..., Any] | None = None
) -> Any:
    """Make a variable: a Tensor that can be assigned to, and that gradients can be taken with respect to.

    Args:
        value: Initial value, copied: numbers, an array or a Tensor.
        dtype: Its type; `floatx` if None.
        name: Shown in messages, behind that of the `name_scope`.
        constraint: Applied by an optimizer after each update.

    Returns:
        Parameter of the value's shape.
    """
    array = np.array(as_array(value), dtype=dtype or config.floatx())
    name = None if name is None else scoped(name)
    return Parameter(array, name=name, trainable=array.dtype.kind == "f", constraint=constraint)


def constant(value: Any, dtype: Any = None, shape: Sequence[int] | None = None, name: str | None = None) -> Tensor:
    """Make a Tensor that no gradient flows to.

    Args:
        value: Numbers or an array, copied.
        dtype: Its type; `floatx` if None.
        shape: Shape of the result; its last elements repeat the last value where there are fewer values.
        name: Kept for Keras's signature.

    Raises:
        ValueError: If there are more values than the shape has elements.
    """
    array = np.array(as_array(value), dtype=dtype or config.floatx())
    if shape is None:
        return Tensor(array)
    shape = as_ints("constant", "shape", shape)
    missing = math.prod(shape) - array.size
    if missing < 0 or not array.size:
        raise ValueError(f"constant: shape {shape} has no room for {array.size} values. Received: {value!r:.80}")
    return Tensor(np.pad(array.ravel(), (0, missing), mode="edge").reshape(shape))


def placeholder(
    shape: Sequence[int | None] | None = None,
    ndim: int | None = None,
    dtype: Any = None,
    sparse: bool = False,
    name: str | None = None,
) -> SymbolicTensor:
    """Make a symbolic tensor: operations on it are recorded, and `function` computes them.

    Args:
        shape: Its shape; None where a dimension is free.
        ndim: Number of axes, all of them free, where the shape isn't given.
        dtype: Its type; `floatx` if None.
        sparse: Kept for Keras's signature; only False.
        name: Shown in messages.

    Raises:
        ValueError: Without a shape and a number of axes; for a sparse one.
    """
    if sparse:
        raise ValueError("placeholder: there are no sparse tensors; leave sparse out and feed a dense array")
    if shape is None:
        if ndim is None:
            raise ValueError("placeholder: shape or ndim must be given. Received: neither")
        shape = (None,) * ndim
    return SymbolicTensor(shape, dtype, None if name is None else scoped(name))


@recorded
def zeros(shape: Any, dtype: Any = None, name: str | None = None) -> Any:
    """Make a variable of zeros.

    Args:
        shape: Tuple of integers.
        dtype: `floatx` if None.
        name: Shown in messages.
    """
    return variable(np.zeros(as_ints("zeros", "shape", shape)), dtype, name)


@recorded
def ones(shape: Any, dtype: Any = None, name: str | None = None) -> Any:
    """Make a variable of ones.

    Args:
        shape: Tuple of integers.
        dtype: `floatx` if None.
        name: Shown in messages.
    """
    return variable(np.ones(as_ints("ones", "shape", shape)), dtype, name)


def eye(size: int, dtype: Any = None, name: str | None = None) -> Any:
    """Make a variable with the identity matrix.

    Args:
        size: Number of rows and of columns.
        dtype: `floatx` if None.
        name: Shown in messages.

    Returns:
        Parameter (size, size).
    """
    return variable(np.eye(size), dtype, name)


@recorded
def zeros_like(x: Any, dtype: Any = None, name: str | None = None) -> Tensor:
    """Zeros of the shape of ``x``.

    Args:
        x: Any shape.
        dtype: That of ``x`` if None.
        name: Kept for Keras's signature.
    """
    x = as_tensor(x)
    return Tensor(np.zeros(x.shape, dtype or x.dtype))


@recorded
def ones_like(x: Any, dtype: Any = None, name: str | None = None) -> Tensor:
    """Ones of the shape of ``x``.

    Args:
        x: Any shape.
        dtype: That of ``x`` if None.
        name: Kept for Keras's signature.
    """
    x = as_tensor(x)
    return Tensor(np.ones(x.shape, dtype or x.dtype))


def random_uniform_variable(
    shape: Any, low: float, high: float, dtype: Any = None, name: str | None = None, seed: int | None = None
) -> Any:
    """Make a variable of numbers drawn uniformly.

    Args:
        shape: Tuple of integers.
        low: Lower end, included.
        high: Upper end, excluded.
        dtype: `floatx` if None.
        name: Shown in messages.
        seed: As of `random_uniform`.

    Returns:
        Parameter of that shape.
    """
    return variable(random_uniform(shape, low, high, dtype, seed), dtype, name)


def random_normal_variable(
    shape: Any, mean: float, scale: float, dtype: Any = None, name: str | None = None, seed: int | None = None
) -> Any:
    """Make a variable of normal numbers.

    Args:
        shape: Tuple of integers.
        mean: Their mean.
        scale: Their standard deviation.
        dtype: `floatx` if None.
        name: Shown in messages.
        seed: As of `random_normal`.

    Returns:
        Parameter of that shape.
    """
    return variable(random_normal(shape, mean, scale, dtype, seed), dtype, name)


@recorded
def identity(x: Any, name: str | None = None) -> Tensor:
    """``x`` itself, as a new Tensor.

    Args:
        x: Any shape.
        name: Kept for Keras's signature.
    """
    return ops.identity(x)


@recorded
def cast(x: Any, dtype: Any) -> Tensor:
    """``x`` converted to another type; the gradient is converted back.

    Args:
        x: Any shape.
        dtype: The type, such as "float32".
    """
    return ops.cast(x, dtype=dtype)


# ---------------------------------------------------------------------- what they are


def is_tensor(x: Any) -> bool:
    """Whether this is a Tensor, symbolic or not."""
    return isinstance(x, Tensor)


def is_sparse(tensor: Any) -> bool:
    """False: there are no sparse tensors.

    Args:
        tensor: Not looked at.
    """
    return False


def to_dense(tensor: Any) -> Any:
    """The tensor itself, as there are no sparse ones."""
    return tensor


def is_placeholder(x: Any) -> bool:
    """Whether this is a symbolic tensor that nothing computes: a `placeholder`, or the input of a model."""
    return isinstance(x, SymbolicTensor) and x.source is None


def is_keras_tensor(x: Any) -> bool:
    """Whether this is the symbolic output of a layer or of `Input`; False for what K functions and `placeholder` gave.

    Raises:
        ValueError: If it is no tensor at all.
    """
    if not isinstance(x, Tensor):
        raise ValueError(f"is_keras_tensor: expected a symbolic tensor. Received: {type(x).__name__}")
    if not isinstance(x, SymbolicTensor):
        return False
    call = x.entry or x.source
    return call is not None and isinstance(call.operation, Layer)


@recorded
def shape(x: Any) -> Tensor:
    """The shape of ``x`` as a Tensor of integers, known when it is computed; `int_shape` is the one known now."""
    return Tensor(np.array(as_tensor(x).shape, dtype=np.int32))


def int_shape(x: Any) -> tuple[int | None, ...]:
    """The shape of ``x`` as a tuple; None where a symbolic dimension is free."""
    return tuple(as_tensor(x).shape)


get_variable_shape = int_shape


def ndim(x: Any) -> int:
    """The number of axes of ``x``."""
    return as_tensor(x).ndim


def dtype(x: Any) -> str:
    """The type of the elements of ``x`` by name, such as "float32"."""
    return as_tensor(x).dtype.name


def count_params(x: Any) -> int:
    """The number of elements of ``x``.

    Raises:
        ValueError: If a dimension is free.
    """
    sizes = [size for size in int_shape(x) if size is not None]
    if len(sizes) < ndim(x):
        raise ValueError(f"count_params: the shape must be known. Received: {int_shape(x)}")
    return math.prod(sizes)


# ---------------------------------------------------------------------- values


def eval(x: Any) -> Any:
    """The value of a Tensor as an array (a NumPy scalar where it has no axes).

    Args:
        x: A Tensor, or a symbolic one that depends on no placeholder.

    Raises:
        ValueError: If it does depend on one.
    """
    if isinstance(x, SymbolicTensor):
        try:
            x = symbolic.evaluate(x, {})
        except ValueError as error:
            raise ValueError(f"eval: {error}; feed it through function([input], [x]) instead") from None
    value = x.numpy() if isinstance(x, Tensor) else np.asarray(x)
    return value.copy()[()]


def get_value(x: Any) -> Any:
    """The value of a variable as an array of its own; of a setting of an optimizer, such as ``lr``, as a number."""
    return eval(x)


def batch_get_value(ops: Sequence[Any]) -> list[Any]:
    """The values of several variables.

    Args:
        ops: List of what `get_value` takes.

    Returns:
        List of their values.
    """
    return [get_value(x) for x in ops]


def set_value(x: Any, value: Any) -> None:
    """Replace the value of a variable, or of a setting of an optimizer, such as ``lr``.

    Args:
        x: What `variable` made, a weight, or a setting.
        value: Array or number of its shape.

    Raises:
        TypeError: If it is nothing that can be assigned to.
        ValueError: If the shape differs.
    """
    if isinstance(x, SymbolicTensor) or not hasattr(x, "assign"):
        raise TypeError(f"set_value: expected a variable, a weight or a setting of an optimizer. Received: {x!r:.80}")
    x.assign(value)


def batch_set_value(tuples: Sequence[tuple[Any, Any]]) -> None:
    """Replace the values of several variables.

    Args:
        tuples: List of pairs (variable, value), as `set_value` takes them.
    """
    for x, value in tuples:
        set_value(x, value)


# ---------------------------------------------------------------------- updates


def update(x: Any, new_x: Any) -> Any:
    """Assign a new value to a variable.

    At once, if the value is known and this isn't inside the call of a layer, where the value may be one of a shape
    trial. Otherwise the update is given back, for `function` or ``Layer.add_update`` to carry out.

    Args:
        x: The variable.
        new_x: Its new value, of its shape.

    Returns:
        The variable, or an `Update`, the pair (variable, value).
    """
    if in_call() or symbolic.symbols_in([new_x]):
        return Update(x, new_x)
    set_value(x, new_x)
    return x


def update_add(x: Any, increment: Any) -> Any:
    """Assign ``x + increment`` to the variable ``x``; see `update`."""
    return update(x, x.detach() + increment)


def update_sub(x: Any, decrement: Any) -> Any:
    """Assign ``x - decrement`` to the variable ``x``; see `update`."""
    return update(x, x.detach() - decrement)


def moving_average_update(x: Any, value: Any, momentum: float) -> Any:
    """Assign ``x * momentum + value * (1 - momentum)`` to the variable ``x``; see `update`.

    It is the plain average, as in Keras 3; Keras 2.2.4 corrects it for its start at zero.
    """
    # In this form every step reads the value, so that of a symbolic one nothing is computed before it is known.
    return update(x, x.detach() + (value - x.detach()) * (1.0 - momentum))

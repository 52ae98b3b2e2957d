"""How functions of Tensors become functions of symbolic tensors too, and how arguments become Tensors."""

from __future__ import annotations

import functools
import inspect
import operator
from collections.abc import Callable, Sequence
from typing import Any, TypeVar, cast

from .. import ops
from ..core import config, symbolic
from ..core.tensor import Tensor

F = TypeVar("F", bound=Callable[..., Any])


def recorded(function: F) -> F:
    """Let a function of Tensors record itself, as one call, where an argument is symbolic (decorator).

    Inside, shapes are therefore always known: what a symbolic tensor leaves free has its size when it is replayed.
    """
    signature = inspect.signature(function)

    @functools.wraps(function)
    def wrapper(*args: Any, **keywords: Any) -> Any:
        if not symbolic.symbols_in([*args, *keywords.values()]):
            return function(*args, **keywords)
        bound = signature.bind(*args, **keywords)
        bound.apply_defaults()
        return symbolic.record(wrapper, bound.args, {})

    return cast(F, wrapper)


def as_tensor(x: Any) -> Tensor:
    """A Tensor as it is, anything else as one."""
    return x if isinstance(x, Tensor) else Tensor(x)


def as_float(x: Any) -> Tensor:
    """A Tensor of a floating-point type; integers and truth values become `floatx`."""
    x = as_tensor(x)
    return x if x.dtype.kind == "f" else ops.cast(x, dtype=config.floatx())


def as_ints(name: str, argument: str, values: Any, count: int | None = None) -> tuple[int, ...]:
    """Integers, Tensors of one integer, or a Tensor of several, as a tuple.

    Args:
        name: The function, for the message.
        argument: Its argument.
        values: An integer, or a sequence of integers; a scalar Tensor counts as an integer.
        count: How many there must be.

    Raises:
        TypeError: If one is no integer.
        ValueError: If there is another number of them.
    """
    if not isinstance(values, Sequence) and not getattr(values, "ndim", 0):
        values = (values,)
    try:
        found = tuple([operator.index(value) for value in values])
    except TypeError:
        raise TypeError(f"{name}: {argument} must be integers. Received: {values!r}") from None
    if count is not None and len(found) != count:
        raise ValueError(f"{name}: {argument} must be {count} integers, one for each axis. Received: {values!r}")
    return found


def as_axes(axis: Any) -> Any:
    """The axis of a reduction: None, an int, or a tuple of ints."""
    return tuple(axis) if isinstance(axis, (list, tuple)) else axis

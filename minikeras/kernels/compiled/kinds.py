"""Kinds of arguments, by names: what a compiled version is made for, and found by on disk, without numba.

They are "f4[2]" for a contiguous, writeable array of float32 with two axes, "i8", "b1", "f4" and "f8" for a number of
Python's or NumPy's, and "i8*3" for a tuple of three integers.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .lazy import imported

DTYPES = {name: np.dtype(name) for name in ("f4", "f8", "i8", "u1", "b1")}
"""What arrays may hold."""
NUMBERS: dict[str, tuple[type, ...]] = {
    "i8": (int, np.int64),
    "b1": (bool, np.bool_),
    "f8": (float, np.float64),
    "f4": (np.float32,),
}
"""The types of numbers."""

_NAMES = {dtype: name for name, dtype in DTYPES.items()}
_OF_NUMBERS = {each: kind for kind, types in NUMBERS.items() for each in types}


def kind_of(value: Any) -> str:
    """The kind of an argument.

    Raises:
        TypeError: if it is of none.
    """
    if type(value) is np.ndarray and value.flags.carray:
        name = _NAMES.get(value.dtype, "")
        if value.dtype is DTYPES.get(name):
            return f"{name}[{value.ndim}]"
    if type(value) is tuple and value and all(type(each) in NUMBERS["i8"] for each in value):
        return f"i8*{len(value)}"
    if type(value) in _OF_NUMBERS:
        return _OF_NUMBERS[type(value)]
    what = f"{value.dtype} {value.shape}, {value.strides}" if isinstance(value, np.ndarray) else repr(value)
    raise TypeError(
        f"compiled loops take contiguous, writeable arrays, numbers and tuples of integers. Received: {what}"
    )


def type_name(kind: type) -> str:
    """Python's and NumPy's `bool` have the same name, so here it isn't the whole of it."""
    return f"{kind.__module__}.{kind.__name__}"


def parsed(kind: str) -> tuple[str, int | None, int | None]:
    """The type of a kind's numbers; how many axes an array has; and how many integers are in a tuple."""
    if kind.endswith("]"):
        name, _, ndim = kind[:-1].partition("[")
        return name, int(ndim), None
    name, _, count = kind.partition("*")
    return name, None, int(count) if count else None


def usual(value: Any) -> Any:
    """An argument as `kind_of` knows it: an array is seen, without copying, as one of `np.ndarray` and `DTYPES`."""
    if not isinstance(value, np.ndarray):
        return value
    array, dtype = np.asarray(value), DTYPES.get(_NAMES.get(value.dtype, ""))
    return array if dtype is None or dtype is array.dtype else array.view(dtype)


def numba_type(kind: str) -> Any:
    """What numba calls a kind."""
    types, (name, ndim, count) = imported("numba.core.types"), parsed(kind)
    number = imported("numba.np.numpy_support").from_dtype(DTYPES[name])
    if ndim is not None:
        return types.Array(number, ndim, "C")
    return number if count is None else types.UniTuple(number, count)

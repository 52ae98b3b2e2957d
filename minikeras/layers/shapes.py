"""Shapes: what a layer expects of them (InputSpec), checked sizes, and structures of one or several inputs."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import numpy as np

from .. import checks
from ..core.tensor import Tensor

Shape = tuple[int | None, ...]
T = TypeVar("T")


class InputSpec:
    """What a layer expects of an input's shape. None leaves a property free.

    Args:
        dtype: Kept for Keras's signature; dtypes are converted, not checked.
        shape: Expected shape, None where a dimension is free.
        ndim: Expected number of axes.
        max_ndim: Largest number of axes.
        min_ndim: Smallest number of axes.
        axes: Dict from axis to expected size.
    """

    def __init__(
        self,
        dtype: Any = None,
        shape: Sequence[int | None] | None = None,
        ndim: int | None = None,
        max_ndim: int | None = None,
        min_ndim: int | None = None,
        axes: dict[int, int] | None = None,
    ) -> None:
        self.dtype = dtype
        self.shape = None if shape is None else tuple(shape)
        self.ndim = ndim if shape is None else len(shape)
        self.max_ndim = max_ndim
        self.min_ndim = min_ndim
        self.axes = dict(axes or {})

    def check(self, shape: Shape, owner: Any) -> None:
        """Raise ValueError, naming ``owner``, if an input of this shape doesn't fit; None in it fits anything."""
        ndim = len(shape)
        for wrong, expected in (
            (self.ndim is not None and ndim != self.ndim, f"{self.ndim}"),
            (self.max_ndim is not None and ndim > self.max_ndim, f"at most {self.max_ndim}"),
            (self.min_ndim is not None and ndim < self.min_ndim, f"at least {self.min_ndim}"),
        ):
            if wrong:
                raise ValueError(
                    f"{owner}: the input must have {expected} axes, the batch included, and has {ndim}. "
                    f"Received: shape {shape}"
                )
        for axis, size in {**dict(enumerate(self.shape or ())), **self.axes}.items():
            if size is not None and shape[axis] not in (size, None):
                raise ValueError(
                    f"{owner}: axis {axis} of the input must have size {size}, and has {shape[axis]}. "
                    f"Received: shape {shape}"
                )


def as_size(value: Any, owner: Any, argument: str, minimum: int = 1) -> int:
    """Return a size as int.

    Args:
        value: A Python or NumPy integer.
        owner: The layer, named in the message.
        argument: The argument's name.
        minimum: Smallest value allowed.

    Raises:
        ValueError: For anything else: bool, float, str, or an integer below the minimum.
    """
    return checks.integer(owner, argument, value, minimum)


def as_shape(shape: Any, owner: Any, argument: str) -> Shape:
    """Return a shape as tuple; raise ValueError, naming ``owner``, unless it holds positive integers and None."""
    if not isinstance(shape, (tuple, list)):
        hint = f" Write {argument}=({shape},)." if isinstance(shape, int) else ""
        raise ValueError(f"{owner}: {argument} must be a tuple of integers and None.{hint} Received: {shape!r}")
    return tuple(None if size is None else as_size(size, owner, f"each size of {argument}") for size in shape)


def as_list(value: Any) -> list[Any]:
    """Return the items of a list or tuple, or a list of the one value."""
    return list(value) if isinstance(value, (list, tuple)) else [value]


def map_inputs(function: Callable[[Any], Any], inputs: Any) -> Any:
    """Return ``function`` of an input, or the list of it for each input of a list that holds arrays."""
    if isinstance(inputs, (list, tuple)) and any(isinstance(item, (Tensor, np.ndarray)) for item in inputs):
        return [function(item) for item in inputs]
    return function(inputs)


def shapes_of(tensors: Any) -> Any:
    """Return the shape of a tensor, or the list of the shapes of several."""
    return [tuple(t.shape) for t in tensors] if isinstance(tensors, (list, tuple)) else tuple(tensors.shape)


def masks_of(tensors: Any) -> Any:
    """Return the mask that a tensor carries; for several the list of theirs, or None if none does."""
    if isinstance(tensors, Tensor):
        return tensors.mask
    masks = [tensor.mask for tensor in tensors]
    return masks if any(mask is not None for mask in masks) else None


def is_shape(value: Any) -> bool:
    """Return whether this is one shape, not a list of several."""
    return not any(isinstance(item, (tuple, list)) for item in value)


def map_shapes(function: Callable[[Shape], Any], shapes: Any) -> Any:
    """Return ``function`` of a shape, or the list of it for each of several."""
    return function(tuple(shapes)) if is_shape(shapes) else [function(tuple(shape)) for shape in shapes]


def single(items: Sequence[Any]) -> Any:
    """Return the item if there is only one, else the list of them: how Keras gives inputs, outputs and values."""
    return items[0] if len(items) == 1 else list(items)


def count(number: int, noun: str) -> str:
    """Return a number and its noun, in the plural where it is one."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def shape_first(add_weight: Callable[..., T]) -> Callable[..., T]:
    """Let `Layer.add_weight` take the shape first, and the name behind it, as Keras 2 still does (decorator)."""

    @functools.wraps(add_weight)
    def wrapper(self: Any, *args: Any, **keywords: Any) -> T:
        if args and isinstance(args[0], (tuple, list)):
            keywords["shape"], args = args[0], args[1:]
            if args and isinstance(args[0], str):
                keywords["name"], args = args[0], args[1:]
            if args:
                raise TypeError(f"{self}: add_weight takes its further arguments by name. Received: {args!r:.100}")
        return add_weight(self, *args, **keywords)

    return wrapper

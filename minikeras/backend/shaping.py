"""Functions that move elements: shapes, joining, repeating, padding, resizing, picking."""

from __future__ import annotations

import builtins
from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import checks, ops
from ..core import config
from ..core.tensor import Tensor
from ..layers.shapes import as_size
from ..layers.spatial import as_pairs, channels_last, from_channels_last
from .recording import as_ints, as_tensor, recorded
from .settings import normalize_data_format

# ---------------------------------------------------------------------- shapes


@recorded
def reshape(x: Any, shape: Any) -> Tensor:
    """The same elements in another shape.

    Args:
        x: Any shape.
        shape: Tuple of integers or scalar Tensors; one may be -1.

    Raises:
        ValueError: If the number of elements differs.
    """
    return ops.reshape(as_tensor(x), as_ints("reshape", "shape", shape))


@recorded
def permute_dimensions(x: Any, pattern: Any) -> Tensor:
    """The axes in another order.

    Args:
        x: Any shape.
        pattern: The old axis for each new one, such as ``(0, 2, 1)``.

    Raises:
        ValueError: If there isn't one integer per axis.
    """
    x = as_tensor(x)
    return ops.transpose(x, as_ints("permute_dimensions", "pattern", pattern, x.ndim))


@recorded
def transpose(x: Any) -> Tensor:
    """The axes in reverse order."""
    return ops.transpose(as_tensor(x))


@recorded
def flatten(x: Any) -> Tensor:
    """All elements in one axis."""
    return ops.flatten(as_tensor(x))


@recorded
def batch_flatten(x: Any) -> Tensor:
    """All elements of each sample in one axis: (batch, elements)."""
    x = as_tensor(x)
    return ops.reshape(x, (x.shape[0], x.size // x.shape[0] if x.shape[0] else -1))


@recorded
def expand_dims(x: Any, axis: int = -1) -> Tensor:
    """With a new axis of length one at ``axis``."""
    return ops.expand_dims(as_tensor(x), axis=axis)


@recorded
def squeeze(x: Any, axis: int) -> Tensor:
    """Without the axis ``axis``, of length one."""
    return ops.squeeze(as_tensor(x), axis=axis)


@recorded
def concatenate(tensors: Sequence[Any], axis: int = -1) -> Tensor:
    """Tensors joined along an axis.

    Args:
        tensors: Tensors of the same shape but for the axis.
        axis: The axis.
    """
    return ops.concatenate([as_tensor(x) for x in tensors], axis=axis)


@recorded
def stack(x: Sequence[Any], axis: int = 0) -> Tensor:
    """Tensors of one shape joined along a new axis."""
    return ops.stack([as_tensor(item) for item in x], axis=axis)


@recorded
def reverse(x: Any, axes: Any) -> Tensor:
    """The elements along some axes in reverse order.

    Args:
        x: Any shape.
        axes: The axis, or a list of several.
    """
    return ops.flip(as_tensor(x), axis=as_ints("reverse", "axes", axes))


@recorded
def slice(x: Any, start: Any, size: Any) -> Tensor:
    """A block of elements.

    Args:
        x: Any shape.
        start: First index along each axis.
        size: Number of elements along each axis; -1 for all that follow.

    Raises:
        ValueError: If the block isn't inside, or there isn't one number per axis.
    """
    x = as_tensor(x)
    first, counts = as_ints("slice", "start", start, x.ndim), as_ints("slice", "size", size, x.ndim)
    stops = [n if count == -1 else begin + count for n, begin, count in zip(x.shape, first, counts, strict=True)]
    if any(not 0 <= begin <= stop <= n for begin, stop, n in zip(first, stops, x.shape, strict=True)):
        raise ValueError(f"slice: start {first} and size {counts} reach outside. Received: shape {x.shape}")
    return ops.getitem(x, tuple([builtins.slice(*ends) for ends in zip(first, stops, strict=True)]))


# ---------------------------------------------------------------------- repeating


@recorded
def repeat_elements(x: Any, rep: int, axis: int) -> Tensor:
    """Every element along an axis ``rep`` times in a row."""
    return ops.repeat(as_tensor(x), as_size(rep, "repeat_elements", "rep", minimum=0), axis=axis)


@recorded
def repeat(x: Any, n: int) -> Tensor:
    """Every sample of (batch, features) ``n`` times: (batch, n, features)."""
    x = as_tensor(x)
    if x.ndim != 2:
        raise ValueError(f"repeat: x must be (batch, features). Received: shape {x.shape}")
    return ops.repeat(ops.expand_dims(x, axis=1), as_size(n, "repeat", "n", minimum=0), axis=1)


@recorded
def tile(x: Any, n: Any) -> Tensor:
    """The whole repeated along each axis.

    Args:
        x: Any shape.
        n: How often along each axis: a list of integers or scalar Tensors, or an integer for one axis.
    """
    x = as_tensor(x)
    return ops.tile(x, as_ints("tile", "n", n, x.ndim))


@recorded
def arange(start: Any, stop: Any = None, step: Any = 1, dtype: Any = "int32") -> Tensor:
    """Numbers from ``start``, included, to ``stop``, excluded; from 0 to ``start`` if there is one only.

    Args:
        start: First number; where it is the only one, nothing is left of a negative one.
        stop: Where to end.
        step: Distance.
        dtype: Type of the result.
    """
    first, last = (0, start) if stop is None else (start, stop)
    first, last, step = (end.item() if isinstance(end, Tensor) else end for end in (first, last, step))
    return Tensor(np.arange(first, last, step).astype(dtype))


# ---------------------------------------------------------------------- padding and resizing


@recorded
def temporal_padding(x: Any, padding: Any = (1, 1)) -> Tensor:
    """(batch, steps, channels) with zeros before and after.

    Args:
        x: The tensor.
        padding: Pair of the numbers of steps before and after.
    """
    return _padded("temporal_padding", 1, x, padding, "channels_last")


@recorded
def spatial_2d_padding(x: Any, padding: Any = ((1, 1), (1, 1)), data_format: str | None = None) -> Tensor:
    """Images with zeros around them.

    Args:
        x: (batch, rows, columns, channels), or (batch, channels, rows, columns) with "channels_first".
        padding: Pairs (before, after) for rows and columns.
        data_format: "channels_last" or "channels_first"; `image_data_format` if None.
    """
    return _padded("spatial_2d_padding", 2, x, padding, data_format)


@recorded
def spatial_3d_padding(x: Any, padding: Any = ((1, 1), (1, 1), (1, 1)), data_format: str | None = None) -> Tensor:
    """Volumes with zeros around them.

    Args:
        x: (batch, planes, rows, columns, channels), or (batch, channels, planes, rows, columns) with "channels_first".
        padding: Pairs (before, after) for planes, rows and columns.
        data_format: "channels_last" or "channels_first"; `image_data_format` if None.
    """
    return _padded("spatial_3d_padding", 3, x, padding, data_format)


def _padded(name: str, rank: int, x: Any, padding: Any, data_format: str | None) -> Tensor:
    x, order = as_tensor(x), normalize_data_format(data_format)
    _check_rank(name, x, rank)
    pairs = [(0, 0), *as_pairs(padding, rank, name, "padding"), (0, 0)]
    return from_channels_last(ops.pad(channels_last(x, order), pairs), order)


@recorded
def resize_images(
    x: Any, height_factor: int, width_factor: int, data_format: str | None, interpolation: str = "nearest"
) -> Tensor:
    """Images made larger by whole factors.

    Args:
        x: (batch, rows, columns, channels), or (batch, channels, rows, columns) with "channels_first".
        height_factor: Factor of the rows.
        width_factor: Factor of the columns.
        data_format: "channels_last" or "channels_first"; `image_data_format` if None.
        interpolation: "nearest", or "bilinear" between the centres of pixels (Keras 2.2.4 took their corners).
    """
    checks.choice("resize_images", "interpolation", interpolation, ("nearest", "bilinear"))
    enlarge = ops.upsample_nearest if interpolation.lower() == "nearest" else ops.upsample_linear
    return _resized("resize_images", x, (height_factor, width_factor), data_format, enlarge)


@recorded
def resize_volumes(x: Any, depth_factor: int, height_factor: int, width_factor: int, data_format: str | None) -> Tensor:
    """Volumes made larger by whole factors, their elements repeated.

    Args:
        x: (batch, planes, rows, columns, channels), or (batch, channels, planes, rows, columns) with "channels_first".
        depth_factor: Factor of the planes.
        height_factor: Factor of the rows.
        width_factor: Factor of the columns.
        data_format: "channels_last" or "channels_first"; `image_data_format` if None.
    """
    factors = (depth_factor, height_factor, width_factor)
    return _resized("resize_volumes", x, factors, data_format, ops.upsample_nearest)


def _resized(name: str, x: Any, factors: tuple[int, ...], data_format: str | None, enlarge: Any) -> Tensor:
    x, order = as_tensor(x), normalize_data_format(data_format)
    _check_rank(name, x, len(factors))
    size = tuple([as_size(factor, name, "each factor") for factor in factors])
    return from_channels_last(enlarge(channels_last(x, order), size=size), order)


def _check_rank(name: str, x: Tensor, rank: int) -> None:
    if x.ndim != rank + 2:
        raise ValueError(f"{name}: x must have {rank + 2} axes, batch and channels included. Received: shape {x.shape}")


# ---------------------------------------------------------------------- picking


@recorded
def gather(reference: Any, indices: Any) -> Tensor:
    """The items of the first axis at these indices.

    Args:
        reference: (items, ...).
        indices: Integers of any shape.

    Returns:
        Tensor (*shape of the indices, ...).

    Raises:
        IndexError: If there is no such item.
    """
    return ops.take(as_tensor(reference), as_tensor(indices), axis=0)


@recorded
def one_hot(indices: Any, num_classes: int) -> Tensor:
    """A one at each index along a new last axis, zeros elsewhere, in `floatx`.

    Args:
        indices: Integers of any shape; those out of range get zeros only.
        num_classes: Length of the new axis.

    Returns:
        Tensor (*shape of the indices, num_classes).

    Raises:
        TypeError: For indices that are no integers.
        ValueError: If num_classes isn't a positive integer.
    """
    indices = as_tensor(indices)
    if indices.dtype.kind == "f":
        raise TypeError(f"one_hot: indices must be integers, as K.cast(x, 'int32') gives. Received: {indices.dtype}")
    return ops.one_hot(indices, as_size(num_classes, "one_hot", "num_classes"), dtype=config.floatx())

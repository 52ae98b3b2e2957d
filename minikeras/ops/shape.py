"""Operations that move elements without changing them: each one's derivative is another of them."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_index, normalize_axis_tuple

from ..core.primitive import primitive
from ..core.tensor import Tensor

Pairs = Sequence[tuple[int, int]]


@primitive
def reshape(x: Any, *, shape: Any) -> Any:
    """The same elements in another shape; one size may be -1.

    Raises:
        ValueError: the number of elements differs.
    """
    x = np.asarray(x)
    try:
        return x.reshape(shape)
    except ValueError:
        raise ValueError(
            f"reshape: {x.size} elements of shape {x.shape} don't fit the target. Received: shape={shape}"
        ) from None


reshape.vjps(x=lambda g, x_shape: reshape(g, x_shape))


@primitive
def transpose(x: Any, *, axes: Sequence[int] | None = None) -> Any:
    """Axes in another order (reversed if None)."""
    return np.transpose(x, axes)


transpose.vjps(x=lambda g, axes: transpose(g, None if axes is None else tuple(np.argsort([a % g.ndim for a in axes]))))


@primitive
def broadcast_to(x: Any, *, shape: tuple[int, ...]) -> Any:
    """``x`` stretched to ``shape`` by NumPy's rules (a read-only view)."""
    if type(x) is np.ndarray and not x.ndim and not isinstance(shape, int):
        view = np.ndarray(shape, x.dtype, x, 0, (0,) * len(shape))  # at a quarter of np.broadcast_to's cost
        view.flags.writeable = False
        return view
    return np.broadcast_to(x, shape)


broadcast_to.vjps(x=lambda g: g)


@primitive
def expand_dims(x: Any, *, axis: int = -1) -> Any:
    """With a new axis of length one at ``axis`` (an int or a tuple of ints)."""
    return np.expand_dims(x, axis)


expand_dims.vjps(x=lambda g, x_shape: reshape(g, x_shape))


@primitive
def squeeze(x: Any, *, axis: Any = None) -> Any:
    """Without the axes of length one (all of them, or those in ``axis``)."""
    return np.squeeze(x, axis)


squeeze.vjps(x=lambda g, x_shape: reshape(g, x_shape))


def flatten(x: Any) -> Tensor:
    """All elements in one axis."""
    return reshape(x, (-1,))


def moveaxis(x: Any, source: int | Sequence[int], destination: int | Sequence[int]) -> Tensor:
    """Some axes at other places, the rest in their order.

    Args:
        x: Any shape.
        source: The axis to move, or several.
        destination: Where it is in the result; as many as there are sources.

    Raises:
        ValueError: their numbers differ.
    """
    ndim = _ndim(x)
    sources = normalize_axis_tuple(source, ndim, "moveaxis")
    targets = normalize_axis_tuple(destination, ndim, "moveaxis")
    if len(sources) != len(targets):
        raise ValueError(
            f"moveaxis: expected as many destinations as sources. Received: source={source}, destination={destination}"
        )
    order = [a for a in range(ndim) if a not in sources]
    for target, origin in sorted(zip(targets, sources, strict=True)):
        order.insert(target, origin)
    return transpose(x, tuple(order))


def swapaxes(x: Any, first: int, second: int) -> Tensor:
    """Two axes exchanged.

    Args:
        x: Any shape.
        first: One axis.
        second: The other.
    """
    first, second = (normalize_axis_index(axis, _ndim(x), "swapaxes") for axis in (first, second))
    order = list(range(_ndim(x)))
    order[first], order[second] = second, first
    return transpose(x, tuple(order))


def _ndim(x: Any) -> int:
    return x.ndim if isinstance(x, Tensor) else np.ndim(x)


# ---------------------------------------------------------------------- padding and cropping: each other's gradient


@primitive
def pad(x: Any, *, pairs: Pairs, value: float = 0.0) -> Any:
    """``x`` extended by ``(before, after)`` elements per axis, all of them ``value``."""
    x = np.asarray(x)
    _check_pairs(x, pairs)
    shape = [n + before + after for n, (before, after) in zip(x.shape, pairs, strict=True)]
    result = np.full(shape, value, x.dtype) if value else np.zeros(shape, x.dtype)
    result[_inner(x.shape, pairs)] = x
    return result


@primitive
def crop(x: Any, *, pairs: Pairs) -> Any:
    """``x`` without the first and last ``(before, after)`` elements per axis (a view)."""
    _check_pairs(x, pairs)
    inner = tuple(n - before - after for n, (before, after) in zip(x.shape, pairs, strict=True))
    if min(inner, default=0) < 0:
        raise ValueError("more is cropped than there is")
    return x[_inner(inner, pairs)]


def _check_pairs(x: np.ndarray, pairs: Pairs) -> None:
    if len(pairs) != x.ndim or any(len(pair) != 2 or min(pair) < 0 for pair in pairs):
        raise ValueError(f"expected one (before, after) pair of integers >= 0 for each of {x.ndim} axes")


def _inner(shape: Sequence[int], pairs: Pairs) -> tuple[slice, ...]:
    return tuple(slice(before, before + n) for n, (before, _) in zip(shape, pairs, strict=True))


pad.vjps(x=lambda g, pairs: crop(g, pairs))
crop.vjps(x=lambda g, pairs: pad(g, pairs))


def pad_axis(x: Tensor, axis: int, before: int, after: int, value: float = 0.0) -> Tensor:
    """:func:`pad` along one axis."""
    axis %= x.ndim
    return pad(x, [(before, after) if i == axis else (0, 0) for i in range(x.ndim)], value)


def crop_axis(x: Tensor, axis: int, start: int, stop: int) -> Tensor:
    """Elements ``start`` to ``stop`` of one axis."""
    axis %= x.ndim
    return crop(x, [(start, x.shape[i] - stop) if i == axis else (0, 0) for i in range(x.ndim)])


@primitive
def flip(x: Any, *, axis: Any = None) -> Any:
    """Elements along ``axis`` (an int, a tuple of ints, or None for all) in reverse order."""
    return np.flip(x, axis)


flip.vjps(x=lambda g, axis: flip(g, axis))

# ---------------------------------------------------------------------- joining and splitting


@primitive(name="concatenate")
def _concatenate(*tensors: Any, axis: int) -> Any:
    return np.concatenate(tensors, axis=axis)


@_concatenate.backward
def _(g: Tensor, needs: tuple[bool, ...], tensors_shape: Any, axis: int) -> list[Tensor | None]:
    ends = np.cumsum([shape[axis] for shape in tensors_shape]).tolist()
    starts = [0, *ends[:-1]]
    return [
        crop_axis(g, axis, start, end) if need else None for need, start, end in zip(needs, starts, ends, strict=True)
    ]


def concatenate(tensors: Sequence[Any], axis: int = -1) -> Tensor:
    """Tensors joined along an axis.

    Args:
        tensors: Tensors of equal shape, but for that axis.
        axis: The axis.
    """
    return _concatenate(*tensors, axis=axis)


def stack(tensors: Sequence[Any], axis: int = 0) -> Tensor:
    """Tensors joined along a new axis.

    Args:
        tensors: Tensors of equal shape.
        axis: Place of the new axis in the result.
    """
    return concatenate([expand_dims(x, axis) for x in tensors], axis=axis)


def unstack(x: Any, axis: int = 0) -> list[Tensor]:
    """The slices along ``axis``, without it: the inverse of :func:`stack`."""
    x = x if isinstance(x, Tensor) else Tensor(x)
    axis = normalize_axis_index(axis, x.ndim, "unstack")
    return [squeeze(crop_axis(x, axis, i, i + 1), axis) for i in range(x.shape[axis])]


def split(x: Any, indices_or_sections: int | Sequence[int], axis: int = 0) -> list[Tensor]:
    """Pieces along an axis.

    Args:
        x: any shape.
        indices_or_sections: how many equal pieces, or the indices before which to cut.
        axis: the axis to cut.

    Returns:
        List of Tensors.

    Raises:
        ValueError: the axis can't be divided into that many equal pieces.
    """
    x = x if isinstance(x, Tensor) else Tensor(x)
    length = x.shape[normalize_axis_index(axis, x.ndim, "split")]
    if isinstance(indices_or_sections, (int, np.integer)):
        if indices_or_sections < 1 or length % indices_or_sections:
            raise ValueError(
                f"split: axis {axis} of length {length} must divide evenly. Received: {indices_or_sections} sections"
            )
        size = length // indices_or_sections
        cuts = list(range(0, length + 1, size)) if size else [0] * (indices_or_sections + 1)
    else:
        cuts = [0, *(slice(i).indices(length)[1] for i in indices_or_sections), length]
    return [crop_axis(x, axis, start, max(start, end)) for start, end in itertools.pairwise(cuts)]


# ---------------------------------------------------------------------- repeating


@primitive
def repeat(x: Any, *, repeats: int, axis: int) -> Any:
    """Every element along ``axis`` ``repeats`` times in a row."""
    if not isinstance(repeats, (int, np.integer)) or repeats < 0:
        raise ValueError("expected repeats to be one integer >= 0 for all elements")
    return np.repeat(x, repeats, axis)


def _sum_of_repeats(g: Tensor, x_shape: tuple[int, ...], repeats: int, axis: int) -> Tensor:
    axis %= len(x_shape)
    return reshape(g, (*x_shape[: axis + 1], repeats, *x_shape[axis + 1 :])).sum(axis=axis + 1)


repeat.vjps(x=_sum_of_repeats)


@primitive
def tile(x: Any, *, reps: Any) -> Any:
    """The whole array repeated ``reps`` times per axis (an int, or a tuple as in NumPy)."""
    return np.tile(x, reps)


def _sum_of_tiles(g: Tensor, x_shape: tuple[int, ...], reps: Any) -> Tensor:
    reps = tuple(np.atleast_1d(reps).tolist())
    shape = (1,) * (g.ndim - len(x_shape)) + x_shape
    reps = (1,) * (g.ndim - len(reps)) + reps
    blocks = [size for pair in zip(reps, shape, strict=True) for size in pair]
    return reshape(reshape(g, blocks).sum(axis=tuple(range(0, 2 * g.ndim, 2))), x_shape)


tile.vjps(x=_sum_of_tiles)

# ---------------------------------------------------------------------- indexing


@primitive(name="getitem")
def _getitem(x: Any, *, index: Any) -> Any:
    return x[index]


@primitive(name="put")
def _put(values: Any, *, index: Any, shape: tuple[int, ...]) -> Any:
    """Zeros of ``shape`` with ``values`` added at ``index``: the adjoint of indexing."""
    result = np.zeros(shape, values.dtype)
    if _is_basic(index):
        result[index] = values
    else:
        np.add.at(result, index, values)
    return result


def _is_basic(index: Any) -> bool:
    parts = index if isinstance(index, tuple) else (index,)
    return all(
        part is None or part is Ellipsis or (isinstance(part, (slice, int, np.integer)) and not isinstance(part, bool))
        for part in parts
    )


_put.vjps(values=lambda g, index: _getitem(g, index=index))
_getitem.vjps(x=lambda g, x_shape, index: _put(g, index=index, shape=x_shape))


def getitem(x: Any, index: Any) -> Tensor:
    """``x[index]`` with NumPy's indices: integers, slices, None, Ellipsis, integer and boolean arrays."""
    return _getitem(x, index=_plain_index(index))


def _plain_index(index: Any) -> Any:
    if isinstance(index, tuple):
        return tuple(_plain_index(part) for part in index)
    if isinstance(index, Tensor):
        return index.numpy()
    if isinstance(index, list):
        return np.asarray(index) if index else np.empty(0, int)
    return index


@primitive
def take(x: Any, indices: Any, *, axis: int = 0) -> Any:
    """The slices of ``x`` at integer ``indices`` (of any shape) along ``axis``, which becomes the axes of ``indices``.

    Raises:
        IndexError: an index is outside of the axis.
    """
    return np.take(x, indices, axis)


@primitive(name="scatter_add")
def _scatter_add(values: Any, indices: Any, *, axis: int, shape: tuple[int, ...]) -> Any:
    """Zeros of ``shape`` with the slices of ``values`` added at ``indices`` along ``axis``: the adjoint of take."""
    result = np.zeros(shape, values.dtype)
    np.add.at(result, (slice(None),) * (axis % len(shape)) + (indices,), values)
    return result


take.vjps(x=lambda g, x_shape, indices, axis: _scatter_add(g, indices, axis=axis, shape=x_shape))
_scatter_add.vjps(values=lambda g, indices, axis: take(g, indices, axis=axis))

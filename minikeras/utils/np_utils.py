"""Labels to one-hot rows, and arrays to unit length."""

from __future__ import annotations

import numbers
from typing import Any

import numpy as np
import numpy.typing as npt

from .. import checks


def to_categorical(
    y: npt.ArrayLike, num_classes: int | None = None, dtype: npt.DTypeLike = "float32"
) -> npt.NDArray[Any]:
    """Turn class numbers into one-hot vectors.

    Args:
        y: class numbers from 0 to ``num_classes - 1``, of any shape; a last axis of length one is dropped.
        num_classes: how many classes there are; the largest number plus one by default.
        dtype: of the result.

    Returns:
        An array of zeros and ones of shape ``(*y.shape, num_classes)``.

    Raises:
        TypeError: if num_classes isn't an integer.
        ValueError: if y holds anything but integers from 0 to ``num_classes - 1``.

    Example:
        >>> to_categorical([0, 2], num_classes=3)
        array([[1., 0., 0.],
               [0., 0., 1.]], dtype=float32)
    """
    labels = _class_numbers(y)
    if labels.ndim > 1 and labels.shape[-1] == 1:
        labels = labels[..., 0]
    if num_classes is None:
        if labels.size == 0:
            raise ValueError("to_categorical: num_classes must be given where y is empty. Received: None")
        num_classes = int(labels.max()) + 1
    elif isinstance(num_classes, bool) or not isinstance(num_classes, numbers.Integral):
        raise TypeError(f"to_categorical: num_classes must be a positive integer. Received: {num_classes!r}")
    elif num_classes < 1:
        raise ValueError(f"to_categorical: num_classes must be a positive integer. Received: {num_classes!r}")
    if labels.size and not 0 <= labels.min() <= labels.max() < num_classes:
        raise ValueError(
            f"to_categorical: y must hold class numbers from 0 to num_classes - 1 = {num_classes - 1}. "
            f"Received: numbers from {labels.min()} to {labels.max()}"
        )
    rows = np.zeros((labels.size, num_classes), dtype=dtype)
    rows[np.arange(labels.size), labels.ravel()] = 1
    return rows.reshape(*labels.shape, num_classes)


def normalize(x: npt.ArrayLike, axis: int = -1, order: float = 2) -> npt.NDArray[Any]:
    """Divide an array by its norms along an axis; where the norm is zero, it stays zero.

    Args:
        x: numbers of any shape with at least one axis.
        axis: the axis along which the norm becomes one.
        order: of the norm: 1 for the sum of magnitudes, 2 for the Euclidean norm, ``inf`` for the largest magnitude.

    Returns:
        A new array of x's shape; integers become float64.

    Raises:
        TypeError: if axis isn't an integer, order no number, or x doesn't hold real numbers.
        ValueError: if x has no such axis or order isn't positive.

    Example:
        >>> normalize([[3.0, 4.0], [0.0, 0.0]])
        array([[0.6, 0.8],
               [0. , 0. ]])
    """
    array = np.asarray(x)
    if array.dtype.kind not in "biuf":
        raise TypeError(f"normalize: x must hold real numbers. Received: an array of dtype {array.dtype}")
    if isinstance(axis, bool) or not isinstance(axis, numbers.Integral):
        raise TypeError(f"normalize: axis must be an integer. Received: {axis!r}")
    if not -array.ndim <= axis < array.ndim:
        raise ValueError(f"normalize: axis must be one of the {array.ndim} axes of x. Received: {axis!r}")
    norms = np.linalg.norm(array, checks.number("normalize", "order", order, "(0, inf]"), axis, keepdims=True)
    return array / np.where(norms == 0, 1, norms)


def _class_numbers(y: npt.ArrayLike) -> npt.NDArray[np.intp]:
    """Return y as integers, floats only if nothing is lost."""
    array = np.asarray(y)
    if array.dtype.kind in "biu" or array.size == 0:
        return array.astype(np.intp)
    if array.dtype.kind != "f":
        raise ValueError(f"to_categorical: y must hold integers. Received: an array of dtype {array.dtype}")
    whole = np.isfinite(array) & (array == np.floor(array))
    if not whole.all():
        raise ValueError(f"to_categorical: y must hold integers. Received: {array[~whole].flat[0]}")
    return array.astype(np.intp)

"""Words for numbers, places and axes."""

from __future__ import annotations

import math

import numpy as np

from .examine import Evidence
from .views import View


def name_of(k: float) -> str:
    """A factor as people write it: 2, 1/3, -1/2, 0.123457."""
    for denominator in range(1, 65):
        numerator = round(k * denominator)
        if numerator and abs(k * denominator - numerator) < 1e-5 * max(1.0, abs(numerator)):
            if denominator == 1:
                return str(numerator) if abs(numerator) < 10**6 else f"{k:.6g}"
            if abs(numerator) == 1 or (denominator <= 8 and abs(numerator) <= 8):
                return f"{numerator}/{denominator}"
    return f"{k:.6g}"


def meaning(k: float, e: Evidence) -> str:
    """What a factor might come from: a length, or a number of elements."""
    candidates = {f"length of axis {axis}": size for axis, size in enumerate(e.shape)}
    candidates["number of elements"] = math.prod(e.shape)
    candidates |= {f"length of the output's axis {axis}": size for axis, size in enumerate(e.output_shape)}
    candidates["number of outputs"] = math.prod(e.output_shape)
    for words, size in candidates.items():
        if size > 2:
            if abs(k - size) < 1e-5 * size:
                return f", the {words}"
            if abs(k * size - 1.0) < 1e-5:
                return f", one over the {words}"
    return ""


def places(shape: tuple[int, ...], indices: np.ndarray, most: int = 3) -> str:
    """Some flat indices as indices of an array."""
    shown = [str([int(k) for k in np.unravel_index(int(index), shape)]) for index in indices[:most]]
    if shape == ():
        return "the only element"
    more = len(indices) - most
    return ", ".join(shown) + (f" and {more} more" if more > 0 else "")


def columns_in_words(wrong: np.ndarray, view: View, e: Evidence) -> str:
    """Which elements of the input: an index along an axis where that says it."""
    if view.columns is not None:
        box = [np.unique(indices).tolist() for indices in np.nonzero(wrong.reshape(view.columns))]
        if math.prod(map(len, box)) == np.count_nonzero(wrong):
            parts = zip(range(len(box)), box, view.columns, strict=True)
            return " and ".join(
                f"{index_words(indices, size)} along axis {axis}"
                for axis, indices, size in parts
                if len(indices) < size
            )
    return f"{np.count_nonzero(wrong)} of {len(wrong)} elements, as {places(e.shape, e.indices[wrong])}"


def index_words(indices: list[int], size: int) -> str:
    if len(indices) == 1:
        last = " (the last)" if indices[0] == size - 1 and size > 1 else ""
        return f"index {indices[0]}{last}"
    if indices == list(range(indices[0], indices[-1] + 1)):
        return f"indices {indices[0]} to {indices[-1]}"
    return "indices " + ", ".join(map(str, indices[:6])) + (", ..." if len(indices) > 6 else "")


def axis_name(axis: int, view: View) -> str:
    first = len(view.rows)
    return f"axis {axis} of the output" if axis < first else f"axis {axis - first}"


def axes_words(axes: tuple[int, ...], shape: tuple[int, ...]) -> str:
    if len(axes) == 1:
        return f"axis {axes[0]}"
    return f"the axes {', '.join(map(str, axes))}"

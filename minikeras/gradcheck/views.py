"""A claimed Jacobian beside the measured one, and the arithmetic that recognises one in the other."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from .examine import Evidence


class View(NamedTuple):
    """Claimed and measured derivatives, with what is known of their axes.

    Attributes:
        claimed, measured: Matrices (outputs, elements).
        tolerance: Up to where entries count as equal.
        rows: Shape of the outputs; () if they were summed.
        columns: Shape of the input; None if not all of its elements are here.
    """

    claimed: np.ndarray
    measured: np.ndarray
    tolerance: float
    rows: tuple[int, ...]
    columns: tuple[int, ...] | None


def view_of(e: Evidence) -> View:
    columns = e.shape if e.whole else None
    if e.claimed is None or e.measured is None or not np.isfinite(e.claimed).all():
        slack = max(1e-6 * e.scale, float(np.minimum(10.0 * e.errors, 1e-3 * e.scale).max(initial=0.0)))
        return View(e.analytic[None], e.numeric[None], slack, (), columns)
    scale = max(np.abs(e.claimed).max(initial=0.0), np.abs(e.measured).max(initial=0.0))
    return View(e.claimed, e.measured, max(1e-6 * float(scale), 1e-300), e.output_shape, columns)


def close(one: np.ndarray, other: np.ndarray, tolerance: float) -> bool:
    return bool((np.abs(one - other) <= tolerance).all())


def factor(claimed: np.ndarray, measured: np.ndarray, tolerance: float) -> float | None:
    """The k of ``claimed = k * measured``, if there is one other than 0."""
    square = float((measured * measured).sum())
    k = float((claimed * measured).sum()) / square if square else 0.0
    if not k or not np.isfinite(k) or not close(claimed, k * measured, tolerance * max(1.0, abs(k))):
        return None
    return k


def distinct(values: np.ndarray, tolerance: float) -> int:
    """How many values differ, counted up to ten."""
    ordered = np.sort(values.reshape(-1))
    return min(1 + int(np.count_nonzero(np.diff(ordered) > tolerance)), 10) if ordered.size else 0


def spread(values: np.ndarray, tolerance: float) -> bool:
    return int(np.count_nonzero(np.abs(values) > tolerance)) > 3


def arrangements(view: View) -> Iterator[tuple[str, np.ndarray]]:
    """The measured Jacobian with axes swapped or reversed, as far as its shape stays."""
    columns = view.columns or ()
    shape = (*view.rows, *columns)
    tensor = view.measured.reshape(shape)
    first = len(view.rows)
    inner = range(first, len(shape))
    if not view.rows:  # the weighted sum also knows layouts of another shape: the right numbers, read in another order
        for order in itertools.permutations(range(len(shape))) if len(shape) <= 5 else ():
            if list(order) != sorted(order):
                yield f"its axes are in the order {order}", tensor.transpose(order).reshape(1, -1)
    elif len(columns) <= 4:
        for order in itertools.permutations(range(len(columns))):
            if list(order) != sorted(order):
                whole = (*range(first), *(first + axis for axis in order))
                moved_axes = tensor.transpose(whole).reshape(view.measured.shape)
                yield f"its axes are in the order {order}", moved_axes
    swaps = [(a, b) for a in range(first) for b in inner if shape[a] == shape[b]]
    for count in (1, 2, 3):
        for pairs in itertools.combinations(swaps, count):
            axes = [axis for pair in pairs for axis in pair]
            if len(set(axes)) == 2 * count:
                order_list = list(range(len(shape)))
                for a, b in pairs:
                    order_list[a], order_list[b] = b, a
                words = " and ".join(f"axis {a} of the output with axis {b - first} of the input" for a, b in pairs)
                yield f"exchanges {words}", tensor.transpose(order_list).reshape(view.measured.shape)
    long_axes = [axis for axis in range(len(shape)) if shape[axis] > 1]
    for count in range(1, min(len(long_axes), 6) + 1):
        for axes_of in itertools.combinations(long_axes, count):
            names = sorted({f"axis {axis - first}" if axis >= first else f"output axis {axis}" for axis in axes_of})
            yield f"reversed along {', '.join(names)}", np.flip(tensor, axes_of).reshape(view.measured.shape)


def axis_sets(shape: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
    """Sets of axes of more than one element, large sets first: what is constant along all is so along each."""
    axes = [axis for axis, size in enumerate(shape) if size > 1]
    for count in range(min(len(axes), 4), 0, -1):
        yield from itertools.combinations(axes, count)


def separating_axis(wrong: np.ndarray, right: np.ndarray, shape: tuple[int, ...]) -> tuple[int, list[int]] | None:
    """An output axis whose index alone says whether an output counts, and the indices that do."""
    wrong, right = wrong.reshape(shape), right.reshape(shape)
    for axis in range(len(shape)):
        others = tuple(a for a in range(len(shape)) if a != axis)
        bad, good = wrong.any(axis=others), right.any(axis=others)
        if bad.any() and good.any() and not (bad & good).any():
            return axis, np.flatnonzero(good).tolist()
    return None

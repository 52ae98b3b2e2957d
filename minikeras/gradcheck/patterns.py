"""Patterns of mistakes: how a claimed Jacobian looks beside the measured one.

Both are matrices (outputs, elements of the input); where outputs are too many, one row: the gradient of their weighted
sum. Each pattern is a function that recognises one kind of mistake, tried from the special to the general.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np

from .examine import Evidence


class Pattern(NamedTuple):
    """A kind of `verdict`, in words, and whether it is proven."""

    kind: str
    text: str
    certain: bool


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


def find(e: Evidence) -> Pattern | None:
    """The first pattern that fits."""
    view = _view(e)
    for pattern in PATTERNS:
        found = pattern(view, e)
        if found is not None:
            return found
    return None


def _view(e: Evidence) -> View:
    columns = e.shape if e.whole else None
    if e.claimed is None or e.measured is None or not np.isfinite(e.claimed).all():
        slack = max(1e-6 * e.scale, float(np.minimum(10.0 * e.errors, 1e-3 * e.scale).max(initial=0.0)))
        return View(e.analytic[None], e.numeric[None], slack, (), columns)
    scale = max(np.abs(e.claimed).max(initial=0.0), np.abs(e.measured).max(initial=0.0))
    return View(e.claimed, e.measured, max(1e-6 * float(scale), 1e-300), e.output_shape, columns)


# ---------------------------------------------------------------------- everywhere


def nothing(view: View, e: Evidence) -> Pattern | None:
    """Zero everywhere."""
    if (np.abs(view.claimed) > view.tolerance).any():
        return None
    if not e.arrived:
        return Pattern("zero", "zero where it shouldn't be: no gradient reaches this input (detached)", True)
    return Pattern("zero", f"zero everywhere, where it should be up to {e.scale:.6g}", True)


def spurious(view: View, e: Evidence) -> Pattern | None:
    """A gradient where there is no derivative."""
    if (np.abs(view.measured) > view.tolerance).any():
        return None
    return Pattern("wrong", "wrong: the function does not depend on this input, but its gradient is not zero", False)


def constant_factor(view: View, e: Evidence) -> Pattern | None:
    """The same multiple everywhere."""
    k = _factor(view.claimed, view.measured, view.tolerance)
    if k is None:
        return None
    several = int(np.count_nonzero(np.abs(view.measured) > view.tolerance)) > 1
    if abs(k + 1.0) < 1e-5:
        return Pattern("sign", "wrong sign, everywhere" if several else "perhaps a wrong sign", several)
    certain = several and not (abs(k - 0.5) < 1e-5 and _may_be_two_terms(view, e))
    words = f"{'' if certain else 'perhaps '}wrong by a constant factor of {name_of(k)}{_meaning(k, e)}"
    if not several:
        words = f"wrong, perhaps by a factor of {name_of(k)}{_meaning(k, e)} (there is one derivative only)"
    return Pattern("factor", words, certain)


def _may_be_two_terms(view: View, e: Evidence) -> bool:
    """Whether a half may be one of two equal terms, as of x + x or x * x: the derivative times x is f or 2 f."""
    if not view.rows or view.columns is None or e.outputs is None:
        return True
    along = view.measured @ e.point.reshape(-1).astype(np.float64)
    slack = 1e-6 * float(np.abs(along).max(initial=0.0))
    return _close(along, e.outputs, slack) or _close(along, 2.0 * e.outputs, slack)


# ---------------------------------------------------------------------- moved


def moved(view: View, e: Evidence) -> Pattern | None:
    """The right numbers in other places: axes swapped or reversed."""
    if view.columns is None:
        return None
    count = _distinct(view.measured, view.tolerance)
    for words, arranged in _arrangements(view):
        if _close(view.claimed, arranged, view.tolerance):
            # Outputs in reverse order are what other mistakes of geometry look like, too.
            certain = count > 3 and not (words.startswith("reversed") and "output" in words)
            certain = certain or (words.startswith("its axes") and min(view.columns) > 2 and len(view.columns) == 2)
            return Pattern("transposed", f"{'' if certain else 'perhaps '}transposed: {words}", certain)
    return None


def shifted(view: View, e: Evidence) -> Pattern | None:
    """The right numbers one place off along an axis of the input or of the output."""
    if view.columns is None:
        return None
    measured = view.measured.reshape(*view.rows, *view.columns) if view.rows else view.measured.reshape(view.columns)
    claimed = view.claimed.reshape(measured.shape)
    for axis, by, wraps in itertools.product(range(measured.ndim), (1, -1, 2, -2), (False, True)):
        if measured.shape[axis] <= abs(by):
            continue
        rolled = np.roll(measured, by, axis)
        if not wraps:
            edge = [slice(None)] * measured.ndim
            edge[axis] = slice(0, by) if by > 0 else slice(by, None)
            rolled[tuple(edge)] = 0.0
        if _close(claimed, rolled, view.tolerance) and (np.abs(rolled) > view.tolerance).any():
            what = _axis_name(axis, view)
            certain = _distinct(measured, view.tolerance) > 3
            lead = "wrong" if certain else "wrong, perhaps"
            return Pattern(
                "wrong", f"{lead} as an index is off: the right numbers, shifted by {by} along {what}", certain
            )
    return None


# ---------------------------------------------------------------------- in a part


def partly_zero(view: View, e: Evidence) -> Pattern | None:
    """Right in some elements of the input, zero in the others."""
    wrong = (np.abs(view.claimed - view.measured) > view.tolerance).any(axis=0)
    zero = (np.abs(view.claimed) <= view.tolerance).all(axis=0)
    if not wrong.any() or not zero[wrong].all() or not (~zero).any():
        return None
    return Pattern("zero", f"zero where it shouldn't be: {_columns(wrong, view, e)}; right elsewhere", True)


def partial_sum(view: View, e: Evidence) -> Pattern | None:
    """Some outputs count and others don't: a sum over an axis that was left out, or covers too little."""
    if not view.rows:
        return None
    wrong = np.abs(view.claimed - view.measured) > view.tolerance
    if not (np.abs(view.claimed[wrong]) <= view.tolerance).all():
        return None
    relevant = np.abs(view.measured) > view.tolerance
    right = relevant & ~wrong
    if not right.any():
        return None
    axis = _separating_axis(wrong.any(axis=1), right.any(axis=1), view.rows)
    if axis is not None:
        number, indices = axis
        return Pattern(
            "missing-term",
            f"missing terms along axis {number} of the output: only {_index_words(indices, view.rows[number])} counted",
            True,
        )
    share = np.count_nonzero(wrong) / np.count_nonzero(relevant)
    return Pattern(
        "missing-term",
        f"perhaps missing terms: {share:.0%} of the Jacobian's entries are zero, the others right",
        False,
    )


def sign_in_part(view: View, e: Evidence) -> Pattern | None:
    """The opposite sign in some entries."""
    wrong = np.abs(view.claimed - view.measured) > view.tolerance
    if not _close(view.claimed[wrong], -view.measured[wrong], view.tolerance):
        return None
    columns = wrong.any(axis=0)
    return Pattern("sign", f"perhaps a wrong sign, in a part: {_columns(columns, view, e)}", False)


def factor_along_axis(view: View, e: Evidence) -> Pattern | None:
    """A factor of its own for each index along one axis."""
    if view.columns is None:
        return None
    shape = (*view.rows, *view.columns)
    claimed, measured = view.claimed.reshape(shape), view.measured.reshape(shape)
    for axis in range(len(shape)):
        if not 1 < shape[axis] < measured.size:
            continue
        pairs = zip(np.moveaxis(claimed, axis, 0), np.moveaxis(measured, axis, 0), strict=True)
        factors = [_factor(a, n, view.tolerance) for a, n in pairs if (np.abs(n) > view.tolerance).any()]
        known = [k for k in factors if k is not None]
        if len(known) > 1 and len(known) == len(factors) and _spread(view.measured, view.tolerance):
            shown = ", ".join(f"{k:.4g}" for k in known[:4]) + (", ..." if len(known) > 4 else "")
            return Pattern(
                "wrong", f"wrong by a factor that depends on the index along {_axis_name(axis, view)}: {shown}", True
            )
    return None


# ---------------------------------------------------------------------- terms


def missing_by_axis(view: View, e: Evidence) -> Pattern | None:
    """What is missing is the same along an axis: a mean or a sum that was left out."""
    if view.columns is None or e.analytic.size < 3:
        return None
    missing = (e.numeric - e.analytic).reshape(e.shape)
    numeric = e.numeric.reshape(e.shape)
    slack = 10.0 * view.tolerance if not view.rows else 1e-5 * e.scale
    for axes in _axis_sets(e.shape):
        constant = np.ptp(missing, axis=axes).max() <= slack
        if constant and np.ptp(numeric, axis=axes).max() > 100.0 * slack:
            return Pattern(
                "missing-term", f"perhaps a term is missing, a sum or mean along {_axes_words(axes, e.shape)}", False
            )
    return None


def missing_by_input(view: View, e: Evidence) -> Pattern | None:
    """What is missing is a multiple of the input, as the derivative of a penalty."""
    if len(e.indices) < 3:
        return None
    missing = e.numeric - e.analytic
    x = e.point.reshape(-1)[e.indices].astype(np.float64)
    for words, term in (("the input itself", x), ("the input's sign", np.sign(x)), ("its square", x * x)):
        k = _factor(missing, term, 1e-5 * float(np.abs(missing).max()))
        if k is not None and _distinct(term, 1e-6) > 1:
            return Pattern(
                "missing-term", f"perhaps a term is missing: {k:.6g} times {words}, as of a penalty or a power", False
            )
    return None


def frozen_factor(view: View, e: Evidence) -> Pattern | None:
    """The share of one factor of a product, the other one taken for a constant.

    Where ``f = x * h(x)`` and the share of ``h`` is forgotten, the claimed Jacobian times ``x`` gives ``f``.
    """
    if not view.rows or view.columns is None or e.outputs is None or len(e.indices) < 3:
        return None
    x = e.point.reshape(-1).astype(np.float64)
    slack = 1e-6 * float(np.abs(e.outputs).max(initial=0.0))
    for words, share in (("its own", view.claimed), ("the other", view.measured - view.claimed)):
        if slack > 0.0 and _close(share @ x, e.outputs, slack) and not _close(view.measured @ x, e.outputs, 10 * slack):
            which = "the other" if words == "its own" else "its own"
            return Pattern(
                "missing-term",
                f"perhaps a term of a product is missing: {which} factor's share, as if that were constant",
                False,
            )
    return None


def missing_entries(view: View, e: Evidence) -> Pattern | None:
    """Much of the Jacobian is zero that shouldn't be, and the rest is wrong as well."""
    if not view.rows:
        return None
    relevant = np.abs(view.measured) > view.tolerance
    zero = relevant & (np.abs(view.claimed) <= view.tolerance)
    beside = (~relevant) & (np.abs(view.claimed) > view.tolerance)
    if beside.any() or np.count_nonzero(zero) < 0.25 * np.count_nonzero(relevant):
        return None
    return Pattern(
        "missing-term",
        f"perhaps a term is missing: {np.count_nonzero(zero) / np.count_nonzero(relevant):.0%} of the derivatives that "
        "aren't zero are claimed to be",
        False,
    )


def low_rank(view: View, e: Evidence) -> Pattern | None:
    """What is missing from the Jacobian is of low rank, as sums and means over outputs are."""
    if not view.rows or min(view.claimed.shape) < 4 or max(view.claimed.shape) > 600:
        return None
    wrong = np.abs(view.claimed - view.measured) > view.tolerance
    if 2 * np.count_nonzero(wrong) < np.count_nonzero(np.abs(view.measured) > view.tolerance):
        return None  # a mistake in a few places is of low rank as well
    missing = np.linalg.svd(view.measured - view.claimed, compute_uv=False)
    full = np.linalg.svd(view.measured, compute_uv=False)
    rank = int(np.count_nonzero(missing > 1e-5 * full[0]))
    of = int(np.count_nonzero(full > 1e-5 * full[0]))
    if not 3 * rank <= of:
        return None
    return Pattern(
        "missing-term",
        f"perhaps a term is missing or wrong that couples elements: what differs has rank {rank}, the Jacobian {of}",
        False,
    )


def in_a_part(view: View, e: Evidence) -> Pattern | None:
    """Wrong in some elements only: where, and by how much if that is the same for all."""
    wrong = np.abs(view.claimed - view.measured) > view.tolerance
    columns = wrong.any(axis=0)
    if not columns.any() or columns.all():
        return None
    k = _factor(view.claimed[wrong], view.measured[wrong], view.tolerance)
    if k is None and not (np.abs(view.measured[wrong]) > view.tolerance).any():
        what = "not zero where the function doesn't depend on the input"
    else:
        what = "wrong" if k is None or np.count_nonzero(wrong) < 2 else f"wrong by a factor of {name_of(k)}"
    return Pattern("wrong", f"{what} in a part: {_columns(columns, view, e)}; right elsewhere", True)


Recogniser = Callable[[View, Evidence], "Pattern | None"]
PATTERNS: tuple[Recogniser, ...] = (
    nothing,
    spurious,
    constant_factor,
    moved,
    partly_zero,
    partial_sum,
    shifted,
    sign_in_part,
    factor_along_axis,
    missing_by_axis,
    missing_by_input,
    frozen_factor,
    missing_entries,
    low_rank,
    in_a_part,
)


# ---------------------------------------------------------------------- arithmetic


def _close(one: np.ndarray, other: np.ndarray, tolerance: float) -> bool:
    return bool((np.abs(one - other) <= tolerance).all())


def _factor(claimed: np.ndarray, measured: np.ndarray, tolerance: float) -> float | None:
    """The k of ``claimed = k * measured``, if there is one other than 0."""
    square = float((measured * measured).sum())
    k = float((claimed * measured).sum()) / square if square else 0.0
    if not k or not np.isfinite(k) or not _close(claimed, k * measured, tolerance * max(1.0, abs(k))):
        return None
    return k


def _distinct(values: np.ndarray, tolerance: float) -> int:
    """How many values differ, counted up to ten."""
    ordered = np.sort(values.reshape(-1))
    return min(1 + int(np.count_nonzero(np.diff(ordered) > tolerance)), 10) if ordered.size else 0


def _spread(values: np.ndarray, tolerance: float) -> bool:
    return int(np.count_nonzero(np.abs(values) > tolerance)) > 3


def _arrangements(view: View) -> Iterator[tuple[str, np.ndarray]]:
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


def _axis_sets(shape: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
    """Sets of axes of more than one element, large sets first: what is constant along all is so along each."""
    axes = [axis for axis, size in enumerate(shape) if size > 1]
    for count in range(min(len(axes), 4), 0, -1):
        yield from itertools.combinations(axes, count)


def _separating_axis(wrong: np.ndarray, right: np.ndarray, shape: tuple[int, ...]) -> tuple[int, list[int]] | None:
    """An output axis whose index alone says whether an output counts, and the indices that do."""
    wrong, right = wrong.reshape(shape), right.reshape(shape)
    for axis in range(len(shape)):
        others = tuple(a for a in range(len(shape)) if a != axis)
        bad, good = wrong.any(axis=others), right.any(axis=others)
        if bad.any() and good.any() and not (bad & good).any():
            return axis, np.flatnonzero(good).tolist()
    return None


# ---------------------------------------------------------------------- words


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


def _meaning(k: float, e: Evidence) -> str:
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


def _columns(wrong: np.ndarray, view: View, e: Evidence) -> str:
    """Which elements of the input: an index along an axis where that says it."""
    if view.columns is not None:
        box = [np.unique(indices).tolist() for indices in np.nonzero(wrong.reshape(view.columns))]
        if math.prod(map(len, box)) == np.count_nonzero(wrong):
            parts = zip(range(len(box)), box, view.columns, strict=True)
            return " and ".join(
                f"{_index_words(indices, size)} along axis {axis}"
                for axis, indices, size in parts
                if len(indices) < size
            )
    return f"{np.count_nonzero(wrong)} of {len(wrong)} elements, as {places(e.shape, e.indices[wrong])}"


def _index_words(indices: list[int], size: int) -> str:
    if len(indices) == 1:
        last = " (the last)" if indices[0] == size - 1 and size > 1 else ""
        return f"index {indices[0]}{last}"
    if indices == list(range(indices[0], indices[-1] + 1)):
        return f"indices {indices[0]} to {indices[-1]}"
    return "indices " + ", ".join(map(str, indices[:6])) + (", ..." if len(indices) > 6 else "")


def _axis_name(axis: int, view: View) -> str:
    first = len(view.rows)
    return f"axis {axis} of the output" if axis < first else f"axis {axis - first}"


def _axes_words(axes: tuple[int, ...], shape: tuple[int, ...]) -> str:
    if len(axes) == 1:
        return f"axis {axes[0]}"
    return f"the axes {', '.join(map(str, axes))}"

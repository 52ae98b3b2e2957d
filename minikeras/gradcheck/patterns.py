"""Patterns of mistakes: how a claimed Jacobian looks beside the measured one.

Both are matrices (outputs, elements of the input); where outputs are too many, one row: the gradient of their weighted
sum. Each pattern is a function that recognises one kind of mistake, tried from the special to the general.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from .examine import Evidence
from .views import View, arrangements, axis_sets, close, distinct, factor, separating_axis, spread, view_of
from .wording import axes_words, axis_name, columns_in_words, index_words, meaning, name_of


class Pattern(NamedTuple):
    """A kind of `verdict`, in words, and whether it is proven."""

    kind: str
    text: str
    certain: bool


def find(e: Evidence) -> Pattern | None:
    """The first pattern that fits."""
    view = view_of(e)
    for pattern in PATTERNS:
        found = pattern(view, e)
        if found is not None:
            return found
    return None


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
    k = factor(view.claimed, view.measured, view.tolerance)
    if k is None:
        return None
    several = int(np.count_nonzero(np.abs(view.measured) > view.tolerance)) > 1
    if abs(k + 1.0) < 1e-5:
        return Pattern("sign", "wrong sign, everywhere" if several else "perhaps a wrong sign", several)
    certain = several and not (abs(k - 0.5) < 1e-5 and _may_be_two_terms(view, e))
    words = f"{'' if certain else 'perhaps '}wrong by a constant factor of {name_of(k)}{meaning(k, e)}"
    if not several:
        words = f"wrong, perhaps by a factor of {name_of(k)}{meaning(k, e)} (there is one derivative only)"
    return Pattern("factor", words, certain)


def _may_be_two_terms(view: View, e: Evidence) -> bool:
    """Whether a half may be one of two equal terms, as of x + x or x * x: the derivative times x is f or 2 f."""
    if not view.rows or view.columns is None or e.outputs is None:
        return True
    along = view.measured @ e.point.reshape(-1).astype(np.float64)
    slack = 1e-6 * float(np.abs(along).max(initial=0.0))
    return close(along, e.outputs, slack) or close(along, 2.0 * e.outputs, slack)


# ---------------------------------------------------------------------- moved


def moved(view: View, e: Evidence) -> Pattern | None:
    """The right numbers in other places: axes swapped or reversed."""
    if view.columns is None:
        return None
    count = distinct(view.measured, view.tolerance)
    for words, arranged in arrangements(view):
        if close(view.claimed, arranged, view.tolerance):
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
        if close(claimed, rolled, view.tolerance) and (np.abs(rolled) > view.tolerance).any():
            what = axis_name(axis, view)
            certain = distinct(measured, view.tolerance) > 3
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
    return Pattern("zero", f"zero where it shouldn't be: {columns_in_words(wrong, view, e)}; right elsewhere", True)


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
    axis = separating_axis(wrong.any(axis=1), right.any(axis=1), view.rows)
    if axis is not None:
        number, indices = axis
        return Pattern(
            "missing-term",
            f"missing terms along axis {number} of the output: only {index_words(indices, view.rows[number])} counted",
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
    if not close(view.claimed[wrong], -view.measured[wrong], view.tolerance):
        return None
    columns = wrong.any(axis=0)
    return Pattern("sign", f"perhaps a wrong sign, in a part: {columns_in_words(columns, view, e)}", False)


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
        factors = [factor(a, n, view.tolerance) for a, n in pairs if (np.abs(n) > view.tolerance).any()]
        known = [k for k in factors if k is not None]
        if len(known) > 1 and len(known) == len(factors) and spread(view.measured, view.tolerance):
            shown = ", ".join(f"{k:.4g}" for k in known[:4]) + (", ..." if len(known) > 4 else "")
            return Pattern(
                "wrong", f"wrong by a factor that depends on the index along {axis_name(axis, view)}: {shown}", True
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
    for axes in axis_sets(e.shape):
        constant = np.ptp(missing, axis=axes).max() <= slack
        if constant and np.ptp(numeric, axis=axes).max() > 100.0 * slack:
            return Pattern(
                "missing-term", f"perhaps a term is missing, a sum or mean along {axes_words(axes, e.shape)}", False
            )
    return None


def missing_by_input(view: View, e: Evidence) -> Pattern | None:
    """What is missing is a multiple of the input, as the derivative of a penalty."""
    if len(e.indices) < 3:
        return None
    missing = e.numeric - e.analytic
    x = e.point.reshape(-1)[e.indices].astype(np.float64)
    for words, term in (("the input itself", x), ("the input's sign", np.sign(x)), ("its square", x * x)):
        k = factor(missing, term, 1e-5 * float(np.abs(missing).max()))
        if k is not None and distinct(term, 1e-6) > 1:
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
        if slack > 0.0 and close(share @ x, e.outputs, slack) and not close(view.measured @ x, e.outputs, 10 * slack):
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
    k = factor(view.claimed[wrong], view.measured[wrong], view.tolerance)
    if k is None and not (np.abs(view.measured[wrong]) > view.tolerance).any():
        what = "not zero where the function doesn't depend on the input"
    else:
        what = "wrong" if k is None or np.count_nonzero(wrong) < 2 else f"wrong by a factor of {name_of(k)}"
    return Pattern("wrong", f"{what} in a part: {columns_in_words(columns, view, e)}; right elsewhere", True)


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

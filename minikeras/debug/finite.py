"""Whether arrays are finite, and where they are not."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

_TESTS = {"nan": np.isnan, "inf": np.isinf}
_NAMES = {"nan": "NaN", "inf": "infinity"}


@dataclass(frozen=True, slots=True)
class Defect:
    """What is wrong with an array.

    Attributes:
        kind: "NaN" or "infinity"; NaN if there are both.
        index: The first element of that kind, one int for each axis.
        count: How many elements are of that kind.
        shape: Of the array.
    """

    kind: str
    index: tuple[int, ...]
    count: int
    shape: tuple[int, ...]

    def __str__(self) -> str:
        size = math.prod(self.shape)
        if size == 1:
            return "the only element"
        return f"{self.count:,} of {size:,} elements, the first at [{', '.join(map(str, self.index))}]"


def is_finite(array: np.ndarray) -> bool:
    """Whether all elements are; a sum says so without an array of answers, unless it overflows.

    Args:
        array: Numbers, of any shape.
    """
    with np.errstate(all="ignore"):
        return bool(np.isfinite(array.sum())) or bool(np.isfinite(array).all())


def find_defect(array: Any, kinds: tuple[str, ...]) -> Defect | None:
    """The first element that is not a finite number, of one of the kinds asked for.

    Args:
        array: An ndarray or a number; integers, and anything else, have no defects.
        kinds: Of "nan" and "inf", what counts.
    """
    array = np.asarray(array) if isinstance(array, float) else array
    if not isinstance(array, np.ndarray) or array.dtype.kind != "f" or is_finite(array):
        return None
    for kind in ("nan", "inf"):
        if kind in kinds:
            bad = _TESTS[kind](array)
            if count := int(np.count_nonzero(bad)):
                index = np.unravel_index(int(bad.argmax()), bad.shape)
                return Defect(_NAMES[kind], tuple([int(i) for i in index]), count, array.shape)
    return None

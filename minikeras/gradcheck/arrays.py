"""Lists of arrays: the values and the gradients of a subject."""

from __future__ import annotations

import numpy as np

Arrays = list[np.ndarray]


def epsilon_of(arrays: Arrays) -> float:
    """The rounding of the least precise of some arrays."""
    return max((float(np.finfo(array.dtype).eps) for array in arrays), default=0.0)


def type_of(values: Arrays, beside: Arrays) -> str | None:
    """The narrow type that holds all float64 values, and those at a random point beside, where there are others."""
    if not values or any(value.dtype != np.float64 for value in values) or same_values(values, beside):
        return None
    for name in ("float16", "float32"):
        with np.errstate(all="ignore"):
            if all(np.array_equal(value, value.astype(name)) for value in (*values, *beside)):
                return name
    return None


def same_values(one: Arrays, other: Arrays) -> bool:
    return all(map(np.array_equal, one, other))


def flat(arrays: Arrays) -> np.ndarray:
    if len(arrays) == 1:
        return arrays[0].reshape(-1).astype(np.float64, copy=False)
    return np.concatenate([a.reshape(-1).astype(np.float64, copy=False) for a in arrays]) if arrays else np.zeros(0)


def same_bits(one: np.ndarray, other: np.ndarray) -> bool:
    return one.tobytes() == other.tobytes()


def doubled(arrays: Arrays) -> Arrays:
    return [array.astype(np.float64) for array in arrays]

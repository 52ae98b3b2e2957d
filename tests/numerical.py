"""Numerical gradients in float64, first and second order, for the tests of operations, layers and losses."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from minikeras import Tensor, ops
from minikeras.core import tape

# Central differences with one Richardson step err by O(step**4) and by rounding / step: about 1e-12 both.
STEP = 1e-3
FULL = 40  # arrays up to this size are checked element by element, larger ones along random directions
DIRECTIONS = 4


def check_gradients(
    f: Callable[..., Any], arrays: Sequence[Any], *, order: int = 2, seed: int = 0, tol: float = 1e-8
) -> None:
    """Assert that the engine's gradients of ``f`` agree with differences of its values.

    Args:
        f: takes one Tensor per array and returns a Tensor or a tuple or list of Tensors (None entries are skipped).
            It must be the same function at every call, and smooth within 2e-3 of the arrays.
        arrays: floating-point arrays are converted to float64 and differentiated; others are passed as they are.
        order: 1 checks the gradient of ``sum(f(*arrays) * cotangent)`` with a random cotangent; 2 also that of
            ``<gradient, v>`` for a random ``v``, in the arrays and in the cotangent.
        seed: of the cotangent and the directions.
        tol: largest error, relative to the largest element of the numerical gradient or 1, whichever is more.
    """
    rng = np.random.default_rng(seed)
    points = [_double(array) for array in arrays]
    count = len(points)
    cotangents = [rng.standard_normal(output.shape) for output in _outputs(f, _leaves(points))]
    weights = [rng.standard_normal(np.shape(point)) for point in points]

    def weighted_sum(*xs: Tensor) -> Tensor:
        return _dot(_outputs(f, xs), cotangents)

    def slope(*values: Tensor) -> Tensor:
        xs, directions = values[:count], values[count:]
        pairs = [(o, c) for o, c in zip(_outputs(f, xs), directions, strict=True) if o.requires_grad]
        inputs = [x for x in xs if _differentiable(x)]
        found = tape.gradients([o for o, _ in pairs], inputs, [c for _, c in pairs], create_graph=True)
        wanted = [w for w, x in zip(weights, xs, strict=True) if _differentiable(x)]
        kept = [(g, w) for g, w in zip(found, wanted, strict=True) if g is not None]
        return _dot([g for g, _ in kept], [w for _, w in kept])

    _compare(weighted_sum, points, rng, tol, "first order")
    if order >= 2:
        _compare(slope, points + cotangents, rng, 10 * tol, "second order")


def _compare(function: Callable[..., Tensor], points: list[Any], rng: Any, tol: float, what: str) -> None:
    leaves = _leaves(points)
    before = [np.copy(point) for point in points]
    value = function(*leaves)
    inputs = [leaf for leaf in leaves if _differentiable(leaf)]
    found: list[Any] = tape.gradients(value, inputs) if value.requires_grad else [None] * len(inputs)
    for point, copy in zip(points, before, strict=True):
        np.testing.assert_array_equal(point, copy, err_msg="the function or its gradient wrote into an input")
    gradients = iter(found)
    for i, leaf in enumerate(leaves):
        if not _differentiable(leaf):
            continue
        gradient = next(gradients)
        analytic = np.zeros(leaf.shape) if gradient is None else gradient.numpy()
        assert analytic.shape == leaf.shape, f"{what}, input {i}: gradient of shape {analytic.shape} for {leaf.shape}"
        assert analytic.dtype == np.float64, f"{what}, input {i}: gradient of dtype {analytic.dtype}"
        _assert_close(analytic, *_numerical(function, points, i, rng), tol, f"{what}, input {i}")


def _numerical(
    function: Callable[..., Tensor], points: list[Any], i: int, rng: Any
) -> tuple[list[np.ndarray], np.ndarray]:
    """Directions in the space of input ``i``, and the slope of the function along each."""
    shape, size = points[i].shape, points[i].size
    basis = np.eye(size) if size <= FULL else rng.standard_normal((DIRECTIONS, size))
    directions = [row.reshape(shape) for row in basis]

    def at(distance: float, direction: np.ndarray) -> float:
        moved = [*points]
        moved[i] = points[i] + distance * direction
        return float(function(*_leaves(moved)).numpy())

    def central(h: float, direction: np.ndarray) -> float:
        return (at(h, direction) - at(-h, direction)) / (2 * h)

    slopes = [(4 * central(STEP / 2, d) - central(STEP, d)) / 3 for d in directions]
    return directions, np.array(slopes)


def _assert_close(
    analytic: np.ndarray, directions: list[np.ndarray], slopes: np.ndarray, tol: float, what: str
) -> None:
    along = np.array([np.sum(analytic * d) for d in directions])
    if not along.size:
        return
    errors = np.abs(along - slopes) / max(1.0, np.abs(slopes).max())
    worst = int(np.argmax(np.where(np.isnan(errors), np.inf, errors)))
    index = tuple(int(k) for k in np.unravel_index(worst, analytic.shape))
    place = index if len(directions) == analytic.size else f"direction {worst}"
    assert errors[worst] <= tol, (
        f"{what}, at {place}: the engine says {along[worst]:.12g}, differences say {slopes[worst]:.12g} "
        f"(relative error {errors[worst]:.2g}, allowed {tol:.2g})"
    )


def _double(array: Any) -> Any:
    array = np.asarray(array)
    return array.astype(np.float64, copy=False) if array.dtype.kind == "f" else array


def _leaves(points: Sequence[Any]) -> list[Tensor]:
    return [Tensor(point, requires_grad=point.dtype.kind == "f") for point in points]


def _differentiable(x: Tensor) -> bool:
    return x.dtype.kind == "f"


def _outputs(f: Callable[..., Any], xs: Sequence[Tensor]) -> list[Tensor]:
    result = f(*xs)
    return [o for o in result if o is not None] if isinstance(result, (tuple, list)) else [result]


def _dot(tensors: Sequence[Tensor], weights: Sequence[np.ndarray]) -> Tensor:
    total = Tensor(np.zeros(()))
    for tensor, weight in zip(tensors, weights, strict=True):
        total = total + ops.sum(tensor * weight)
    return total

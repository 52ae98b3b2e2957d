"""Numerical gradients in float64, first and second order, for the tests of operations, layers and losses."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from minikeras.gradcheck import assert_gradients


def check_gradients(
    f: Callable[..., Any], arrays: Sequence[Any], *, order: int = 2, seed: int = 0, tol: float | None = None
) -> None:
    """Assert that the engine's gradients of ``f`` agree with differences of its values.

    Args:
        f: takes one Tensor per array and returns a Tensor or a tuple or list of Tensors (None entries are skipped).
            It must be the same function at every call.
        arrays: floating-point arrays are converted to float64 and differentiated; others are passed as they are.
        order: 1 checks the gradient of ``sum(f(*arrays) * cotangent)`` with a random cotangent; 2 also that of
            ``<gradient, v>`` for a random ``v``, in the arrays and in the cotangent.
        seed: of the cotangent and the directions.
        tol: largest error, relative to the largest derivative.
    """
    assert_gradients(f, list(arrays), order=order, seed=seed, rtol=tol)

"""What the tests of functions share: Keras 2.2.4's values of them, and derivatives against finite differences."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np

from minikeras import Tensor, grad, hvp

_STEP = 1e-5


@cache
def reference() -> dict[str, np.ndarray]:
    """The arrays of tests/reference/keras224/functions.npz."""
    with np.load(Path(__file__).parent / "reference" / "keras224" / "functions.npz") as stored:
        return dict(stored)


def reference_names(kind: str) -> list[str]:
    """What the reference has of a kind: "act", "loss", "reg" give names, "constraint" and "opt" ``NAME/KWARGS``."""
    depth = 2 if kind in ("act", "loss", "reg") else 3
    keys = [key.split("/") for key in reference()]
    return sorted({"/".join(parts[1:depth]) for parts in keys if parts[0] == kind and len(parts) >= 3})


def assert_close(found: Tensor | np.ndarray, expected: np.ndarray) -> None:
    """Fail unless they agree to 1e-9 (1e-5 where float32 was computed with) of the largest absolute value."""
    found = found.numpy() if isinstance(found, Tensor) else np.asarray(found)
    assert found.shape == expected.shape
    tolerance = 1e-5 if np.float32 in (found.dtype, expected.dtype) else 1e-9
    np.testing.assert_allclose(found, expected, rtol=0, atol=tolerance * (np.abs(expected).max() or 1.0))


def check_derivatives(function: Callable[[Tensor], Tensor], x: np.ndarray) -> None:
    """Compare first and second derivatives of ``sum(c * function(x))`` with central differences, c random."""
    rng = np.random.default_rng(7)
    weights = rng.normal(size=function(Tensor(x)).shape)
    direction = rng.normal(size=x.shape)

    def scalar(x: Tensor) -> Tensor:
        return (function(x) * weights).sum()

    ahead, behind = x + _STEP * direction, x - _STEP * direction
    slope = (scalar(Tensor(ahead)).item() - scalar(Tensor(behind)).item()) / (2 * _STEP)
    np.testing.assert_allclose((grad(scalar)(x).numpy() * direction).sum(), slope, rtol=1e-6, atol=1e-8)
    bend = (grad(scalar)(ahead).numpy() - grad(scalar)(behind).numpy()) / (2 * _STEP)
    np.testing.assert_allclose(hvp(scalar, x, direction).numpy(), bend, rtol=1e-5, atol=1e-7)

"""What the tests of functions share: Keras 2.2.4's values of them."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np

from minikeras import Tensor


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

"""One line per call: its value, computed independently, then the same recorded and fed, and its derivatives."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import pytest

from minikeras import backend as K
from tests.numerical import check_gradients


class Case(NamedTuple):
    """A call of a function of the backend.

    Attributes:
        name: the function.
        call: the call, from tensors.
        arrays: what they hold.
        expected: what it gives: an array, or several.
        free: which of the arrays have a free first dimension when the call is recorded.
        smooth: whether its derivatives are compared with differences.
    """

    name: str
    call: Callable[..., Any]
    arrays: Sequence[Any]
    expected: Any
    free: tuple[int, ...] = (0,)
    smooth: bool = True

    def check_value(self) -> None:
        assert_same(self.call(*[K.constant(a, dtype=a.dtype) for a in self.arrays]), self.expected)

    def check_recorded(self) -> None:
        inputs = [
            K.placeholder((None, *a.shape[1:]) if i in self.free else a.shape, dtype=a.dtype)
            for i, a in enumerate(self.arrays)
        ]
        outputs = self.call(*inputs)
        several = isinstance(outputs, tuple)
        found = K.function(inputs, list(outputs) if several else [outputs])(self.arrays)
        for symbol, value in zip(outputs if several else [outputs], found, strict=True):
            assert value.dtype == symbol.dtype
            assert len(symbol.shape) == value.ndim
            assert all(known in (None, n) for known, n in zip(symbol.shape, value.shape, strict=True))
        assert_same(tuple(found) if several else found[0], self.expected)

    def check_gradient(self) -> None:
        check_gradients(self.call, self.arrays)


def assert_same(found: Any, expected: Any) -> None:
    if isinstance(expected, tuple):
        assert len(found) == len(expected)
        for one, other in zip(found, expected, strict=True):
            assert_same(one, other)
        return
    found, expected = np.asarray(found), np.asarray(expected)
    assert found.shape == expected.shape
    assert (found.dtype.kind == "b") == (expected.dtype.kind == "b")
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-9)


def parametrize(cases: Sequence[Case]) -> Any:
    """Decorator: run a test once per case."""
    return pytest.mark.parametrize("case", [pytest.param(c, id=f"{c.name}-{i}") for i, c in enumerate(cases)])


def normal(*shape: int, seed: int = 0) -> np.ndarray:
    """Standard normal numbers, none nearer to zero than 0.05."""
    values = np.random.default_rng([seed, *shape]).standard_normal(shape)
    return np.asarray(values + 0.05 * np.sign(values))


def positive(*shape: int, seed: int = 0) -> np.ndarray:
    """Numbers from 0.1 to 0.9."""
    return np.random.default_rng([seed, *shape]).uniform(0.1, 0.9, shape)

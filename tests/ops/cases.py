"""Gradient cases of operations: each module of tests has a table of them, `test_every_operation.py` looks for gaps."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import pytest

from minikeras.core.primitive import Primitive
from tests.numerical import check_gradients


class Case(NamedTuple):
    """One call whose derivatives are compared with differences."""

    operation: Primitive
    label: str
    function: Callable[..., Any]
    arrays: Sequence[Any]

    def check(self) -> None:
        check_gradients(self.function, self.arrays)


def parametrize(cases: Sequence[Case]) -> Any:
    """Decorator: run a test once per case."""
    return pytest.mark.parametrize("case", [pytest.param(c, id=f"{c.operation.name}-{c.label}") for c in cases])


def normal(*shape: int, seed: int = 0) -> np.ndarray:
    """Standard normal numbers, none nearer to zero than 0.05: away from the kinks there."""
    values = np.random.default_rng([seed, *shape]).standard_normal(shape)
    return np.asarray(values + 0.05 * np.sign(values))


def positive(*shape: int, seed: int = 0) -> np.ndarray:
    """Numbers between 0.5 and 2."""
    return np.random.default_rng([seed, *shape]).uniform(0.5, 2.0, shape)


def inside(*shape: int, seed: int = 0) -> np.ndarray:
    """Numbers between -0.9 and 0.9."""
    return np.random.default_rng([seed, *shape]).uniform(-0.9, 0.9, shape)


def distinct(*shape: int, seed: int = 0) -> np.ndarray:
    """Numbers that are at least 0.1 apart."""
    size = int(np.prod(shape, dtype=int))
    return (np.random.default_rng([seed, *shape]).permutation(size).reshape(shape) - size / 2) * 0.1 + 0.033

"""Every primitive has a gradient case in its module of tests, or is listed here as one without a derivative."""

from __future__ import annotations

import importlib
import pkgutil

import pytest

import minikeras.ops
from minikeras.core.primitive import Primitive
from tests.ops import test_conv, test_elementwise, test_linalg, test_nn, test_pool, test_reduce, test_resize, test_shape

TABLES = [test_conv, test_elementwise, test_linalg, test_nn, test_pool, test_reduce, test_resize, test_shape]
WITHOUT_DERIVATIVE = {
    "all", "any", "argmax", "argmin", "equal", "greater", "greater_equal", "isfinite", "isinf", "isnan", "less",
    "less_equal", "logical_and", "logical_not", "logical_or", "not_equal", "conv_gradients", "stop_gradient",
}  # fmt: skip


def primitives() -> dict[str, Primitive]:
    """All primitives in `minikeras.ops` and its modules, by module and name."""
    found = {}
    names = [m.name for m in pkgutil.walk_packages(minikeras.ops.__path__, "minikeras.ops.")]
    for module in map(importlib.import_module, ["minikeras.ops", *names]):
        for value in vars(module).values():
            if isinstance(value, Primitive):
                found[f"{value.__module__}.{value.name}"] = value
    return found


def test_the_walk_finds_the_operations() -> None:
    assert len(primitives()) > 80


@pytest.mark.parametrize("name", sorted(primitives()))
def test_every_primitive_has_a_gradient_case_or_is_listed_without_derivative(name: str) -> None:
    operation = primitives()[name]
    tested = any(case.operation is operation for table in TABLES for case in table.CASES)
    assert tested != (operation.name in WITHOUT_DERIVATIVE)
    assert operation._differentiable != (operation.name in WITHOUT_DERIVATIVE)


@pytest.mark.parametrize("name", sorted(primitives()))
def test_every_primitive_has_a_docstring_and_a_name(name: str) -> None:
    operation = primitives()[name]
    assert operation.name.isidentifier()
    assert operation.__doc__ or operation.name in {"concatenate", "matmul", "getitem", "einsum", "relu"}

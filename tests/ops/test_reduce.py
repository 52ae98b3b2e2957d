from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from minikeras import Tensor, ops
from minikeras.core.tape import gradients
from tests.ops.cases import Case, distinct, normal, parametrize, positive

REDUCTIONS = {
    ops.sum: np.sum, ops.mean: np.mean, ops.prod: np.prod, ops.max: np.max, ops.min: np.min, ops.var: np.var,
    ops.std: np.std, ops.norm: lambda x, **axes: np.sqrt(np.sum(x**2, **axes)),
    ops.logsumexp: lambda x, **axes: np.log(np.sum(np.exp(x), **axes)),
}  # fmt: skip
TRUTHS = {ops.any: np.any, ops.all: np.all, ops.argmax: np.argmax, ops.argmin: np.argmin}
AXES: list[Any] = [None, 0, -1, 1, (0, 2), (-1, 0), (), [1, 2]]


def of(axis: Any, keepdims: bool, operation: Any) -> Any:
    return lambda x: operation(x, axis=axis, keepdims=keepdims)


CASES = [
    *[
        Case(operation, f"axis={axis}, keepdims={keepdims}", of(axis, keepdims, operation), [distinct(2, 3, 2)])
        for operation in REDUCTIONS
        for axis in AXES
        for keepdims in (False, True)
        if not (axis == () and operation in (ops.var, ops.std))  # a constant: zero, with a kink in std
    ],
    *[Case(operation, "0-d", operation, [positive()]) for operation in REDUCTIONS if operation is not ops.std],
    *[Case(operation, "transposed", of(0, False, operation), [distinct(3, 4).T]) for operation in REDUCTIONS],
    *[Case(operation, "empty", of(1, False, operation), [normal(0, 3)]) for operation in REDUCTIONS],
    *[Case(operation, "of nothing", of(0, False, operation), [normal(0, 3)]) for operation in (ops.sum, ops.prod)],
    Case(ops.prod, "one zero", ops.prod, [np.array([1.5, 0.0, -2.0, 0.7])]),
    Case(ops.prod, "two zeros", lambda x: ops.prod(x, axis=1), [np.array([[1.5, 0.0, 2.0, 0.0], [1, 2, 3, 4]])]),
    Case(ops.prod, "one element", lambda x: ops.prod(x, axis=1), [normal(3, 1)]),
    *[
        Case(operation, f"axis={axis}", lambda x, f=operation, axis=axis: f(x, axis=axis), [normal(3, 5)])
        for operation in (ops.cumsum, ops.cumprod)
        for axis in (0, 1, -1)
    ],
    Case(ops.cumsum, "empty", ops.cumsum, [normal(0, 2)]),
    Case(ops.cumprod, "empty", ops.cumprod, [normal(0, 2)]),
    Case(ops.cumprod, "zeros", ops.cumprod, [np.array([1.5, 0.0, -2.0, 0.0, 0.7])]),
    *[
        Case(ops.sum_to, str(shape), lambda x, shape=shape: ops.sum_to(x, shape), [normal(2, 3, 4)])
        for shape in [(), (4,), (1, 4), (3, 1), (2, 1, 1), (2, 3, 4)]
    ],
]  # fmt: skip


@parametrize(CASES)
def test_the_gradient_is_that_of_differences(case: Case) -> None:
    case.check()


@pytest.mark.parametrize("operation", REDUCTIONS, ids=lambda o: o.name)
@pytest.mark.parametrize("axis", AXES, ids=str)
@pytest.mark.parametrize("keepdims", [False, True])
def test_values_are_numpys(operation: Any, axis: Any, keepdims: bool) -> None:
    x = normal(2, 3, 4)
    expected = REDUCTIONS[operation](x, axis=tuple(axis) if isinstance(axis, list) else axis, keepdims=keepdims)
    result = operation(x, axis, keepdims)
    np.testing.assert_allclose(result.numpy(), expected, rtol=1e-13, atol=1e-15)
    assert result.shape == expected.shape
    assert operation(x.astype(np.float32), axis, keepdims).dtype == np.float32


@pytest.mark.parametrize("operation", TRUTHS, ids=lambda o: o.name)
@pytest.mark.parametrize("axis", [None, 0, -1])
@pytest.mark.parametrize("keepdims", [False, True])
def test_truths_and_positions_are_numpys(operation: Any, axis: Any, keepdims: bool) -> None:
    x = np.round(normal(3, 4))
    result = operation(Tensor(x, requires_grad=True), axis=axis, keepdims=keepdims)
    np.testing.assert_array_equal(result.numpy(), TRUTHS[operation](x, axis=axis, keepdims=keepdims))
    assert not result.requires_grad


@pytest.mark.parametrize(("operation", "function"), [(ops.cumsum, np.cumsum), (ops.cumprod, np.cumprod)])
@pytest.mark.parametrize("axis", [0, 1, -1])
def test_running_values_are_numpys(operation: Any, function: Any, axis: int) -> None:
    np.testing.assert_allclose(operation(normal(3, 4), axis=axis).numpy(), function(normal(3, 4), axis=axis))


def test_tied_extrema_share_the_gradient_evenly() -> None:
    for operation, values in [(ops.max, [2.0, 1.0, 2.0]), (ops.min, [0.0, 1.0, 0.0])]:
        x = Tensor(np.array([values, [1.0, 1.0, 1.0]]), requires_grad=True)
        (slope,) = gradients(operation(x, axis=1), [x], np.ones(2))
        np.testing.assert_allclose(slope.numpy(), [[0.5, 0, 0.5], [1 / 3, 1 / 3, 1 / 3]])


@pytest.mark.parametrize("operation", [ops.norm, ops.std], ids=lambda o: o.name)
def test_the_derivative_of_a_length_at_zero_is_zero(operation: Any) -> None:
    x = Tensor(np.zeros(3), requires_grad=True)
    (slope,) = gradients(operation(x), [x])
    np.testing.assert_array_equal(slope.numpy(), np.zeros(3))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_logsumexp_of_large_numbers_is_exact(dtype: Any) -> None:
    x = Tensor(np.array([[1e4, 1e4], [-1e4, -1e4], [-np.inf, 3.0]], dtype), requires_grad=True)
    result = ops.logsumexp(x, axis=1)
    np.testing.assert_allclose(result.numpy(), [1e4 + np.log(2), -1e4 + np.log(2), 3.0], rtol=1e-6)
    (slope,) = gradients(result.sum(), [x])
    np.testing.assert_allclose(slope.numpy(), [[0.5, 0.5], [0.5, 0.5], [0.0, 1.0]])


def test_logsumexp_of_nothing_but_minus_infinity_is_minus_infinity() -> None:
    assert ops.logsumexp(np.full(3, -np.inf)).item() == -np.inf


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: ops.sum(np.ones((2, 3)), axis=2), "sum: axis 2 is out of bounds.*x of shape \\(2, 3\\)"),
        (lambda: ops.mean(np.ones((2, 3)), axis=(0, 0)), "mean: duplicate"),
        (lambda: ops.max(np.ones((0, 3)), axis=0), "max: zero-size array"),
        (lambda: ops.argmax(np.zeros(0)), "argmax: .*empty"),
        (lambda: ops.sum_to(np.ones((2, 3)), (2, 2)), "sum_to: .*\\(2, 3\\).*\\(2, 2\\)"),
    ],
)
def test_a_wrong_call_names_the_operation(call: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from minikeras import Tensor, kernels, ops
from tests.ops.cases import Case, distinct, normal, parametrize

# (lengths, window, strides, padding)
POOLINGS: list[tuple[Any, ...]] = [
    ((6,), (2,), (2,), ((0, 0),)),
    ((7,), (3,), (1,), ((1, 1),)),
    ((5,), (2,), (3,), ((0, 1),)),
    ((4, 4), (2, 2), (2, 2), ((0, 0), (0, 0))),
    ((5, 4), (3, 2), (2, 1), ((1, 1), (0, 1))),
    ((4, 5), (2, 3), (3, 2), ((0, 1), (1, 1))),
    ((3, 4, 3), (2, 2, 2), (1, 2, 1), ((0, 0), (0, 0), (1, 0))),
    ((2, 2, 2), (2, 2, 2), (2, 2, 2), ((0, 0), (0, 0), (0, 0))),
]


def cases() -> list[Case]:
    found = []
    for lengths, window, strides, padding in POOLINGS:
        static = {"window": window, "strides": strides, "padding": padding}
        x = distinct(2, *lengths, 2)
        y, index = kernels.max_pool(x, **static)
        back = {**static, "index": index}
        name = f"{window} {strides} {padding}"
        found += [
            Case(ops.max_pool, name, lambda x, s=static: ops.max_pool(x, **s), [x]),
            Case(ops.pool_gather, name, lambda x, s=back: ops.pool_gather(x, **s), [x]),
            Case(ops.pool_scatter, name, lambda g, n=lengths, s=back: ops.pool_scatter(g, input_size=n, **s), [y]),
            Case(ops.average_pool, name, lambda x, s=static: ops.average_pool(x, **s), [x]),
            Case(
                ops.average_pool_grad,
                name,
                lambda g, n=lengths, s=static: ops.average_pool_grad(g, input_size=n, **s),
                [y],
            ),
        ]
    return found


HALVES = {"window": (2,), "strides": (2,), "padding": ((0, 0),)}
CASES = [*cases(), Case(ops.max_pool, "empty batch", lambda x: ops.max_pool(x, **HALVES), [normal(0, 4, 2)])]


@parametrize(CASES)
def test_the_gradient_is_that_of_differences(case: Case) -> None:
    case.check()


def test_values_are_those_of_every_window() -> None:
    x = normal(2, 6, 3)
    for operation, function in [(ops.max_pool, np.max), (ops.average_pool, np.mean)]:
        expected = function(x.reshape(2, 3, 2, 3), axis=2)
        np.testing.assert_allclose(operation(x, **HALVES).numpy(), expected, rtol=1e-14)
        assert operation(x.astype(np.float32), **HALVES).dtype == np.float32


def test_among_equals_the_first_of_a_window_gets_the_gradient() -> None:
    x = Tensor(np.array([1.0, 1.0, 0.0, 0.0, 3.0, 3.0]).reshape(1, 6, 1), requires_grad=True)
    ops.max_pool(x, window=(3,), strides=(3,), padding=((0, 0),)).sum().backward()
    np.testing.assert_array_equal(x.grad.numpy().ravel(), [1, 0, 0, 0, 1, 0])


def test_padding_neither_wins_nor_counts() -> None:
    x = -np.ones((1, 2, 1))
    static: dict[str, Any] = {"window": (2,), "strides": (1,), "padding": ((1, 1),)}
    np.testing.assert_array_equal(ops.max_pool(x, **static).numpy().ravel(), [-1, -1, -1])
    np.testing.assert_array_equal(ops.average_pool(x, **static).numpy().ravel(), [-1, -1, -1])


def test_backward_of_max_pooling_is_one_kernel_call(monkeypatch: pytest.MonkeyPatch) -> None:
    x = Tensor(normal(2, 6, 3), requires_grad=True)
    loss = ops.max_pool(x, **HALVES).sum()
    calls: list[str] = []
    for name in ("max_pool", "pool_gather", "pool_scatter"):
        kernel = getattr(kernels, name)
        monkeypatch.setattr(kernels, name, lambda *a, f=kernel, name=name, **k: (calls.append(name), f(*a, **k))[1])
    loss.backward()
    assert calls == ["pool_scatter"]


def test_max_pooling_keeps_only_which_element_won() -> None:
    inputs, shapes, out, _, index = ops.max_pool(Tensor(normal(2, 6, 3), requires_grad=True), **HALVES).node.saved
    assert (inputs, shapes, out) == ({}, ((2, 6, 3),), None)
    assert index.dtype == np.uint8


@pytest.mark.parametrize("operation", [ops.max_pool, ops.average_pool], ids=lambda o: o.name)
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"window": 2}, "window must be a tuple of 1"),
        ({"strides": (2, 2)}, "strides must be a tuple of 1"),
        ({"padding": ((0, 0), (0, 0))}, "padding must be a tuple of 1"),
        ({"x": np.ones((2, 3))}, "expected an array \\(N, \\*spatial, channels\\).*x of shape \\(2, 3\\)"),
    ],
)
def test_a_wrong_call_names_the_argument(operation: Any, change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=f"{operation.name}: {message}"):
        operation(**{"x": np.ones((2, 6, 3)), **HALVES, **change})

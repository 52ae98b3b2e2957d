from __future__ import annotations

import operator
from typing import Any

import numpy as np
import pytest

from minikeras import Tensor
from minikeras.core.tape import gradients
from minikeras.ops import interop
from tests.ops.cases import inside, positive

TWO = {
    np.add, np.subtract, np.multiply, np.true_divide, np.floor_divide, np.remainder, np.power, np.float_power,
    np.maximum, np.minimum, np.equal, np.not_equal, np.greater, np.greater_equal, np.less, np.less_equal,
    np.logical_and, np.logical_or,
}  # fmt: skip
ONE = set(interop._UFUNCS) - TWO - {np.matmul}

# One or more calls for each function of the table, of one array
CALLS: dict[Any, list[Any]] = {
    np.sum: [lambda x: np.sum(x), lambda x: np.sum(x, axis=(0, 1)), lambda x: np.sum(x, 1, keepdims=True)],
    np.mean: [lambda x: np.mean(x, axis=-1)],
    np.prod: [lambda x: np.prod(x, axis=0)],
    np.max: [lambda x: np.max(x, axis=0)],
    np.amax: [lambda x: np.amax(x)],
    np.min: [lambda x: np.min(x, axis=1)],
    np.amin: [lambda x: np.amin(x)],
    np.var: [lambda x: np.var(x, axis=0)],
    np.std: [lambda x: np.std(x, axis=0)],
    np.any: [lambda x: np.any(x, axis=0)],
    np.all: [lambda x: np.all(x)],
    np.argmax: [lambda x: np.argmax(x), lambda x: np.argmax(x, axis=1)],
    np.argmin: [lambda x: np.argmin(x, axis=0)],
    np.cumsum: [lambda x: np.cumsum(x), lambda x: np.cumsum(x, axis=1)],
    np.cumprod: [lambda x: np.cumprod(x), lambda x: np.cumprod(x, axis=-1)],
    np.linalg.norm: [lambda x: np.linalg.norm(x), lambda x: np.linalg.norm(x, axis=1, keepdims=True)],
    np.reshape: [lambda x: np.reshape(x, (3, 2))],
    np.ravel: [lambda x: np.ravel(x)],
    np.transpose: [lambda x: np.transpose(x), lambda x: np.transpose(x, (1, 0))],
    np.moveaxis: [lambda x: np.moveaxis(x, 0, -1)],
    np.swapaxes: [lambda x: np.swapaxes(x, 0, 1)],
    np.expand_dims: [lambda x: np.expand_dims(x, 1), lambda x: np.expand_dims(x, axis=(0, -1))],
    np.squeeze: [lambda x: np.squeeze(x[:, :1], axis=1), lambda x: np.squeeze(x[:1, :1])],
    np.broadcast_to: [lambda x: np.broadcast_to(x, (2, 2, 3))],
    np.flip: [lambda x: np.flip(x), lambda x: np.flip(x, 1), lambda x: np.flip(x, axis=(0, 1))],
    np.concatenate: [lambda x: np.concatenate([x, x]), lambda x: np.concatenate([np.ones((2, 1)), x], axis=1)],
    np.stack: [lambda x: np.stack([x, x * x]), lambda x: np.stack([x, x], axis=-1)],
    np.split: [lambda x: np.split(x, 3, axis=1)[1], lambda x: np.split(x, [1])[0]],
    np.repeat: [lambda x: np.repeat(x, 2), lambda x: np.repeat(x, 3, axis=1)],
    np.tile: [lambda x: np.tile(x, 2), lambda x: np.tile(x, (2, 1, 1))],
    np.take: [lambda x: np.take(x, [5, 0, 5]), lambda x: np.take(x, [1, 1], axis=1)],
    np.where: [lambda x: np.where(np.eye(2, 3) > 0, x, 0.5), lambda x: np.where(x > 1.0, 2.0, x)],
    np.clip: [lambda x: np.clip(x, 0.7, 1.2)],
    np.round: [lambda x: np.round(x)],
    np.zeros_like: [lambda x: np.zeros_like(x), lambda x: np.zeros_like(x, dtype=int)],
    np.ones_like: [lambda x: np.ones_like(x)],
    np.dot: [lambda x: np.dot(x, np.ones((3, 2))), lambda x: np.dot(np.ones(2), x)],
    np.tensordot: [lambda x: np.tensordot(x, x), lambda x: np.tensordot(x, np.ones((2, 2)), axes=([0], [1]))],
    np.einsum: [lambda x: np.einsum("ij,kj->ik", x, x)],
    np.shape: [np.shape],
    np.ndim: [np.ndim],
    np.size: [np.size],
}  # fmt: skip


def value(result: Any) -> Any:
    return result.numpy() if isinstance(result, Tensor) else result


@pytest.mark.parametrize("ufunc", sorted(ONE, key=lambda f: f.__name__), ids=lambda f: f.__name__)
def test_functions_of_one_operand_take_tensors(ufunc: Any) -> None:
    x = np.abs(inside(2, 3))
    result = ufunc(Tensor(x))
    assert isinstance(result, Tensor)
    np.testing.assert_array_equal(result.numpy(), ufunc(x))


@pytest.mark.parametrize("ufunc", sorted(TWO, key=lambda f: f.__name__), ids=lambda f: f.__name__)
def test_functions_of_two_operands_take_tensors_on_either_side(ufunc: Any) -> None:
    x, y = positive(2, 3), positive(3, seed=1)
    for result in (ufunc(Tensor(x), y), ufunc(x, Tensor(y)), ufunc(Tensor(x), Tensor(y))):
        assert isinstance(result, Tensor)
        np.testing.assert_array_equal(result.numpy(), ufunc(x, y))


def test_the_calls_below_reach_every_function_of_the_table() -> None:
    assert set(CALLS) == set(interop._FUNCTIONS)


@pytest.mark.parametrize(
    ("function", "call"), [pytest.param(f, call, id=f.__name__) for f, calls in CALLS.items() for call in calls]
)
def test_other_functions_take_tensors_and_keep_the_gradient(function: Any, call: Any) -> None:
    x = positive(2, 3)
    t = Tensor(x, requires_grad=True)
    result, expected = call(t), call(x)
    np.testing.assert_allclose(value(result), expected, rtol=1e-14)
    assert np.shape(value(result)) == np.shape(expected)
    constant = {np.any, np.all, np.argmax, np.argmin, np.zeros_like, np.ones_like, np.shape, np.ndim, np.size}
    assert getattr(result, "requires_grad", False) == (function not in constant)


@pytest.mark.parametrize("ufunc", interop._REDUCTIONS, ids=lambda f: f.__name__)
def test_reduce_sums_over_the_first_axis_as_numpys(ufunc: Any) -> None:
    x = positive(2, 3)
    np.testing.assert_array_equal(ufunc.reduce(Tensor(x)).numpy(), ufunc.reduce(x))
    np.testing.assert_array_equal(
        ufunc.reduce(Tensor(x), axis=1, keepdims=True).numpy(), ufunc.reduce(x, axis=1, keepdims=True)
    )


OPERATORS = [
    operator.add, operator.sub, operator.mul, operator.truediv, operator.floordiv, operator.mod, operator.pow,
    operator.eq, operator.ne, operator.gt, operator.ge, operator.lt, operator.le,
]  # fmt: skip


@pytest.mark.parametrize("symbol", OPERATORS, ids=lambda o: o.__name__)
@pytest.mark.parametrize(
    "other", [positive(2, 3), np.float64(2.0), np.float32(2.0), np.int64(2), np.array(2.0), 2.0, 2, True], ids=repr
)
def test_operators_give_tensors_whichever_side_the_tensor_stands_on(symbol: Any, other: Any) -> None:
    x = positive(2, 3, seed=1)
    for result, expected in [
        (symbol(Tensor(x), other), symbol(x, other)),
        (symbol(other, Tensor(x)), symbol(other, x)),
    ]:
        assert isinstance(result, Tensor)
        np.testing.assert_array_equal(result.numpy(), expected)


def test_matrix_products_give_tensors_on_either_side() -> None:
    x, y = positive(2, 3), positive(3, 2)
    for result in (
        Tensor(x) @ y,
        x @ Tensor(y),
        np.matmul(x, Tensor(y)),
        Tensor(x) @ y.tolist(),
        x.tolist() @ Tensor(y),
    ):
        assert isinstance(result, Tensor)
        np.testing.assert_allclose(result.numpy(), x @ y, rtol=1e-6)


def test_an_array_on_the_left_keeps_the_gradient() -> None:
    x = Tensor(positive(3), requires_grad=True)
    weights = np.array([1.0, 2.0, 3.0])
    (slope,) = gradients((weights * x).sum(), x)
    np.testing.assert_array_equal(slope.numpy(), weights)


@pytest.mark.parametrize("scalar", [np.float64(2.0), np.float32(2.0), np.int32(2), 2.0, 2], ids=repr)
def test_a_scalar_does_not_widen_float32(scalar: Any) -> None:
    x = Tensor(np.ones(3, np.float32))
    assert (scalar * x).dtype == (x * scalar).dtype == (x**scalar).dtype == (scalar**x).dtype == np.float32


def test_unary_operators_and_truths() -> None:
    x, mask = positive(2, 3), Tensor(positive(3) > 1)
    np.testing.assert_array_equal((-Tensor(x)).numpy(), -x)
    np.testing.assert_array_equal(abs(-Tensor(x)).numpy(), x)
    np.testing.assert_array_equal((+Tensor(x)).numpy(), x)
    np.testing.assert_array_equal((~mask).numpy(), ~mask.numpy())
    np.testing.assert_array_equal((mask & ~mask).numpy(), [False] * 3)
    np.testing.assert_array_equal((mask | ~mask).numpy(), [True] * 3)


# ---------------------------------------------------------------------- refusals


def test_numpy_may_read_a_tensor_off_the_tape_and_is_refused_one_on_it() -> None:
    x = Tensor(positive(3))
    assert np.asarray(x) is x.data
    assert np.array(x) is not x.data
    assert np.asarray(x, np.float32).dtype == np.float32
    for t in (Tensor(positive(3), requires_grad=True), Tensor(positive(3), requires_grad=True) * 2.0):
        with pytest.raises(TypeError, match=r"on the tape.*lost silently.*\.numpy\(\) or \.detach\(\)"):
            np.asarray(t)
        np.asarray(t.detach())


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda t: np.hypot(t, t), "np.hypot is not defined for Tensors: use minikeras.ops, or leave the tape"),
        (lambda t: np.fft.fft(t), "np.fft is not defined for Tensors"),
        (lambda t: np.median(t), "np.median is not defined for Tensors"),
        (lambda t: np.add.accumulate(t), "np.add.accumulate is not defined for Tensors"),
        (lambda t: np.subtract.reduce(t), "np.subtract.reduce is not defined"),
        (lambda t: np.add(t, 1.0, dtype=np.float64), "np.add with dtype is not defined"),
        (lambda t: np.add(np.ones(3), t, out=np.ones(3)), "np.add: a result can't be written into a given array"),
        (lambda t: np.sum(t, dtype=np.float64), "sum: expected the arguments x, axis.*Received: keyword 'dtype'"),
        (lambda t: np.linalg.norm(t, 1), "positional argument"),
        (lambda t: np.where(t), "where.*missing"),
    ],
)  # fmt: skip
def test_what_has_no_gradient_is_refused_by_name(call: Any, message: str) -> None:
    with pytest.raises(TypeError, match=message):
        call(Tensor(positive(3), requires_grad=True))


def test_adding_a_tensor_into_an_array_is_refused_and_says_what_to_write() -> None:
    array = np.ones(3)
    with pytest.raises(TypeError, match=r"array \+= tensor.*array = array \+ tensor"):
        array += Tensor(np.ones(3), requires_grad=True)
    np.testing.assert_array_equal(array, np.ones(3))


def test_assignment_to_an_element_is_refused_and_names_the_alternatives() -> None:
    with pytest.raises(TypeError, match=r"t\[i\] = v.*ops\.where.*assign"):
        Tensor(np.ones(3))[0] = 1.0

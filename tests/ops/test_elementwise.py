from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from minikeras import Tensor, ops
from minikeras.core.tape import gradients
from minikeras.ops.elementwise import arctan_slope, over, sigmoid_grad, tanh_grad
from minikeras.ops.epilogue import relu_grad
from tests.ops.cases import Case, distinct, inside, normal, parametrize, positive

UNARY = {
    ops.negative: normal, ops.identity: normal, ops.square: normal, ops.sqrt: positive, ops.reciprocal: positive,
    ops.exp: normal, ops.expm1: normal, ops.log: positive, ops.log1p: positive, ops.sin: normal, ops.cos: normal,
    ops.tan: inside, ops.arcsin: inside, ops.arccos: inside, ops.arctan: normal, arctan_slope: normal, ops.sinh: normal,
    ops.cosh: normal, ops.tanh: normal, ops.sigmoid: normal, ops.softplus: normal, ops.erf: normal,
    ops.absolute: normal, ops.sign: normal, ops.floor: inside, ops.ceil: inside, ops.round: inside,
}  # fmt: skip
BINARY = {
    ops.add: (normal, normal), ops.subtract: (normal, normal), ops.multiply: (normal, normal),
    ops.divide: (normal, positive), ops.power: (positive, normal), ops.maximum: (distinct, normal),
    ops.minimum: (distinct, normal), over: (normal, positive), ops.remainder: (inside, positive),
    ops.floor_divide: (inside, positive),
}  # fmt: skip
SHAPES_OF_TWO = [((2, 3), (2, 3)), ((2, 3), (3,)), ((2, 1), (1, 3)), ((), (2, 2)), ((2, 2), ()), ((), ()),
                 ((0, 3), (1, 3)), ((2, 3), (0, 1, 3))]  # fmt: skip

CASES = [
    *[
        Case(operation, str(shape), operation, [sample(*shape)])
        for operation, sample in UNARY.items()
        for shape in [(2, 3), (), (0, 2)]
    ],
    *[Case(operation, "transposed", operation, [sample(3, 2).T]) for operation, sample in UNARY.items()],
    *[Case(operation, "every second", operation, [sample(5, 4)[::2, 1::2]]) for operation, sample in UNARY.items()],
    *[
        Case(operation, f"{a}{b}", operation, [first(*a), second(*b, seed=1)])
        for operation, (first, second) in BINARY.items()
        for a, b in SHAPES_OF_TWO
    ],
    *[
        Case(operation, f"scalar {side}", function, [positive(2, 3)])
        for operation in BINARY
        for side, function in [
            ("right", lambda x, f=operation: f(x, 1.7)),
            ("left", lambda x, f=operation: f(1.7, x)),
            ("array right", lambda x, f=operation: f(x, np.array([1.7, 1.9, 1.3]))),
            ("array left", lambda x, f=operation: f(np.array([[1.7], [0.9]]), x)),
        ]
    ],
    Case(ops.power, "square root", lambda x: x**0.5, [positive(4)]),
    Case(ops.log_cosh, "on both sides of 1", ops.log_cosh, [np.array([-3.0, -1.1, -0.9, 0.0, 1e-3, 0.5, 2.0, 30.0])]),
    Case(ops.arcsin, "on both sides of a half", ops.arcsin, [np.array([-0.9, -0.4, 0.0, 0.6])]),
    Case(ops.power, "cube", lambda x: x**3, [normal(4)]),
    Case(ops.power, "minus two", lambda x: x**-2, [normal(4)]),
    Case(ops.power, "to the zero", lambda x: x**0, [normal(4)]),
    Case(ops.power, "to the one", lambda x: x**1, [normal(4)]),
    Case(ops.power, "negative base, even exponents", lambda x: ops.power(x, np.array([2.0, 4.0])), [-positive(3, 2)]),
    Case(ops.power, "same on both sides", lambda x: x**x, [positive(3)]),
    Case(ops.cast, "float64", lambda x: ops.cast(x, np.float64), [normal(3)]),
    Case(ops.clip, "scalars", lambda x: ops.clip(x, -0.5, 0.5), [normal(3, 4)]),
    Case(ops.clip, "lower only", lambda x: ops.clip(x, -0.5, None), [normal(3, 4)]),
    Case(ops.clip, "upper only", lambda x: ops.clip(x, None, 0.5), [normal(3, 4)]),
    Case(ops.clip, "tensors", ops.clip, [normal(3, 4), inside(4) - 0.9, inside(3, 1) + 0.9]),
    Case(ops.where, "both", lambda x, y: ops.where(np.array([True, False, True]), x, y), [normal(2, 3), normal(3)]),
    Case(ops.where, "scalar", lambda x: ops.where(x > 0, x, 1.0), [normal(2, 3)]),
    Case(ops.where, "stretched", lambda x: ops.where(np.eye(3, dtype=bool), x, 0.0), [normal()]),
    Case(tanh_grad, "both", tanh_grad, [normal(2, 3), inside(2, 3)]),
    Case(sigmoid_grad, "both", sigmoid_grad, [normal(2, 3), inside(2, 3)]),
    Case(relu_grad, "both", relu_grad, [normal(2, 3), normal(2, 3, seed=1)]),
    Case(relu_grad, "0-d", relu_grad, [normal(), normal(seed=1)]),
]

NUMPY = {
    ops.negative: np.negative, ops.square: np.square, ops.sqrt: np.sqrt, ops.reciprocal: np.reciprocal,
    ops.exp: np.exp, ops.expm1: np.expm1, ops.log: np.log, ops.log1p: np.log1p, ops.sin: np.sin, ops.cos: np.cos,
    ops.tan: np.tan, ops.arcsin: np.arcsin, ops.arccos: np.arccos, ops.arctan: np.arctan, ops.sinh: np.sinh,
    ops.cosh: np.cosh, ops.tanh: np.tanh, ops.absolute: np.absolute, ops.sign: np.sign, ops.floor: np.floor,
    ops.ceil: np.ceil, ops.round: np.round, ops.isnan: np.isnan, ops.isinf: np.isinf, ops.isfinite: np.isfinite,
    ops.logical_not: np.logical_not,
}  # fmt: skip
NUMPY_OF_TWO = {
    ops.add: np.add, ops.subtract: np.subtract, ops.multiply: np.multiply, ops.divide: np.true_divide,
    ops.power: np.power, ops.maximum: np.maximum, ops.minimum: np.minimum, ops.remainder: np.remainder,
    ops.floor_divide: np.floor_divide, ops.equal: np.equal, ops.not_equal: np.not_equal, ops.greater: np.greater,
    ops.greater_equal: np.greater_equal, ops.less: np.less, ops.less_equal: np.less_equal,
    ops.logical_and: np.logical_and, ops.logical_or: np.logical_or,
}  # fmt: skip


def gradient(f: Any, *arrays: Any, cotangent: Any = None) -> list[np.ndarray]:
    """Gradients of ``f`` as arrays."""
    xs = [Tensor(np.asarray(a, float), requires_grad=True) for a in arrays]
    out = f(*xs)
    found = gradients(out, xs, np.ones(out.shape) if cotangent is None else np.asarray(cotangent, float))
    return [g.numpy() for g in found]


@parametrize(CASES)
def test_the_gradient_is_that_of_differences(case: Case) -> None:
    case.check()


@pytest.mark.parametrize("operation", NUMPY, ids=lambda o: o.name)
def test_values_of_one_operand_are_numpys(operation: Any) -> None:
    sample = UNARY.get(operation, normal)
    for x in [sample(3, 4), sample(), sample(0, 2), sample(3, 4).astype(np.float32)]:
        result = operation(Tensor(x))
        expected = NUMPY[operation](x)
        np.testing.assert_array_equal(result.numpy(), expected)
        assert result.dtype == expected.dtype


@pytest.mark.parametrize("operation", NUMPY_OF_TWO, ids=lambda o: o.name)
def test_values_of_two_operands_are_numpys(operation: Any) -> None:
    first, second = BINARY.get(operation, (normal, normal))
    for a, b in SHAPES_OF_TWO:
        x, y = first(*a), second(*b, seed=1)
        expected = NUMPY_OF_TWO[operation](x, y)
        for result in (operation(Tensor(x), Tensor(y)), operation(x, Tensor(y)), operation(Tensor(x), y)):
            np.testing.assert_array_equal(result.numpy(), expected)


@pytest.mark.parametrize("operation", BINARY, ids=lambda o: o.name)
@pytest.mark.parametrize("other", [2, 2.0, True, np.float64(2.0), np.int64(2)], ids=repr)
def test_a_scalar_on_either_side_leaves_float32_as_it_is(operation: Any, other: Any) -> None:
    x = Tensor(positive(2, 3).astype(np.float32), requires_grad=True)
    for result in (operation(x, other), operation(other, x)):
        assert result.dtype == np.float32
        (slope,) = gradients(result, [x], np.ones((2, 3), np.float32))
        assert slope is None or slope.dtype == np.float32


@pytest.mark.parametrize("operation", UNARY, ids=lambda o: o.name)
def test_one_operand_of_float32_gives_value_and_gradient_in_float32(operation: Any) -> None:
    x = Tensor(UNARY[operation](2, 3).astype(np.float32), requires_grad=True)
    result = operation(x)
    (slope,) = gradients(result, [x], np.ones((2, 3), np.float32), create_graph=True)
    assert result.dtype == np.float32
    assert slope is None or slope.dtype == np.float32


def test_a_float64_operand_makes_float64_but_each_gradient_has_its_inputs_dtype() -> None:
    x, y = Tensor(np.ones(3, np.float32), requires_grad=True), Tensor(np.ones(3), requires_grad=True)
    product = x * y
    dx, dy = gradients(product.sum(), [x, y])
    assert (product.dtype, dx.dtype, dy.dtype) == (np.float64, np.float32, np.float64)


def test_scalars_alone_become_floatx() -> None:
    assert ops.add(1, 2).dtype == np.float32
    assert ops.where(np.array([True, False]), 1.0, -1.0).dtype == np.float32
    assert ops.exp(1).dtype == np.float32


@pytest.mark.parametrize("operation", [ops.sigmoid, ops.tanh, ops.softplus, ops.exp, ops.log1p], ids=lambda o: o.name)
def test_integers_become_floats(operation: Any) -> None:
    integers = np.array([0, 1, 2])
    np.testing.assert_allclose(operation(integers).numpy(), operation(integers.astype(float)).numpy())


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_sigmoid_and_softplus_neither_overflow_nor_lose_their_tails(dtype: Any) -> None:
    x = Tensor(np.array([-1e4, -80.0, 0.0, 40.0, 1e4], dtype), requires_grad=True)
    np.testing.assert_allclose(ops.sigmoid(x).numpy(), [0, np.exp(-80.0), 0.5, 1, 1], rtol=1e-6, atol=1e-42)
    np.testing.assert_allclose(ops.softplus(x).numpy(), [0, np.exp(-80.0), np.log(2), 40, 1e4], rtol=1e-6, atol=1e-42)
    for operation in (ops.sigmoid, ops.softplus, ops.tanh):
        (slope,) = gradients(operation(x).sum(), [x])
        assert np.isfinite(slope.numpy()).all()


def test_erf_agrees_with_its_integral() -> None:
    t = np.linspace(0, 0.8, 20001)
    integral = np.trapezoid(2 / np.sqrt(np.pi) * np.exp(-(t**2)), t)
    np.testing.assert_allclose(ops.erf(0.8).item(), integral, rtol=1e-7)


def test_where_and_clip_agree_with_numpy() -> None:
    x, mask = normal(3, 4), normal(4, seed=1) > 0
    np.testing.assert_array_equal(ops.where(mask, x, 0.5).numpy(), np.where(mask, x, 0.5))
    np.testing.assert_array_equal(ops.where(Tensor(mask), 0.5, x).numpy(), np.where(mask, 0.5, x))
    np.testing.assert_array_equal(ops.clip(x, -0.3, 0.4).numpy(), np.clip(x, -0.3, 0.4))
    np.testing.assert_array_equal(ops.clip(x, None, 0.4).numpy(), np.minimum(x, 0.4))


def test_cast_converts_the_gradient_back() -> None:
    x = Tensor(np.ones(2, np.float32), requires_grad=True)
    wide = ops.cast(x, np.float64)
    (slope,) = gradients((wide * 2.0).sum(), [x])
    assert (wide.dtype, slope.dtype) == (np.float64, np.float32)
    assert not ops.cast(x, int).requires_grad


def test_stop_gradient_is_a_constant() -> None:
    (slope,) = gradient(lambda x: ops.stop_gradient(x) * x, [3.0])
    np.testing.assert_array_equal(slope, [3.0])


# ---------------------------------------------------------------------- the documented choices at kinks and ties


def test_the_derivative_of_the_absolute_value_at_zero_is_zero() -> None:
    np.testing.assert_array_equal(gradient(ops.absolute, [0.0, -2.0]), [[0.0, -1.0]])


def test_tied_maximum_and_minimum_give_the_gradient_to_the_first() -> None:
    for operation in (ops.maximum, ops.minimum):
        dx, dy = gradient(operation, [1.0, 1.0], [1.0, 1.0])
        np.testing.assert_array_equal(dx, [1.0, 1.0])
        np.testing.assert_array_equal(dy, [0.0, 0.0])


def test_clip_passes_the_gradient_at_its_limits() -> None:
    np.testing.assert_array_equal(gradient(lambda x: ops.clip(x, -1.0, 1.0), [-2.0, -1.0, 1.0, 2.0]), [[0, 1, 1, 0]])


def test_powers_of_zero_have_finite_derivatives_where_they_exist() -> None:
    for exponent, slope in [(0, 0.0), (1, 1.0), (2, 0.0), (3.5, 0.0)]:
        np.testing.assert_array_equal(gradient(lambda x, p=exponent: x**p, [0.0]), [[slope]])
        dx, dy = gradient(ops.power, [0.0], [float(exponent)])
        np.testing.assert_array_equal(dx, [slope])
        np.testing.assert_array_equal(dy, [0.0])


def test_the_second_derivative_of_a_square_at_zero_is_two() -> None:
    x = Tensor(np.zeros(()), requires_grad=True)
    for f in (lambda x: x**2, lambda x: ops.power(x, np.array(2.0)), ops.square):
        (first,) = gradients(f(x), [x], create_graph=True)
        assert gradients(first, [x])[0].item() == 2.0


def test_the_derivative_in_an_exponent_is_zero_where_the_base_is_not_positive() -> None:
    np.testing.assert_array_equal(gradient(lambda y: ops.power(np.array([0.0, -2.0]), y), [2.0, 2.0]), [[0.0, 0.0]])
    np.testing.assert_array_equal(gradient(lambda y: 0.0**y, [2.0]), [[0.0]])


def test_a_dead_rectifier_blocks_even_an_infinite_gradient() -> None:
    y = Tensor(np.array([0.0, 0.0, 4.0]))
    np.testing.assert_array_equal(relu_grad(Tensor(np.array([np.inf, np.nan, 3.0])), y).numpy(), [0.0, 0.0, 3.0])


# ---------------------------------------------------------------------- wrong calls


@pytest.mark.parametrize(
    ("call", "kind", "message"),
    [
        (lambda: ops.add(np.ones(2), np.ones(3)), ValueError, r"add: .*\(2,\) \(3,\).*Received: x of shape \(2,\)"),
        (lambda: ops.add(np.ones(2)), TypeError, "add.*missing.*'y'"),
        (lambda: ops.add(y=np.ones(2)), TypeError, "add: the argument 'x' is missing"),
        (lambda: ops.add(np.ones(2), 1, 2), TypeError, "add: expected the arguments x, y. Received: 3 positional"),
        (lambda: ops.add(np.ones(2), 1, out=3), TypeError, "add: expected the arguments x, y. Received: keyword 'out'"),
        (lambda: ops.add(np.ones(2), 1, x=3), TypeError, "add: the argument 'x' is given by position and by keyword"),
        (lambda: ops.exp("text"), TypeError, "expected real numbers. Received: str"),
        (lambda: ops.exp(1j), TypeError, "expected real numbers"),
        (lambda: ops.multiply(np.ones(2), None), TypeError, "multiply: .*Received: x of shape"),
        (lambda: ops.add([Tensor(1.0)], 1), TypeError, "use ops.stack"),
    ],
)  # fmt: skip
def test_a_wrong_call_says_what_is_wrong(call: Any, kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message):
        call()

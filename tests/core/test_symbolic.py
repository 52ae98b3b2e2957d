from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from minikeras import Tensor, no_grad, ops
from minikeras.core import tape
from minikeras.core.symbolic import SymbolicTensor, evaluate, gradients, record


def symbol(*shape: int | None, dtype: Any = np.float64, name: str | None = None) -> SymbolicTensor:
    return SymbolicTensor(shape, dtype, name)


def ones(*shape: int) -> Tensor:
    return Tensor(np.ones(shape))


# ---------------------------------------------------------------------- shapes

SLIDING: dict[str, Any] = {"strides": (2,), "padding": ((1, 1),), "dilation": (1,)}


@pytest.mark.parametrize(
    ("function", "shape", "expected"),
    [
        (lambda x: x * 2.0 + 1.0, (None, 3), (None, 3)),
        (lambda x: x @ np.ones((3, 5)), (None, 3), (None, 5)),
        (lambda x: x @ np.ones((3, 5)), (None, None, 3), (None, None, 5)),
        (lambda x: ops.dot(x, np.ones((3, 5))), (None, None, 3), (None, None, 5)),
        (lambda x: ops.tensordot(x, np.ones((3, 5)), 1), (None, 3), (None, 5)),
        (lambda x: ops.einsum("bij,jk->bik", x, np.ones((3, 5))), (None, 4, 3), (None, 4, 5)),
        (lambda x: ops.sum(x, axis=1), (None, 3, None), (None, None)),
        (lambda x: x.mean(axis=(0, 1), keepdims=True), (None, 3), (1, 1)),
        (lambda x: ops.reshape(x, (-1, 6)), (None, 2, 3), (None, 6)),
        (lambda x: ops.flatten(x), (2, 3), (6,)),
        (lambda x: ops.transpose(x, (0, 2, 1)), (None, 2, None), (None, None, 2)),
        (lambda x: ops.moveaxis(x, -1, 1), (None, None, 3), (None, 3, None)),
        (lambda x: ops.concatenate([x, x * 2.0, np.ones((4, 1))], 1), (4, None), (4, None)),
        (lambda x: x[:0], (4, None), (0, None)),
        (lambda x: ops.stack([x, x], 1), (None, 3), (None, 2, 3)),
        (lambda x: ops.split(x, 2, -1)[1], (None, 6), (None, 3)),
        (lambda x: ops.unstack(x, 1)[0], (None, 2, 3), (None, 3)),
        (lambda x: x[:, 0], (None, 4, 3), (None, 3)),
        (lambda x: x[:, 1:], (None, 4), (None, 3)),
        (lambda x: ops.pad(x, [(0, 0), (1, 2)]), (None, None), (None, None)),
        (lambda x: ops.repeat(x, 3, 1), (None, 2), (None, 6)),
        (lambda x: ops.tile(x, (1, 2)), (None, 2), (None, 4)),
        (lambda x: ops.conv(x, np.ones((3, 2, 4)), **SLIDING), (None, 9, 2), (None, 5, 4)),
        (lambda x: ops.conv(x, np.ones((3, 2, 4)), **SLIDING), (None, None, 2), (None, None, 4)),
        (lambda x: ops.conv(x, np.ones((30, 2, 4)), **SLIDING), (None, None, 2), (None, None, 4)),
        (lambda x: ops.max_pool(x, window=(2,), strides=(2,), padding=((0, 0),)), (None, 9, 2), (None, 4, 2)),
        (lambda x: ops.upsample_nearest(x, (3,)), (None, None, 2), (None, None, 2)),
        (lambda x: ops.softmax(x), (None, 3), (None, 3)),
        (lambda x: ops.argmax(x, axis=-1), (None, 3), (None,)),
        (lambda x: ops.one_hot(ops.argmax(x, axis=-1), 7), (None, 3), (None, 7)),
        (lambda x: np.exp(x), (None,), (None,)),
        (lambda x: np.ones(3) * x, (None, 3), (None, 3)),
        (lambda x: np.concatenate([x, x], axis=0), (None, 3), (None, 3)),
    ],
)  # fmt: skip
def test_operations_record_themselves_and_know_their_shape(function: Any, shape: Any, expected: Any) -> None:
    x = symbol(*shape)
    y = function(x)
    assert isinstance(y, SymbolicTensor)
    assert (y.shape, y.ndim) == (expected, len(expected))
    array = np.random.default_rng(0).standard_normal([40 if size is None else size for size in shape])
    direct = function(Tensor(array))
    np.testing.assert_array_equal(evaluate(y, {x: array}).numpy(), direct.numpy())
    assert y.dtype == direct.dtype


def test_several_outputs_are_recorded_as_several() -> None:
    x = symbol(None, 3)
    y, mean, variance = ops.batch_norm(x)
    assert (y.shape, mean.shape, variance.shape) == ((None, 3), (3,), (3,))
    array = np.random.default_rng(0).standard_normal((4, 3))
    np.testing.assert_allclose(evaluate(variance, {x: array}).numpy(), array.var(0))


def test_a_function_can_be_recorded_whole() -> None:
    calls = []

    def function(x: Any, *, factor: float) -> Any:
        calls.append(type(x))
        return [x * factor, x.sum()]

    x = symbol(None, 2)
    first, second = record(function, (x,), {"factor": 3.0})
    assert (first.shape, second.shape) == ((None, 2), ())
    calls.clear()
    values = evaluate([first, second], {x: np.ones((2, 2))})
    assert [v.numpy().sum() for v in values] == [12.0, 4.0]
    assert calls == [Tensor]


def test_dtypes_follow_the_operations() -> None:
    x = SymbolicTensor((None,))
    assert x.dtype == np.float32
    assert (x * 2.0).dtype == np.float32
    assert (x > 0.0).dtype == np.bool_
    assert ops.cast(x, "float64").dtype == np.float64


def test_impossible_calls_are_refused_when_they_are_recorded() -> None:
    with pytest.raises(ValueError, match="matmul: expected"):
        symbol(None, 3) @ np.ones((4, 5))
    with pytest.raises(ValueError, match=r"add: .*broadcast"):
        symbol(2, 3) + symbol(2, 4)
    with pytest.raises(ValueError, match="reshape: "):
        ops.reshape(symbol(2, 3), (4,))


def test_a_wrong_call_on_volumes_of_free_size_does_not_try_large_ones() -> None:
    sizes = []

    def refusing(x: Any) -> Any:
        sizes.append(x.size)
        raise ValueError(f"refused: {x.shape}")

    with pytest.raises(ValueError, match=r"refused: \(5, 5, 5, 5, 1\)"):  # the first, not the last
        record(refusing, (symbol(None, None, None, None, 1),), {})
    assert max(sizes) < 10_000_000


# ---------------------------------------------------------------------- evaluation


def test_evaluation_replays_in_the_structure_asked_for() -> None:
    x, y = symbol(None), symbol(None)
    z = x * y
    values = {x: np.array([2.0]), y: [3.0]}
    assert evaluate(z, values).item() == 6.0
    assert [v.item() for v in evaluate([z, x], values)] == [6.0, 2.0]
    assert isinstance(evaluate((z,), values), tuple)


def test_any_intermediate_result_may_be_given() -> None:
    x = symbol(None)
    y = x * 2.0
    z = y + 1.0
    assert evaluate(z, {y: np.array([5.0])}).item() == 6.0


def test_shared_results_are_computed_once() -> None:
    calls = []

    def function(x: Any) -> Any:
        calls.append(1)
        return x * 2.0

    x = symbol(3)
    y = record(function, (x,), {})
    calls.clear()
    evaluate([y + y, y * y], {x: np.ones(3)})
    assert len(calls) == 1


def test_long_records_are_replayed_without_recursion() -> None:
    x = symbol(1)
    y = x
    for _ in range(3000):
        y = y + 1.0
    assert evaluate(y, {x: np.zeros(1)}).item() == 3000.0


def test_gradients_flow_through_an_evaluation() -> None:
    x, w = symbol(None, 3), Tensor(np.ones((3, 2)), requires_grad=True)
    loss = ops.sum(ops.tanh(x @ w))
    value = Tensor(np.full((4, 3), 0.1), requires_grad=True)
    found = tape.gradients(evaluate(loss, {x: value}), [value, w])
    expected = tape.gradients(ops.sum(ops.tanh(value @ w)), [value, w])
    for ours, direct in zip(found, expected, strict=True):
        np.testing.assert_array_equal(ours.numpy(), direct.numpy())
    with no_grad():
        assert not evaluate(loss, {x: value}).requires_grad


def test_lists_in_arguments_are_searched() -> None:
    x, y = symbol(2), symbol(2)
    z = record(lambda pair, scale: pair[0] + pair[1][0] * scale, ([x, [y]], 3.0), {})
    assert evaluate(z, {x: np.ones(2), y: np.ones(2)}).tolist() == [4.0, 4.0]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (lambda x, y: {x: np.ones((2, 3))}, r"no value was given for the input SymbolicTensor\('second'"),
        (lambda x, y: {x: np.ones((2, 4)), y: np.ones(3)}, r"expects shape \(None, 3\). Received: shape \(2, 4\)"),
        (lambda x, y: {x: np.ones(3), y: np.ones(3)}, r"expects shape \(None, 3\). Received: shape \(3,\)"),
    ],
)
def test_missing_and_unfitting_values_are_named(values: Any, message: str) -> None:
    x, y = symbol(None, 3, name="first"), symbol(3, name="second")
    with pytest.raises(ValueError, match=message):
        evaluate(x + y, values(x, y))


# ---------------------------------------------------------------------- differentiation


def test_recorded_gradients_are_those_of_the_sum() -> None:
    x, w = symbol(None, 3), Tensor(np.arange(3.0), requires_grad=True)
    y = ops.square(x) * w
    dx, dw = gradients([y], [x, w])
    assert (dx.shape, dw.shape) == ((None, 3), (3,))
    array = np.random.default_rng(0).standard_normal((2, 3))
    found = evaluate([dx, dw], {x: array})
    np.testing.assert_allclose(found[0].numpy(), 2 * array * w.numpy())
    np.testing.assert_allclose(found[1].numpy(), (array**2).sum(0))


def test_recorded_gradients_can_be_used_and_differentiated_again() -> None:
    x = symbol(None)
    (first,) = gradients([x**3], [x])
    (second,) = gradients([first * 2.0], [x])
    assert evaluate(second, {x: np.array([1.0, 2.0])}).tolist() == [12.0, 24.0]
    with no_grad():
        assert evaluate(first + 1.0, {x: np.array([2.0])}).tolist() == [13.0]


def test_gradients_of_intermediate_results_and_of_what_has_no_influence() -> None:
    x, other = symbol(2), symbol(2)
    hidden = x * 3.0
    found = gradients([ops.square(hidden)], [hidden, other])
    assert found[1] is None
    assert evaluate(found[0], {x: np.array([1.0, 2.0])}).tolist() == [6.0, 12.0]


# ---------------------------------------------------------------------- what a symbol can't do


def test_repr_shows_name_shape_and_dtype() -> None:
    assert repr(symbol(None, 3)) == "SymbolicTensor(shape=(None, 3), dtype=float64)"
    assert repr(symbol(2, name="x")) == "SymbolicTensor('x', shape=(2,), dtype=float64)"


@pytest.mark.parametrize(
    ("use", "kind"),
    [
        (lambda x: x.data, AttributeError),
        (lambda x: x.numpy(), AttributeError),
        (lambda x: x.size, AttributeError),
        (lambda x: float(x), AttributeError),
        (lambda x: np.asarray(x), AttributeError),
        (lambda x: x.detach(), AttributeError),
        (lambda x: bool(x), TypeError),
        (lambda x: 1 if x > 0 else 2, TypeError),
    ],
)
def test_values_are_refused_before_evaluation(use: Any, kind: type[Exception]) -> None:
    with pytest.raises(kind, match=r"SymbolicTensor\('x', .* is symbolic|SymbolicTensor.*is symbolic"):
        use(symbol(2, name="x"))


def test_a_free_dimension_has_no_length() -> None:
    assert len(symbol(2, None)) == 2
    for use in (len, list):
        with pytest.raises(TypeError, match=r"its first dimension is free|None"):
            use(symbol(None, 2))


def test_backward_is_refused() -> None:
    with pytest.raises(RuntimeError, match="not on the tape"):
        (symbol(2) * 2.0).sum().backward()


def test_a_symbol_is_gone_through_only_where_its_length_is_known():
    assert [item.shape for item in symbol(2, 3)] == [(3,), (3,)]
    with pytest.raises(TypeError, match=r"shape=\(None, 3\).* has no known length"):
        list(symbol(None, 3))


def test_a_mistake_on_free_sizes_says_which_number_stands_for_them():
    with pytest.raises(ValueError, match=r"x of shape \(5, 3\).*\(5 stands for each size that is None\)"):
        symbol(None, 3).sum(axis=2)
    with pytest.raises(IndexError, match=r"out of bounds.*\(5 stands"):
        symbol(None, 3)[:, 5]
    with pytest.raises(ValueError, match=r"keepdims=False$"):
        symbol(4, 3).sum(axis=2)


def test_an_operation_on_a_fixed_and_a_free_batch_takes_the_fixed_one():
    fixed, free = SymbolicTensor((32, 5)), SymbolicTensor((None, 5))
    assert (fixed + free).shape == (32, 5)
    with pytest.raises(ValueError, match="could not be broadcast"):
        fixed + SymbolicTensor((None, 4))

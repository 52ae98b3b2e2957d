from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from minikeras import Tensor, no_grad, ops
from minikeras.core import config
from minikeras.core.primitive import Primitive, primitive
from minikeras.core.tape import gradients
from tests.numerical import check_gradients


def leaf(*values: float, dtype: Any = float) -> Tensor:
    return Tensor(np.array(values, dtype), requires_grad=True)


def kept(result: Tensor) -> set[str]:
    """Names of the inputs that the operation kept for its derivative, and "out" if it kept its output."""
    inputs, _, out, _, _ = result.node.saved
    return {result.node.operation._inputs[i] for i in inputs} | ({"out"} if out else set())


@primitive
def scaled(x: Any, y: Any, bias: Any = None, *, factor: float = 2.0, shift: float = 0.0) -> Any:
    """``factor * x * y + bias + shift``."""
    return factor * x * y + shift + (0.0 if bias is None else bias)


scaled.vjps(x=lambda g, y, factor: g * y * factor, y=lambda g, x, factor: g * x * factor, bias=lambda g: g)


# ---------------------------------------------------------------------- calling


def test_a_primitive_looks_like_its_function() -> None:
    assert (scaled.__name__, scaled.__module__, repr(scaled)) == ("scaled", __name__, "<primitive scaled>")
    assert scaled.__doc__ == "``factor * x * y + bias + shift``."


@pytest.mark.parametrize(
    "call",
    [
        lambda x, y, b: scaled(x, y, b, factor=3.0, shift=1.0),
        lambda x, y, b: scaled(x, y, b, 3.0, 1.0),
        lambda x, y, b: scaled(x, y, b, 3.0, shift=1.0),
        lambda x, y, b: scaled(x, y, bias=b, factor=3.0, shift=1.0),
        lambda x, y, b: scaled(y=y, x=x, bias=b, shift=1.0, factor=3.0),
    ],
)
def test_arguments_may_come_by_position_or_by_name(call: Any) -> None:
    assert call(leaf(2.0), np.array([5.0]), [1.0]).item() == 32.0
    check_gradients(call, [np.array([2.0]), np.array([5.0]), np.array([1.0])])


def test_an_optional_input_may_be_none_or_missing() -> None:
    for call in (lambda x, y: scaled(x, y), lambda x, y: scaled(x, y, None), lambda x, y: scaled(x, y, bias=None)):
        check_gradients(call, [np.array([2.0]), np.array([5.0])])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda x: scaled(x, x, x, 1.0, 2.0, 3.0), "expected the arguments x, y, bias, factor, shift. Received: 6"),
        (lambda x: scaled(x, x, scale=1.0), "scaled: expected .* Received: keyword 'scale'"),
        (lambda x: scaled(x, x, x=x), "scaled: the argument 'x' is given by position and by keyword"),
        (lambda x: scaled(x, x, x, 2.0, factor=3.0), "'factor' is given by position and by keyword"),
        (lambda x: scaled(y=x), "scaled: the argument 'x' is missing"),
        (lambda x: scaled(x, "text"), "expected real numbers. Received: str"),
        (lambda x: ops.reshape(x), "reshape.*missing.*shape"),
    ],
)  # fmt: skip
def test_a_wrong_call_says_what_is_wrong(call: Any, message: str) -> None:
    with pytest.raises(TypeError, match=message):
        call(leaf(1.0))


def test_an_error_of_the_forward_names_the_operation_and_what_it_received() -> None:
    with pytest.raises(ValueError, match=r"scaled: .*broadcast.*x of shape \(2,\).*y of shape \(3,\).*factor=3.0"):
        scaled(np.ones(2), np.ones(3), factor=3.0)


def test_an_error_that_names_the_operation_already_is_left_alone() -> None:
    @primitive
    def picky(x: Any) -> Any:
        raise ValueError("picky: no")

    with pytest.raises(ValueError, match=r"^picky: no$"):
        picky(np.ones(2))


def test_the_result_is_a_tensor_whatever_the_operands_are() -> None:
    for operand in (leaf(1.0), np.ones(1), [1.0], 1.0, np.float32(1.0)):
        assert type(scaled(operand, 2.0)) is Tensor


@pytest.mark.parametrize("x", [2.0, 2, True, np.float64(2.0), np.int64(2), np.float32(2.0)], ids=repr)
def test_scalars_are_weak_beside_arrays_and_floatx_alone(x: Any) -> None:
    assert ops.multiply(np.ones(2, np.float32), x).dtype == np.float32
    assert ops.multiply(np.ones(2, np.float16), x).dtype == np.float16
    assert ops.multiply(x, x).dtype == np.float32
    with config.scope(floatx="float64"):
        assert ops.multiply(x, x).dtype == np.float64


# ---------------------------------------------------------------------- recording


def test_nothing_is_recorded_without_a_gradient_to_find() -> None:
    x = leaf(1.0)
    assert scaled(Tensor([1.0]), 2.0).node is None
    assert scaled(x.detach(), 2.0).node is None
    assert ops.greater(x, 0.0).node is None
    with no_grad():
        assert scaled(x, 2.0).node is None


def test_integer_results_carry_no_gradient() -> None:
    assert not ops.cast(leaf(1.5), int).requires_grad


def test_only_what_the_needed_derivatives_read_is_kept() -> None:
    x, w, constant = leaf(1.0, 2.0), leaf(3.0, 4.0), np.ones(2)
    assert kept(x + w) == set()
    assert kept(x * w) == {"x", "y"}
    assert kept(x * constant) == {"y"}
    assert kept(constant * x) == {"x"}
    assert kept(x / constant) == {"y"}
    assert kept(constant / x) == {"y", "out"}
    assert kept(ops.exp(x)) == {"out"}
    assert kept(ops.sin(x)) == {"x"}
    assert kept(ops.sum(x)) == set()
    assert kept(ops.maximum(x, w)) == {"x", "y"}
    assert kept(ops.where(constant > 0, x, w)) == {"condition"}
    assert kept(ops.dense(ops.reshape(x, (1, 2)), np.ones((2, 3)))) == {"w"}
    assert kept(ops.dense(np.ones((1, 2)), ops.reshape(w, (2, 1)), activation="tanh")) == {"x", "out"}


def test_saved_arrays_are_not_copies() -> None:
    x, constant = leaf(1.0, 2.0), np.ones(2)
    inputs, *_ = (x * constant).node.saved
    assert inputs[1][0] is constant


# ---------------------------------------------------------------------- declaring


def test_sums_over_stretched_axes_and_dtypes_are_taken_care_of() -> None:
    x, y = Tensor(np.ones((2, 1), np.float32), requires_grad=True), leaf(1.0, 2.0, 3.0)
    dx, dy = gradients(scaled(x, y).sum(), [x, y])
    assert (dx.shape, dx.dtype, dy.shape, dy.dtype) == ((2, 1), np.float32, (3,), np.float64)
    np.testing.assert_array_equal(dx.numpy(), [[12.0], [12.0]])


def test_a_rule_may_say_that_the_derivative_is_zero() -> None:
    @primitive
    def stepped(x: Any, y: Any) -> Any:
        return np.sign(x) * y

    stepped.vjps(x=None, y=lambda g, x: g * ops.sign(x))
    x, y = leaf(-2.0), leaf(3.0)
    dx, dy = gradients(stepped(x, y), [x, y])
    assert dx is None
    assert dy.item() == -1.0


def test_an_input_without_a_rule_is_refused_when_its_gradient_would_be_needed() -> None:
    @primitive
    def half(x: Any, y: Any) -> Any:
        return x * y

    half.vjps(x=lambda g, y: g * y)
    half(leaf(1.0), np.ones(1))
    with pytest.raises(TypeError, match="half: no derivative is defined with respect to its input 'y'"):
        half(leaf(1.0), leaf(1.0))


def test_one_rule_for_all_inputs_reads_needs_shapes_statics_and_outputs() -> None:
    seen: dict[str, Any] = {}

    @primitive
    def both(x: Any, y: Any, *, power: int = 2) -> Any:
        return x**power, x * y

    @both.backward
    def _(g: Any, needs: Any, x: Any, y: Any, x_shape: Any, out: Any, power: int) -> Any:
        seen.update(g=g, needs=needs, shape=x_shape, out=out, power=power)
        first = g[0] * power * x ** (power - 1) if g[0] is not None else 0.0
        second = g[1] * y if g[1] is not None else 0.0
        return first + second, g[1] * x if g[1] is not None and needs[1] else None

    check_gradients(lambda x, y: both(x, y, power=3), [np.array([1.0, 2.0]), np.array([3.0, 4.0])])
    x = leaf(1.0, 2.0)
    gradients(both(x, np.array([3.0, 4.0]))[0].sum(), x)
    assert seen["g"][1] is None
    assert (seen["needs"], seen["shape"], seen["power"]) == ((True, False), (2,), 2)
    np.testing.assert_array_equal(seen["out"][1].numpy(), [3.0, 8.0])


def test_what_backward_declares_to_keep_for_others_is_none_where_they_need_nothing() -> None:
    seen = []

    @primitive
    def product(x: Any, y: Any, *, mode: str | None = None) -> Any:
        return x * y

    @product.backward(x="y", y="x", out="mode")
    def _(g: Any, needs: Any, x: Any, y: Any, out: Any) -> Any:
        seen.append((x is None, y is None, out is None))
        return g * y if needs[0] else None, g * x if needs[1] else None

    x, y = leaf(2.0), leaf(3.0)
    assert gradients(product(x, np.array([3.0])), x)[0].item() == 3.0
    assert gradients(product(np.array([2.0]), y, mode="some"), y)[0].item() == 2.0
    assert [g.item() for g in gradients(product(x, y), [x, y])] == [3.0, 2.0]
    assert seen == [(True, False, True), (False, True, False), (False, False, True)]


def test_the_forward_may_hand_something_to_the_derivative() -> None:
    @primitive(extra=True)
    def rectified(x: Any) -> Any:
        mask = x > 0
        return x * mask, mask

    rectified.vjps(x=lambda g, extra: g * extra)
    check_gradients(rectified, [np.array([-1.0, 2.0])])


def test_any_number_of_inputs() -> None:
    @primitive
    def total(*xs: Any, weight: float) -> Any:
        return weight * sum(xs)

    @total.backward
    def _(g: Any, needs: Any, xs_shape: Any, weight: float) -> Any:
        assert len(xs_shape) == len(needs)
        return [g * weight if need else None for need in needs]

    check_gradients(lambda *xs: total(*xs, weight=3.0), [np.ones((2, 3)), np.ones(3), np.ones(())])
    assert gradients(total(leaf(1.0), 1.0, weight=3.0).sum(), leaf(1.0)) == [None]
    with pytest.raises(TypeError, match=r"total: .*weights"):
        total(1.0, weights=2.0)


def test_a_fused_kernel_is_differentiated_as_its_composite() -> None:
    @primitive
    def fused(x: Any, y: Any = None, *, factor: float = 1.0) -> Any:
        return (np.sin(x) if y is None else np.sin(x) * y), factor * x

    @fused.composite
    def _(x: Tensor, y: Any, *, factor: float) -> tuple[Tensor, Tensor]:
        return (ops.sin(x) if y is None else ops.sin(x) * y), x * factor

    check_gradients(lambda x, y: fused(x, y, factor=3.0), [np.array([0.3, 2.0]), np.array([1.5, -0.5])])
    check_gradients(lambda x: fused(x)[0], [np.array([0.3, 2.0])])
    check_gradients(lambda y: fused(np.array([0.3]), y)[0], [np.array([0.5])])


def test_a_composite_of_intermediate_results_stops_at_them() -> None:
    @primitive
    def squared(x: Any) -> Any:
        return x**2

    @squared.composite
    def _(x: Tensor) -> Tensor:
        return x * x

    check_gradients(lambda x: squared(ops.exp(x) * x), [np.array([0.3, 1.0])])
    check_gradients(lambda x: squared(squared(x)), [np.array([0.3, 1.0])])


def test_a_forward_that_asks_is_told_whether_the_tape_keeps_what_it_does() -> None:
    told = []

    @primitive(extra=True)
    def double(x: Any, *, factor: float = 2.0, recording: bool = True) -> Any:
        told.append(recording)
        return x * factor, "costly" if recording else None

    double.vjps(x=lambda g, extra, factor: g * (factor if extra == "costly" else np.nan))
    x = leaf(1.0, 2.0)
    double(x, factor=3.0).sum().backward()
    double(x.detach())
    with no_grad():
        double(x)
    assert told == [True, False, False]
    assert x.grad is not None
    assert x.grad.tolist() == [3.0, 3.0]
    with pytest.raises(TypeError, match=r"double: expected the arguments x, factor\. Received: keyword 'recording'"):
        double(x, recording=False)


def test_declarations_are_checked() -> None:
    def forward(x: Any, *, factor: float) -> Any:
        return x * factor

    with pytest.raises(TypeError, match=r"primitive forward: no input named \['y'\]"):
        primitive(forward).vjps(y=lambda g: g)
    for declare in (
        lambda p: p.vjps(x=lambda g, z: g),
        lambda p: p.backward(lambda g, needs, extra: g),
        lambda p: p.vjps(x=lambda g, factor_shape: g),
    ):
        with pytest.raises(TypeError, match=r"primitive forward: its derivative asks for .*, but may read"):
            declare(primitive(forward))
    with pytest.raises(TypeError, match=r"rename \['needs', 'out'\]"):
        primitive(lambda x, out, *, needs: x, name="wrong")


@pytest.mark.parametrize("rule", [lambda g: ops.transpose(g), lambda g: ops.sum(g), lambda g: ops.repeat(g, 2, 0)])
def test_a_derivative_of_a_wrong_shape_is_refused_and_named(rule: Any) -> None:
    wrong = primitive(lambda x: x * 1.0, name="wrong")
    wrong.vjps(x=rule)
    x = Tensor(np.ones((2, 3)), requires_grad=True)
    with pytest.raises(ValueError, match="wrong: its derivative doesn't have the input's shape"):
        gradients(wrong(x).sum(), x)


def test_names() -> None:
    assert primitive(name="nice")(lambda x: x).name == "nice"
    assert isinstance(primitive(lambda x: x, name="nice"), Primitive)

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from minikeras import Parameter, Tensor, grad, hessian, hvp, jacobian, jvp, no_grad, ops, value_and_grad, vjp
from minikeras.core.tape import gradients

RNG = np.random.default_rng(0)
X, Y, V = (RNG.standard_normal(4) for _ in range(3))
MATRIX = RNG.standard_normal((3, 4))


def quartic(x: Any) -> Any:
    return (x**4).sum() + (x * ops.flip(x) ** 2).sum()


def field(x: Any) -> Any:
    return ops.tanh(MATRIX @ x) * ops.exp(-(x * x).sum())


def slope(f: Any, x: np.ndarray, v: np.ndarray, step: float = 1e-3) -> np.ndarray:
    """The derivative of ``f`` at ``x`` along ``v`` by differences of fourth order."""
    at = {k: np.asarray(f(Tensor(x + k * step * v)).numpy()) for k in (-2, -1, 1, 2)}
    return (8 * (at[1] - at[-1]) - (at[2] - at[-2])) / (12 * step)


def numerical_jacobian(f: Any, x: np.ndarray) -> np.ndarray:
    return np.stack([slope(f, x, e.reshape(x.shape)) for e in np.eye(x.size)], axis=-1)


# ---------------------------------------------------------------------- first order


def test_grad_is_the_gradient() -> None:
    np.testing.assert_allclose(grad(quartic)(X).numpy(), numerical_jacobian(quartic, X), rtol=1e-8)


def test_value_and_grad_gives_both_off_the_tape() -> None:
    value, gradient = value_and_grad(quartic)(X)
    assert value.item() == quartic(Tensor(X)).item()
    assert not value.requires_grad
    assert not gradient.requires_grad


def test_argnums_choose_the_arguments() -> None:
    def f(x: Any, y: Any, z: float, *, power: int = 1) -> Any:
        return (x * y**power).sum() * z

    np.testing.assert_array_equal(grad(f)(X, Y, 2.0).numpy(), 2 * Y)
    np.testing.assert_array_equal(grad(f, argnums=1)(X, Y, 2.0).numpy(), 2 * X)
    both = grad(f, argnums=(1, 0))(X, Y, 2.0)
    assert isinstance(both, tuple)
    np.testing.assert_array_equal(both[1].numpy(), 2 * Y)
    np.testing.assert_allclose(grad(f, argnums=-2)(X, Y, 2.0, power=2).numpy(), 4 * X * Y)


def test_arguments_keep_their_dtype_and_lists_become_floatx() -> None:
    assert grad(quartic)(X.astype(np.float32)).dtype == np.float32
    assert grad(quartic)([1, 2, 3, 4]).dtype == np.float32
    assert grad(quartic)(Tensor(X)).dtype == np.float64


def test_nothing_is_written_to_grad() -> None:
    w = Parameter(X)
    grad(lambda x: (x * w).sum())(Y)
    assert w.grad is None


def test_vjp_pulls_back_as_often_as_wanted() -> None:
    value, pull_back = vjp(field, X)
    expected = numerical_jacobian(field, X)
    np.testing.assert_array_equal(value.numpy(), field(Tensor(X)).numpy())
    for cotangent in np.eye(3):
        (found,) = pull_back(cotangent)
        np.testing.assert_allclose(found.numpy(), cotangent @ expected, atol=1e-9)
    np.asarray(value)  # off the tape


def test_vjp_of_several_inputs_and_outputs() -> None:
    (product, total), pull_back = vjp(lambda x, y: (x * y, x.sum()), X, Y)
    assert total.shape == ()
    dx, dy = pull_back(V, 3.0)
    np.testing.assert_allclose(dx.numpy(), V * Y + 3.0)
    np.testing.assert_allclose(dy.numpy(), V * X)
    assert product.shape == (4,)


def test_vjp_notices_that_its_input_has_changed() -> None:
    x = Tensor(X.copy())
    _, pull_back = vjp(quartic, x)
    x.assign(np.zeros(4))
    with pytest.raises(RuntimeError, match="changed in place"):
        pull_back(1.0)


def test_jvp_is_the_slope_along_a_direction() -> None:
    value, tangent = jvp(field, [X], [V])
    np.testing.assert_array_equal(value.numpy(), field(Tensor(X)).numpy())
    np.testing.assert_allclose(tangent.numpy(), slope(field, X, V), atol=1e-9)
    assert not value.requires_grad
    assert not tangent.requires_grad


def test_jvp_of_several_inputs_and_outputs() -> None:
    values, tangents = jvp(lambda x, y: (x * y, ops.exp(y), x.sum()), [X, Y], [V, np.ones(4)])
    assert isinstance(tangents, tuple)
    np.testing.assert_allclose(tangents[0].numpy(), V * Y + X)
    np.testing.assert_allclose(tangents[1].numpy(), np.exp(Y))
    np.testing.assert_allclose(tangents[2].numpy(), V.sum())
    assert len(values) == 3


def test_jvp_and_vjp_are_adjoint() -> None:
    cotangent = RNG.standard_normal(3)
    _, tangent = jvp(field, [X], [V])
    (pulled,) = vjp(field, X)[1](cotangent)
    np.testing.assert_allclose(cotangent @ tangent.numpy(), V @ pulled.numpy())


@pytest.mark.parametrize("shape", [(4,), (2, 2), (1, 4, 1)])
def test_jacobian_has_the_outputs_axes_then_the_inputs(shape: tuple[int, ...]) -> None:
    def f(x: Any) -> Any:
        return ops.reshape(field(ops.reshape(x, (4,))), (3, 1))

    found = jacobian(f)(X.reshape(shape))
    assert found.shape == (3, 1, *shape)
    np.testing.assert_allclose(found.numpy().reshape(3, 4), numerical_jacobian(field, X), atol=1e-9)


def test_jacobian_of_nothing_is_empty() -> None:
    assert jacobian(lambda x: x[:0])(X).shape == (0, 4)
    assert jacobian(lambda x: x * 2.0)(np.zeros((0, 2))).shape == (0, 2, 0, 2)


# ---------------------------------------------------------------------- nesting


def test_grad_of_grad_of_grad() -> None:
    def cube(x: Any) -> Any:
        return x**3

    assert grad(cube)(2.0).item() == 12.0
    assert grad(grad(cube))(2.0).item() == 12.0
    assert grad(grad(grad(cube)))(2.0).item() == 6.0
    assert grad(grad(grad(grad(cube))))(2.0).item() == 0.0


def test_nesting_keeps_the_variables_of_each_level_apart() -> None:
    # d/dx [x * d/dy (x + y)] is 1, not 2 (Siskind and Pearlmutter 2005)
    assert grad(lambda x: x * grad(lambda y: x + y)(1.0))(1.0).item() == 1.0


def test_an_inner_transform_passes_on_what_it_closes_over() -> None:
    y = Tensor(2.0)  # a constant, while x is the outer variable
    assert grad(lambda x: x * grad(lambda y: x * y)(y))(3.0).item() == 6.0
    assert grad(lambda x: x * value_and_grad(lambda y: x * y)(y)[0])(3.0).item() == 12.0
    assert grad(lambda x: x * vjp(lambda y: x * y, y)[1](1.0)[0])(3.0).item() == 6.0
    assert grad(lambda x: x * jvp(lambda y: x * y, [y], [1.0])[1])(3.0).item() == 6.0
    assert grad(lambda x: x * jacobian(lambda y: x * y)(y))(3.0).item() == 6.0
    assert grad(lambda x: x * hvp(lambda y: x * y * y, y, 1.0))(3.0).item() == 12.0
    assert not grad(lambda x: x * y)(3.0).requires_grad


def test_an_error_inside_a_transform_leaves_the_next_one_outside() -> None:
    def failing(x: Any) -> Any:
        raise ValueError("stop")

    with pytest.raises(ValueError, match="stop"):
        grad(failing)(1.0)
    w = Parameter(1.0)
    assert not grad(lambda x: x * w)(1.0).requires_grad


def test_the_hessian_is_the_jacobian_of_the_gradient() -> None:
    found = hessian(quartic)(X).numpy()
    np.testing.assert_array_equal(found, jacobian(grad(quartic))(X).numpy())
    np.testing.assert_allclose(found, numerical_jacobian(grad(quartic), X), atol=1e-7)
    np.testing.assert_allclose(found, found.T)


def test_hvp_is_the_hessian_times_a_vector() -> None:
    np.testing.assert_allclose(hvp(quartic, X, V).numpy(), hessian(quartic)(X).numpy() @ V)
    np.testing.assert_allclose(Y @ hvp(quartic, X, V).numpy(), V @ hvp(quartic, X, Y).numpy())


def test_forward_over_reverse_agrees_with_hvp() -> None:
    _, tangent = jvp(grad(quartic), [X], [V])
    np.testing.assert_allclose(tangent.numpy(), hvp(quartic, X, V).numpy())


def test_grad_of_what_uses_another_transform() -> None:
    def norm_of_jacobian(x: Any) -> Any:
        return ops.square(jacobian(field)(x)).sum()

    def directional(x: Any) -> Any:
        return jvp(field, [x], [V])[1].sum()

    def pulled(x: Any) -> Any:
        return ops.square(vjp(field, x)[1](np.ones(3))[0]).sum()

    def curvature(x: Any) -> Any:
        return (hvp(quartic, x, V) * V).sum()

    for f in (norm_of_jacobian, directional, pulled, curvature):
        np.testing.assert_allclose(grad(f)(X).numpy(), numerical_jacobian(f, X), atol=1e-7)


def test_a_cotangent_on_the_tape_gets_a_gradient() -> None:
    cotangent = Tensor(np.ones(3), requires_grad=True)
    (pulled,) = vjp(field, X)[1](cotangent)
    np.testing.assert_allclose(gradients(pulled, cotangent, V)[0].numpy(), numerical_jacobian(field, X) @ V, atol=1e-9)


def test_results_stay_on_the_tape_of_arguments_that_are_on_one() -> None:
    x = Tensor(X, requires_grad=True)
    value, gradient = value_and_grad(quartic)(x)
    np.testing.assert_allclose(gradients(value, x, retain_graph=True)[0].numpy(), grad(quartic)(X).numpy())
    np.testing.assert_allclose(gradients((gradient * V).sum(), x)[0].numpy(), hvp(quartic, X, V).numpy())
    assert vjp(field, x)[0].requires_grad
    assert jvp(field, [x], [V])[0].requires_grad


def test_create_graph_differentiates_through_what_the_function_closes_over() -> None:
    w = Parameter(Y)
    penalty = ops.square(grad(lambda x: ops.exp(x * w).sum(), create_graph=True)(X)).sum()
    (found,) = gradients(penalty, w)
    expected = 2 * Y * np.exp(2 * X * Y) * (1 + X * Y)
    np.testing.assert_allclose(found.numpy(), expected)
    assert not grad(lambda x: (x * w).sum())(X).requires_grad


def test_transforms_work_under_no_grad_and_leave_nothing_on_the_tape() -> None:
    x = Tensor(X, requires_grad=True)
    with no_grad():
        found = grad(quartic)(x)
    assert not found.requires_grad
    np.testing.assert_allclose(found.numpy(), grad(quartic)(X).numpy())


# ---------------------------------------------------------------------- what has no influence


def test_inputs_without_influence_give_zeros() -> None:
    def constant(x: Any) -> Any:
        return Tensor(np.ones(()))

    np.testing.assert_array_equal(grad(constant)(X).numpy(), np.zeros(4))
    np.testing.assert_array_equal(grad(lambda x, y: y.sum(), argnums=(0, 1))(X, Y)[0].numpy(), np.zeros(4))
    np.testing.assert_array_equal(jacobian(constant)(X).numpy(), np.zeros(4))
    np.testing.assert_array_equal(jacobian(lambda x: Tensor(np.ones(2)))(X).numpy(), np.zeros((2, 4)))
    np.testing.assert_array_equal(hessian(constant)(X).numpy(), np.zeros((4, 4)))
    np.testing.assert_array_equal(hvp(constant, X, V).numpy(), np.zeros(4))
    np.testing.assert_array_equal(vjp(constant, X)[1](1.0)[0].numpy(), np.zeros(4))
    np.testing.assert_array_equal(jvp(constant, [X], [V])[1].numpy(), 0.0)
    np.testing.assert_array_equal(grad(lambda x: ops.round(x).sum())(X).numpy(), np.zeros(4))


def test_a_linear_function_has_no_curvature() -> None:
    np.testing.assert_array_equal(hessian(lambda x: (x * 3.0).sum())(X).numpy(), np.zeros((4, 4)))
    np.testing.assert_array_equal(hvp(lambda x: (x * 3.0).sum(), X, V).numpy(), np.zeros(4))


def test_the_identity() -> None:
    np.testing.assert_array_equal(jacobian(lambda x: x)(X).numpy(), np.eye(4))
    assert grad(lambda x: x)(2.0).item() == 1.0


# ---------------------------------------------------------------------- wrong calls


@pytest.mark.parametrize(
    ("call", "kind", "message"),
    [
        (lambda: grad(lambda x: x)(X), ValueError, r"grad: .*one element. Received: shape \(4,\)"),
        (lambda: grad(lambda x: 3.0)(X), ValueError, "grad: the function must return a Tensor .*Received: float"),
        (lambda: hvp(lambda x: x, X, V), ValueError, r"hvp: .*one element. Received: shape \(4,\)"),
        (lambda: hvp(quartic, X, V[:2]), ValueError, r"shape \(4,\). Received: \(2,\)"),
        (lambda: vjp(lambda x: 3.0, X), TypeError, "vjp: the function must return Tensors. Received: float"),
        (lambda: vjp(field, X)[1](V), ValueError, r"shape \(3,\). Received: \(4,\)"),
        (lambda: vjp(field, X)[1](), TypeError, "vjp: expected one cotangent per output, 1. Received: 0"),
        (lambda: jvp(lambda x: None, [X], [V]), TypeError, "jvp: the function must return Tensors. Received: NoneType"),
        (lambda: jvp(field, [X], [V, V]), ValueError, "jvp: expected one tangent per primal, 1. Received: 2"),
        (lambda: jvp(field, [X], [V[:2]]), ValueError, r"shape \(4,\). Received: \(2,\)"),
        (lambda: jacobian(lambda x: (x, x))(X), TypeError, "must return one Tensor. Received: tuple"),
        (lambda: jacobian(lambda x: x.numpy())(X), TypeError, "must return Tensors. Received: ndarray"),
        (lambda: grad(quartic)(np.arange(4)), TypeError, "requires_grad needs a floating-point dtype"),
        (lambda: grad(quartic, argnums=1)(X), TypeError, "grad: argnums 1 .*1 positional"),
    ],
)  # fmt: skip
def test_a_wrong_call_says_what_is_wrong(call: Any, kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message):
        call()

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from minikeras import Tensor, kernels, ops
from minikeras.core.tape import gradients
from minikeras.ops.nn import (
    _relu,
    batch_norm_grad,
    binary_cross_entropy_grad,
    cross_entropy_grad,
    sigmoid_residual,
    softmax_cross_entropy_grad,
    softmax_grad,
)
from tests.numerical import check_gradients
from tests.ops.cases import Case, normal, parametrize

KEEP = normal(2, 3, seed=9) > 0
LABELS = np.array([[0.2, 0.5, 0.3], [1.0, 0.0, 0.0]])
POSITIVE = np.array([[0.3, 1.9, 0.7], [0.1, 0.4, 0.3]])  # the shares of 0.3 and 0.1 are below 0.2
INSIDE = np.random.default_rng(5).uniform(0.05, 0.95, (2, 3))
NORMALIZATIONS: list[tuple[tuple[int, ...], int]] = [((6, 3), -1), ((3, 2, 4), 1), ((2, 3, 2, 2), -1), ((2, 5), 0)]


def norm(axis: int, *outputs: int) -> Any:
    """``batch_norm``, of which only some outputs are used."""

    def f(x: Any, gamma: Any = None, beta: Any = None) -> Any:
        found = ops.batch_norm(x, gamma, beta, axis=axis, epsilon=0.1)
        return [found[i] for i in outputs]

    return f


def norm_grad(axis: int, needs: tuple[bool, bool, bool]) -> Any:
    """``batch_norm_grad`` with the statistics of its own ``x``, as batch_norm calls it."""

    def f(delta: Any, x: Any, gamma: Any = None) -> Any:
        _, mean, variance = kernels.batch_norm(x.numpy(), None, None, axis=axis, epsilon=0.1)
        return batch_norm_grad(delta, x, gamma, mean=mean, variance=variance, axis=axis, epsilon=0.1, wanted=needs)

    return f


def batch_norm_cases() -> list[Case]:
    cases = []
    for shape, axis in NORMALIZATIONS:
        x, gamma, beta = normal(*shape), normal(shape[axis]), normal(shape[axis], seed=1)
        name = f"{shape} axis {axis}"
        cases += [
            Case(ops.batch_norm, f"{name}, output {outputs}", norm(axis, *outputs), [x, gamma, beta])
            for outputs in [(0,), (1,), (2,), (1, 2), (0, 2), (0, 1, 2)]
        ]
        cases += [
            Case(
                ops.channel_affine,
                name,
                lambda x, scale, shift, axis=axis: ops.channel_affine(x, scale, shift, axis=axis),
                [x, gamma, beta],
            ),
            Case(ops.batch_norm, f"{name}, no gamma nor beta", norm(axis, 0, 1, 2), [x]),
            Case(ops.batch_norm, f"{name}, gamma alone", norm(axis, 0), [x, gamma]),
            Case(
                ops.batch_norm,
                f"{name}, beta alone",
                lambda x, b, axis=axis: ops.batch_norm(x, None, b, axis=axis)[0],
                [x, beta],
            ),
            Case(
                ops.batch_norm,
                f"{name}, constant input",
                lambda g, b, x=x, axis=axis: norm(axis, 0)(x, g, b),
                [gamma, beta],
            ),
            Case(
                batch_norm_grad,
                name,
                norm_grad(axis, (True, True, True)),
                [normal(*shape, seed=2), x, gamma],
            ),
            Case(
                batch_norm_grad,
                f"{name}, dx alone",
                norm_grad(axis, (True, False, False)),
                [normal(*shape, seed=2), x],
            ),
            Case(
                batch_norm_grad,
                f"{name}, parameters alone",
                norm_grad(axis, (False, True, True)),
                [normal(*shape, seed=2), x, gamma],
            ),
        ]
    return cases


CASES = [
    *[Case(_relu, str(shape), ops.relu, [normal(*shape)]) for shape in [(2, 3), (), (0, 2)]],
    Case(_relu, "transposed", ops.relu, [normal(3, 2).T]),
    Case(ops.elu, "default", ops.elu, [normal(2, 3)]),
    Case(ops.elu, "alpha", lambda x: ops.elu(x, alpha=0.3), [normal(2, 3)]),
    Case(ops.softsign, "both signs", ops.softsign, [normal(2, 3)]),
    Case(ops.sigmoid_cross_entropy, "both", ops.sigmoid_cross_entropy, [LABELS, normal(2, 3)]),
    Case(ops.sigmoid_cross_entropy, "stretched labels", ops.sigmoid_cross_entropy, [LABELS[:1], normal(2, 3)]),
    Case(sigmoid_residual, "both", sigmoid_residual, [LABELS, normal(2, 3)]),
    *[
        Case(operation, f"axis {axis}", lambda x, f=operation, axis=axis: f(x, axis=axis), [normal(2, 3, 2)])
        for operation in (ops.softmax, ops.log_softmax)
        for axis in (-1, 0, 1)
    ],
    *[
        Case(softmax_grad, f"axis {axis}", lambda d, y, axis=axis: softmax_grad(d, y, axis=axis), [normal(2, 3)] * 2)
        for axis in (-1, 0)
    ],
    Case(ops.dropout, "same shape", lambda x: ops.dropout(x, keep=KEEP, scale=2.0), [normal(2, 3)]),
    Case(ops.dropout, "stretched", lambda x: ops.dropout(x, keep=KEEP[:, :1], scale=2.0), [normal(2, 3)]),
    *batch_norm_cases(),
    Case(ops.softmax_cross_entropy, "both", ops.softmax_cross_entropy, [LABELS, normal(2, 3)]),
    Case(ops.cross_entropy, "both", lambda y, p: ops.cross_entropy(y, p, epsilon=1e-7), [LABELS, POSITIVE]),
    Case(
        softmax_cross_entropy_grad,
        "all",
        lambda d, labels, x: softmax_cross_entropy_grad(d, labels, x, shares=ops.softmax(x).numpy()),
        [normal(2), LABELS, normal(2, 3)],
    ),
    Case(ops.cross_entropy, "some beyond epsilon", lambda p: ops.cross_entropy(LABELS, p, epsilon=0.2), [POSITIVE]),
    Case(ops.binary_cross_entropy, "both", lambda y, p: ops.binary_cross_entropy(y, p, epsilon=1e-7), [LABELS, INSIDE]),
    Case(
        binary_cross_entropy_grad,
        "some beyond epsilon",
        lambda d, y, p: binary_cross_entropy_grad(d, y, p, epsilon=0.3),
        [normal(2, 3), LABELS, INSIDE],
    ),
    Case(
        cross_entropy_grad,
        "some beyond epsilon",
        lambda d, y, p: cross_entropy_grad(d, y, p, epsilon=0.2),
        [normal(2), LABELS, POSITIVE],
    ),
    Case(
        ops.softmax_cross_entropy,
        "axis 0",
        lambda x: ops.softmax_cross_entropy(LABELS.T, x, axis=0),
        [normal(3, 2)],
    ),
]

COMPOSITES = {
    "relu, alpha": lambda x: ops.relu(x, alpha=0.2),
    "relu, max_value": lambda x: ops.relu(x, max_value=0.7),
    "relu, threshold": lambda x: ops.relu(x, threshold=0.4),
    "relu, all": lambda x: ops.relu(x, alpha=0.1, max_value=0.8, threshold=0.3),
    "selu": ops.selu,
    "hard_sigmoid": ops.hard_sigmoid,
}


@parametrize(CASES)
def test_the_gradient_is_that_of_differences(case: Case) -> None:
    case.check()


@pytest.mark.parametrize("name", COMPOSITES)
def test_gradients_of_what_is_made_of_operations(name: str) -> None:
    check_gradients(COMPOSITES[name], [normal(2, 3)])


# ---------------------------------------------------------------------- values


def naive_relu(x: float, alpha: float, max_value: float | None, threshold: float) -> float:
    if max_value is not None and x >= max_value:
        return max_value
    return x if x >= threshold else alpha * (x - threshold)


@pytest.mark.parametrize("alpha", [0.0, 0.2])
@pytest.mark.parametrize("max_value", [None, 0.7])
@pytest.mark.parametrize("threshold", [0.0, 0.4])
def test_relu_follows_its_definition(alpha: float, max_value: float | None, threshold: float) -> None:
    x = normal(20)
    expected = [naive_relu(value, alpha, max_value, threshold) for value in x]
    np.testing.assert_allclose(ops.relu(x, alpha, max_value, threshold).numpy(), expected)


def test_the_derivative_of_relu_at_zero_is_zero() -> None:
    x = Tensor(np.array([-1.0, 0.0, 1.0]), requires_grad=True)
    np.testing.assert_array_equal(gradients(ops.relu(x).sum(), x)[0].numpy(), [0, 0, 1])


def test_exponential_units_softsign_and_hard_sigmoid_follow_their_formulas() -> None:
    x = 2 * normal(20)
    below = 1.6732632423543772 * np.expm1(x)
    np.testing.assert_allclose(ops.elu(x, alpha=0.5).numpy(), np.where(x > 0, x, 0.5 * np.expm1(x)))
    np.testing.assert_allclose(ops.selu(x).numpy(), 1.0507009873554805 * np.where(x > 0, x, below))
    np.testing.assert_allclose(ops.softsign(x).numpy(), x / (1 + np.abs(x)))
    np.testing.assert_allclose(ops.hard_sigmoid(x).numpy(), np.clip(0.2 * x + 0.5, 0, 1))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_softmax_and_its_logarithm_are_exact_for_large_numbers(dtype: Any) -> None:
    x = Tensor(np.array([[1e4, 1e4, -1e4], [0.0, 1e4, -np.inf]], dtype), requires_grad=True)
    np.testing.assert_allclose(ops.softmax(x).numpy(), [[0.5, 0.5, 0.0], [0.0, 1.0, 0.0]])
    expected = [[-np.log(2), -np.log(2), -2e4 - np.log(2)], [-1e4, 0.0, -np.inf]]
    np.testing.assert_allclose(ops.log_softmax(x).numpy(), expected, rtol=1e-6)
    for operation in (ops.softmax, ops.log_softmax):
        slope = gradients(operation(x)[:, :2].sum(), x)[0].numpy()
        assert np.isfinite(slope).all()
        assert operation(x).dtype == dtype


def test_cross_entropies_follow_their_definitions_and_do_not_overflow() -> None:
    logits = 3 * normal(2, 3)
    p = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    np.testing.assert_allclose(ops.softmax_cross_entropy(LABELS, logits).numpy(), -(LABELS * np.log(p)).sum(-1))
    q = 1 / (1 + np.exp(-logits))
    expected = -LABELS * np.log(q) - (1 - LABELS) * np.log(1 - q)
    np.testing.assert_allclose(ops.sigmoid_cross_entropy(LABELS, logits).numpy(), expected)
    shares = POSITIVE / POSITIVE.sum(axis=-1, keepdims=True)
    expected = -(LABELS * np.log(np.clip(shares, 0.2, 0.8))).sum(axis=-1)
    np.testing.assert_allclose(ops.cross_entropy(LABELS, POSITIVE, epsilon=0.2).numpy(), expected)
    extreme = np.array([[-1e4, 0.0, 1e4]], np.float32)
    assert np.isfinite(ops.softmax_cross_entropy(np.ones((1, 3), np.float32), extreme).numpy()).all()
    assert np.isfinite(ops.sigmoid_cross_entropy(np.ones((1, 3), np.float32), extreme).numpy()).all()


@pytest.mark.parametrize(("shape", "axis"), NORMALIZATIONS)
def test_batch_norm_normalizes_by_the_statistics_of_the_batch(shape: tuple[int, ...], axis: int) -> None:
    x, gamma, beta = normal(*shape), normal(shape[axis]), normal(shape[axis], seed=1)
    y, mean, variance = ops.batch_norm(x, gamma, beta, axis=axis, epsilon=1e-3)
    rows = np.moveaxis(x, axis, -1).reshape(-1, shape[axis])
    np.testing.assert_allclose(mean.numpy(), rows.mean(0), atol=1e-14)
    np.testing.assert_allclose(variance.numpy(), rows.var(0))
    expected = (np.moveaxis(x, axis, -1) - rows.mean(0)) / np.sqrt(rows.var(0) + 1e-3) * gamma + beta
    np.testing.assert_allclose(np.moveaxis(y.numpy(), axis, -1), expected, atol=1e-13)


def test_dropout_keeps_and_scales() -> None:
    np.testing.assert_array_equal(ops.dropout(normal(2, 3), keep=KEEP, scale=2.0).numpy(), normal(2, 3) * 2 * KEEP)


def test_one_hot_marks_each_index_on_a_new_last_axis() -> None:
    np.testing.assert_array_equal(ops.one_hot([[2], [0]], 3).numpy(), [[[0, 0, 1]], [[1, 0, 0]]])
    assert ops.one_hot([1], 2).dtype == np.float32
    assert ops.one_hot([1], 2, dtype=np.float64).dtype == np.float64


# ---------------------------------------------------------------------- costs


def test_backward_of_batch_norm_is_one_kernel_call(monkeypatch: pytest.MonkeyPatch) -> None:
    xs = [Tensor(a, requires_grad=True) for a in (normal(6, 3), normal(3), normal(3, seed=1))]
    loss = ops.batch_norm(*xs)[0].sum()
    calls: list[Any] = []
    for name in ("batch_norm", "batch_norm_grad"):
        kernel = getattr(kernels, name)
        monkeypatch.setattr(kernels, name, lambda *a, f=kernel, name=name, **k: (calls.append(name), f(*a, **k))[1])
    loss.backward()
    assert calls == ["batch_norm_grad"]


def test_batch_norm_does_not_keep_its_output() -> None:
    x = Tensor(normal(6, 3), requires_grad=True)
    inputs, _, out, _, statistics = ops.batch_norm(x)[0].node.saved
    assert [inputs[i][0] for i in inputs if inputs[i][0] is not None] == [x.data]
    assert out is None
    assert [s.shape for s in statistics] == [(3,), (3,)]


def test_relu_keeps_only_its_output() -> None:
    y = ops.relu(Tensor(normal(6), requires_grad=True))
    inputs, shapes, out, _, _ = y.node.saved
    assert (inputs, shapes) == ({}, None)
    assert out[0][0] is y.data


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: ops.softmax(np.ones((2, 3)), axis=2), "softmax: axis 2 is out of bounds"),
        (lambda: ops.softmax_cross_entropy(np.ones((2, 3)), np.ones((2, 4))), "softmax_cross_entropy: "),
        (lambda: ops.batch_norm(np.ones((2, 3)), np.ones(2)), r"batch_norm: expected gamma of shape \(3,\)"),
        (lambda: ops.batch_norm(np.ones((2, 3)), axis=2), "batch_norm: axis 2 is out of bounds"),
    ],
)
def test_a_wrong_call_names_the_operation(call: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()


def test_dropout_makes_floats_of_integers() -> None:
    found = ops.dropout(np.array([[1, 2, 3]]), keep=np.array([True, False, True]), scale=1.5).numpy()
    np.testing.assert_array_equal(found, [[1.5, 0.0, 4.5]])


def test_a_network_sure_of_its_label_has_a_loss_and_a_gradient_still() -> None:
    logits = Tensor(np.array([20.0], np.float32), requires_grad=True)
    loss = ops.sigmoid_cross_entropy(np.ones(1, np.float32), logits)
    (gradient,) = gradients([loss], [logits], [Tensor(np.ones(1, np.float32))])
    np.testing.assert_allclose(loss.numpy(), 2.0611536e-09, rtol=1e-6)
    np.testing.assert_allclose(gradient.numpy(), -2.0611536e-09, rtol=1e-6)


@pytest.mark.parametrize("dtype", [bool, np.uint8, np.int64, np.float32])
def test_entropies_take_labels_of_any_type(dtype: Any) -> None:
    labels = np.array([[1, 0, 0], [0, 1, 0]])
    for operation in (ops.sigmoid_cross_entropy, ops.softmax_cross_entropy):
        found = []
        for given in (labels.astype(dtype), labels.astype(np.float64)):
            logits = Tensor(normal(2, 3), requires_grad=True)
            loss = operation(given, logits)
            (gradient,) = gradients([loss], [logits], [Tensor(np.ones(loss.shape))])
            found.append((loss.numpy(), gradient.numpy()))
        for one, other in zip(*found, strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-12)

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from minikeras import Tensor, ops
from minikeras.core.tape import gradients
from minikeras.ops.linalg import _einsum, _matmul
from tests.ops.cases import Case, normal, parametrize

PAIRS_OF_MATMUL = [
    ((2, 3), (3, 4)), ((3,), (3, 4)), ((2, 3), (3,)), ((3,), (3,)), ((5, 2, 3), (3, 4)), ((5, 2, 3), (5, 3, 4)),
    ((2, 3), (5, 3, 4)), ((1, 2, 3), (5, 3, 1)), ((2, 1, 2, 3), (4, 3, 2)), ((3,), (2, 3, 4)), ((2, 2, 3), (3,)),
    ((0, 3), (3, 4)), ((2, 0), (0, 4)), ((2, 3, 0), (0, 4)), ((0, 2, 3), (3, 4)), ((2, 3), (3, 0)),
]  # fmt: skip
AXES_OF_TENSORDOT: list[Any] = [
    ((2, 3), (3, 4), 1), ((2, 3, 4), (3, 4, 2), 2), ((2,), (3,), 0), ((2, 3, 4), (4, 2), ([2, 0], [0, 1])),
    ((2, 3), (4, 3), ([-1], [-1])), ((2, 3), (2, 4), (0, 0)), ((), (3,), 0), ((0, 2), (2, 3), 1), ((2, 0), (0, 3), 1),
]  # fmt: skip
SPECS: list[tuple[str, list[tuple[int, ...]]]] = [
    ("ij,jk->ik", [(2, 3), (3, 4)]), ("ij,jk", [(2, 3), (3, 4)]), ("bij,bjk->bik", [(2, 2, 3), (2, 3, 2)]),
    ("i,i->", [(3,), (3,)]), ("i,j->ij", [(2,), (3,)]), ("ij->ji", [(2, 3)]), ("ij->j", [(2, 3)]), ("ij->", [(2, 3)]),
    ("ii->i", [(3, 3)]), ("ii", [(3, 3)]), ("iii->i", [(2, 2, 2)]), ("iji->ji", [(3, 2, 3)]),
    ("iijj->ij", [(2, 2, 2, 2)]),
    ("...ij,...jk->...ik", [(2, 2, 3), (3, 4)]), ("...ij,jk", [(2, 2, 3), (3, 4)]), ("...,...->...", [(2, 3), (3,)]),
    ("i...->...i", [(2, 3, 4)]), ("...ii->...i", [(2, 3, 3)]), ("b...c,cd->b...d", [(2, 3, 4), (4, 2)]),
    ("ij,ij->ij", [(2, 3), (1, 3)]), ("ij,ij->i", [(2, 3), (2, 1)]), ("ij,ij->", [(2, 1), (1, 3)]),
    ("ij,jk,kl->il", [(2, 3), (3, 2), (2, 4)]), ("i,j,k->", [(2,), (3,), (2,)]), ("ij,k->ik", [(2, 3), (2,)]),
    ("ij,jk->ik", [(0, 3), (3, 4)]), ("ij,jk->ik", [(2, 0), (0, 3)]), (",i->i", [(), (3,)]),
    ("aB,Bc->ac", [(2, 3), (3, 2)]),
]  # fmt: skip

CASES = [
    *[
        Case(_matmul, f"{a} @ {b}", lambda x, y: x @ y, [normal(*a), normal(*b, seed=1)])
        for a, b in PAIRS_OF_MATMUL
    ],
    Case(_matmul, "transposed", ops.matmul, [normal(3, 2).T, normal(4, 3).T]),
    Case(_matmul, "array on the left", lambda x: normal(2, 3) @ x, [normal(3, 2)]),
    *[
        Case(_matmul, f"tensordot {a} {b} {axes}", lambda x, y, axes=axes: ops.tensordot(x, y, axes),
             [normal(*a), normal(*b, seed=1)])
        for a, b, axes in AXES_OF_TENSORDOT
    ],
    *[
        Case(_matmul, f"dot {a} {b}", ops.dot, [normal(*a), normal(*b, seed=1)])
        for a, b in [((3,), (3,)), ((2, 3), (3,)), ((2, 3), (3, 4)), ((2, 3), (5, 3, 2)), ((), (3,))]
    ],
    *[
        Case(_einsum, f"{spec} {shapes}", lambda *xs, spec=spec: ops.einsum(spec, *xs),
             [normal(*shape, seed=i) for i, shape in enumerate(shapes)])
        for spec, shapes in SPECS
    ],
    Case(_einsum, "beside constants", lambda x: ops.einsum("ij,jk,k", np.ones((2, 3)), x, np.ones(4)), [normal(3, 4)]),
    *[
        Case(ops.dense, f"{activation} {shape}", lambda x, w, b, a=activation: ops.dense(x, w, b, activation=a),
             [normal(*shape), normal(3, 4), normal(4)])
        for activation in (None, "relu", "tanh", "sigmoid")
        for shape in [(5, 3), (2, 3, 3), (3,), (0, 3)]
    ],
    Case(ops.dense, "no bias", ops.dense, [normal(5, 3), normal(3, 4)]),
    Case(ops.dense, "bias alone", lambda b: ops.dense(normal(2, 3), normal(3, 4), b, activation="tanh"), [normal(4)]),
    Case(ops.dense, "input alone", lambda x: ops.dense(x, normal(3, 4), activation="tanh"), [normal(2, 3)]),
    Case(ops.dense, "kernel alone", lambda w: ops.dense(normal(2, 3), w, normal(4)), [normal(3, 4)]),
]  # fmt: skip


@parametrize(CASES)
def test_the_gradient_is_that_of_differences(case: Case) -> None:
    case.check()


@pytest.mark.parametrize(("a", "b"), PAIRS_OF_MATMUL)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_matmul_is_numpys(a: Any, b: Any, dtype: Any) -> None:
    x, y = normal(*a).astype(dtype), normal(*b, seed=1).astype(dtype)
    result = ops.matmul(x, y)
    np.testing.assert_allclose(result.numpy(), x @ y, rtol=1e-5 if dtype is np.float32 else 1e-13, atol=1e-6)
    assert result.dtype == dtype


@pytest.mark.parametrize(("a", "b", "axes"), AXES_OF_TENSORDOT)
def test_tensordot_is_numpys(a: Any, b: Any, axes: Any) -> None:
    x, y = normal(*a), normal(*b, seed=1)
    np.testing.assert_allclose(ops.tensordot(x, y, axes).numpy(), np.tensordot(x, y, axes), atol=1e-14)


@pytest.mark.parametrize(("spec", "shapes"), SPECS)
def test_einsum_is_numpys(spec: str, shapes: Any) -> None:
    xs = [normal(*shape, seed=i) for i, shape in enumerate(shapes)]
    result, expected = ops.einsum(spec, *xs), np.einsum(spec, *xs)
    np.testing.assert_allclose(result.numpy(), expected, atol=1e-14)
    assert result.shape == np.shape(expected)
    assert ops.einsum(spec, *[x.astype(np.float32) for x in xs]).dtype == np.float32


@pytest.mark.parametrize("activation", [None, "relu", "tanh", "sigmoid"])
def test_dense_is_a_product_a_bias_and_an_activation(activation: str | None) -> None:
    x, w, bias = normal(2, 5, 3), normal(3, 4), normal(4)
    function = {None: lambda x: x, "relu": ops.relu, "tanh": ops.tanh, "sigmoid": ops.sigmoid}[activation]
    np.testing.assert_allclose(
        ops.dense(x, w, bias, activation=activation).numpy(), function(Tensor(x @ w + bias)).numpy(), rtol=1e-13
    )


def test_dense_computes_no_gradient_that_is_not_needed() -> None:
    w = Tensor(normal(3, 4), requires_grad=True)
    calls: list[tuple[int, ...]] = []
    forward = _matmul.forward
    _matmul.forward = lambda x, y: (calls.append(x.shape), forward(x, y))[1]
    try:
        gradients(ops.dense(normal(5, 3), w).sum(), [w])
    finally:
        _matmul.forward = forward
    assert calls == [(3, 5)]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: ops.matmul(np.ones((2, 3)), np.ones((2, 3))), r"matmul: expected .*Received: \(2, 3\) @ \(2, 3\)"),
        (lambda: Tensor(np.ones(2)) @ 3.0, r"matmul: expected .*Received: \(2,\) @ \(\)"),
        (lambda: ops.matmul(np.ones((2, 2, 3)), np.ones((3, 3, 4))), "matmul: .*could not be broadcast"),
        (lambda: ops.tensordot(np.ones((2, 3)), np.ones((2, 3)), 1), r"tensordot: axes \(1,\) of \(2, 3\) must"),
        (lambda: ops.tensordot(np.ones((2, 3)), np.ones((2, 3)), 3), "tensordot: .* share so many axes. Received: 3"),
        (lambda: ops.tensordot(np.ones((2, 3)), np.ones((2, 3)), ([0], [2])), "tensordot: axis 2"),
        (lambda: ops.tensordot(np.ones((2, 3)), np.ones((2, 3)), ([0, 1], [0])), "tensordot: "),
        (lambda: ops.dense(np.ones((2, 3)), np.ones((4, 5))), r"dense: .*x of shape \(2, 3\).*w of shape \(4, 5\)"),
        (lambda: ops.dense(np.ones((2, 3)), np.ones((3, 5)), np.ones(4)), "dense: "),
        (lambda: ops.dense(np.ones((2, 3)), np.ones((3, 5)), activation="gelu"), "dense: .*gelu"),
        (lambda: ops.einsum("ij,jk", np.ones((2, 3))), "einsum: 'ij,jk' names 2 operands. Received: 1"),
        (lambda: ops.einsum("ijk", np.ones((2, 3))), "einsum: 'ijk' in 'ijk' doesn't fit an operand of 2 axes"),
        (lambda: ops.einsum("ii", np.ones((2, 3))), "einsum: the axes 'i'"),
        (lambda: ops.einsum("ij->k", np.ones((2, 3))), "einsum: "),
        (lambda: ops.einsum("ij,jk", np.ones((2, 3)), np.ones((2, 3))), "einsum: "),
        (lambda: ops.einsum("...i->i", np.ones((2, 3))), "einsum: "),
    ],
)  # fmt: skip
def test_a_wrong_call_names_the_operation_and_the_shapes(call: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()

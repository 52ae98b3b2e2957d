from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from minikeras import Tensor, losses
from minikeras import backend as K
from tests.backend.table import Case, normal, parametrize, positive
from tests.functions import assert_close, reference

X, P = normal(3, 4), positive(3, 4)
LABELS, MAPS = np.array([3, 0, 1]), positive(2, 3, 2, 2)
ONE_HOT = np.eye(4)[LABELS]
IMAGE = normal(2, 3, 2, 4)
GAMMA, BETA, MEAN, VARIANCE = positive(4), normal(4), normal(4, seed=1), positive(4, seed=1)


def shares(x: np.ndarray, axis: int = -1) -> np.ndarray:
    return np.exp(x) / np.exp(x).sum(axis=axis, keepdims=True)


def moments(x: np.ndarray, axes: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    mean = x.mean(axis=axes)
    return mean, (x**2).mean(axis=axes) - mean**2


IMAGE_MEAN, IMAGE_VARIANCE = moments(IMAGE, (0, 1, 2))
CASES = [
    Case("relu", K.relu, [X], np.where(X > 0, X, 0)),
    Case("relu", lambda x: K.relu(x, 0.1, 0.6, 0.2), [X],
         np.where(X >= 0.6, 0.6, np.where(X >= 0.2, X, 0.1 * (X - 0.2)))),
    Case("elu", K.elu, [X], np.where(X > 0, X, np.exp(X) - 1)),
    Case("elu", lambda x: K.elu(x, 0.3), [X], np.where(X > 0, X, 0.3 * (np.exp(X) - 1))),
    Case("softmax", K.softmax, [X], shares(X)),
    Case("softmax", lambda x: K.softmax(x, axis=1), [IMAGE], shares(IMAGE, 1)),
    Case("softplus", K.softplus, [X], np.log(1 + np.exp(X))),
    Case("softsign", K.softsign, [X], X / (1 + np.abs(X))),
    Case("sigmoid", K.sigmoid, [X], 1 / (1 + np.exp(-X))),
    Case("hard_sigmoid", K.hard_sigmoid, [X * 2], np.minimum(1, np.maximum(0, 0.4 * X + 0.5))),
    Case("tanh", K.tanh, [X], (np.exp(2 * X) - 1) / (np.exp(2 * X) + 1)),
    Case("l2_normalize", K.l2_normalize, [X], X / np.sqrt((X**2).sum())),
    Case("l2_normalize", lambda x: K.l2_normalize(x, axis=1), [X], X / np.sqrt((X**2).sum(1))[:, None]),
    Case("normalize_batch_in_training", lambda x, g, b: K.normalize_batch_in_training(x, g, b, [0, 1, 2]),
         [IMAGE, GAMMA, BETA],
         ((IMAGE - IMAGE_MEAN) / np.sqrt(IMAGE_VARIANCE + 1e-3) * GAMMA + BETA, IMAGE_MEAN, IMAGE_VARIANCE)),
    Case("normalize_batch_in_training", lambda x: K.normalize_batch_in_training(x, None, None, [0], 0.1), [X],
         ((X - X.mean(0)) / np.sqrt(X.var(0) + 0.1), X.mean(0), X.var(0))),
    Case("batch_normalization", K.batch_normalization, [X, MEAN, VARIANCE, BETA, GAMMA],
         np.stack([(X[:, c] - MEAN[c]) * GAMMA[c] / (VARIANCE[c] + 1e-3) ** 0.5 + BETA[c] for c in range(4)], axis=1)),
    Case("batch_normalization", lambda x, m, v: K.batch_normalization(x, m, v, None, None, axis=1, epsilon=0.1),
         [np.moveaxis(IMAGE, -1, 1), MEAN, VARIANCE], np.moveaxis((IMAGE - MEAN) / np.sqrt(VARIANCE + 0.1), -1, 1)),
    Case("bias_add", K.bias_add, [IMAGE, BETA], np.array([[[[*(v + BETA)] for v in c] for c in r] for r in IMAGE])),
    Case("bias_add", lambda x, b: K.bias_add(x, b, "channels_first"), [IMAGE, BETA[:3]],
         np.stack([IMAGE[:, c] + BETA[c] for c in range(3)], axis=1)),
    Case("bias_add", K.bias_add, [IMAGE, normal(3, 2, 4)], np.stack([sample + normal(3, 2, 4) for sample in IMAGE])),
    Case("bias_add", lambda x, b: K.bias_add(x, b, "channels_first"), [IMAGE, normal(2, 4, 3)],
         np.stack([sample + normal(2, 4, 3).ravel().reshape(3, 2, 4) for sample in IMAGE])),
    Case("bias_add", lambda x, b: K.bias_add(x, b, "channels_first"), [X, BETA], np.array([r + BETA for r in X])),
    Case("categorical_crossentropy", K.categorical_crossentropy, [ONE_HOT, P],
         np.array([-np.log(p[i] / p.sum()) for p, i in zip(P, LABELS, strict=True)]), free=(0, 1)),
    Case("categorical_crossentropy", lambda t, x: K.categorical_crossentropy(t, x, from_logits=True), [ONE_HOT, X],
         np.array([-np.log(p[i]) for p, i in zip(shares(X), LABELS, strict=True)]), free=(0, 1)),
    Case("categorical_crossentropy", lambda t, x: K.categorical_crossentropy(t, x, axis=1), [MAPS[::-1].copy(), MAPS],
         -(MAPS[::-1] * np.log(MAPS / MAPS.sum(1, keepdims=True))).sum(1), free=(0, 1)),
    Case("sparse_categorical_crossentropy", lambda x: K.sparse_categorical_crossentropy(LABELS, x, from_logits=True),
         [X], np.array([-np.log(p[i]) for p, i in zip(shares(X), LABELS, strict=True)]), free=()),
    Case("sparse_categorical_crossentropy", K.sparse_categorical_crossentropy, [LABELS, P],
         np.array([-np.log(p[i] / p.sum()) for p, i in zip(P, LABELS, strict=True)]), free=(0, 1)),
    Case("sparse_categorical_crossentropy", lambda t, x: K.sparse_categorical_crossentropy(t, x, axis=1),
         [np.array([[[0, 2], [1, 1]], [[2, 0], [0, 1]]]), MAPS],
         np.array([[[-np.log(MAPS[n, c, i, j] / MAPS[n, :, i, j].sum()) for j, c in enumerate(r)]
                    for i, r in enumerate(s)] for n, s in enumerate([[[0, 2], [1, 1]], [[2, 0], [0, 1]]])]),
         free=(0, 1)),
    Case("binary_crossentropy", K.binary_crossentropy, [ONE_HOT, P],
         np.where(ONE_HOT == 1, -np.log(P), -np.log(1 - P)), free=(0, 1)),
    Case("binary_crossentropy", lambda t, x: K.binary_crossentropy(t, x, from_logits=True), [ONE_HOT, X],
         np.where(ONE_HOT == 1, np.log(1 + np.exp(-X)), np.log(1 + np.exp(X))), free=(0, 1)),
    Case("in_top_k", lambda x, t: K.in_top_k(x, t, 2),
         [np.array([[1.0, 2, 3], [3, 2, 1], [1, 2, 1]]), np.array([0, 1, 2])],
         np.array([False, True, True]), (0, 1), smooth=False),
]  # fmt: skip


@parametrize(CASES)
def test_the_value_is_that_of_the_formula(case: Case) -> None:
    case.check_value()


@parametrize(CASES)
def test_recorded_and_fed_it_is_the_same(case: Case) -> None:
    case.check_recorded()


@parametrize([case for case in CASES if case.smooth])
def test_the_derivatives_are_those_of_differences(case: Case) -> None:
    case.check_gradient()


@pytest.mark.parametrize("name", ["elu", "hard_sigmoid", "relu", "sigmoid", "softmax", "softplus", "softsign", "tanh"])
def test_activations_are_those_of_keras(name: str) -> None:
    values = reference()
    assert_close(getattr(K, name)(values["act/x"]), values[f"act/{name}/y"])


@pytest.mark.parametrize("name", ["categorical_crossentropy", "sparse_categorical_crossentropy"])
def test_entropies_are_those_of_keras(name: str) -> None:
    values = {key: reference()[f"loss/{name}/{key}"] for key in ("true", "pred", "y")}
    assert_close(getattr(K, name)(values["true"], values["pred"]), values["y"])


def test_binary_entropies_are_those_of_keras() -> None:
    values = {key: reference()[f"loss/binary_crossentropy/{key}"] for key in ("true", "pred", "y")}
    assert_close(K.mean(K.binary_crossentropy(values["true"], values["pred"]), axis=-1), values["y"])


@pytest.mark.parametrize("certain", [0.0, 1.0])
def test_probabilities_are_clipped_as_the_losses_clip_them(certain: float) -> None:
    target, output = np.array([[1.0, 0.0]]), np.array([[1 - certain, certain]])
    for name in ("binary_crossentropy", "categorical_crossentropy"):
        found = K.mean(getattr(K, name)(target, output)).item()
        assert found == losses.get(name)(target, output).numpy().mean()
        assert np.isfinite(found)
    binary = K.binary_crossentropy(target, output).numpy()
    np.testing.assert_allclose(binary, -np.log(1 - 1e-7) if certain == 0 else -np.log(1e-7), rtol=1e-6)


def test_what_is_not_finite_is_not_in_the_top_k() -> None:
    assert K.in_top_k(np.array([[1.0, np.inf], [1.0, 2.0]]), np.array([1, 1]), 1).tolist() == [False, True]


def test_integers_are_taken_as_floats_of_the_default_type() -> None:
    assert K.dtype(K.softmax(Tensor(np.array([[1, 2]])))) == "float32"


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: K.bias_add(IMAGE, normal(2, 4)), r"bias_add: bias must have 1 or 3 axes. Received: shape \(2, 4\)"),
        (lambda: K.bias_add(IMAGE, BETA, "first"), "data_format must be one of"),
        (lambda: K.categorical_crossentropy(ONE_HOT, P[:, :3]), "must have the same shape"),
        (lambda: K.categorical_crossentropy(ONE_HOT, P, axis=2), "categorical_crossentropy: axis must be one of the 2"),
        (lambda: K.sparse_categorical_crossentropy(LABELS + 1, P), "must hold the class numbers 0 to 3"),
        (lambda: K.binary_crossentropy(ONE_HOT[:2], P), "binary_crossentropy: y_true and y_pred must have the same"),
        (lambda: K.in_top_k(P, LABELS, 0), "in_top_k: k must be a positive integer. Received: 0"),
        (lambda: K.in_top_k(P, LABELS[:2], 1), r"in_top_k: y_true must have the shape \(3,\)"),
    ],
)
def test_wrong_arguments_are_named(call: Callable[[], Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()

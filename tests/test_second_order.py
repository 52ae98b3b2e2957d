"""Losses, activations, regularizers and constraints against differences, to second order, over grids of arguments.

Losses are differentiated in the targets too, as distillation and mixed labels need it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from minikeras import activations, constraints, losses, ops, regularizers
from tests.numerical import check_gradients
from tests.ops.cases import distinct, normal, positive

SHAPES = [(3,), (2, 1), (2, 4), (2, 3, 2), (0, 3)]


def probabilities(shape: tuple[int, ...], seed: int) -> np.ndarray:
    """Positive numbers that sum to one along the last axis; with one class, between 0.1 and 0.4."""
    values = positive(*shape, seed=seed)
    return values / values.sum(axis=-1, keepdims=True) if shape[-1] > 1 else values / 5


def signs(shape: tuple[int, ...]) -> np.ndarray:
    return np.where(normal(*shape, seed=5) > 0, 1.0, -1.0)


def apart(shape: tuple[int, ...]) -> np.ndarray:
    """Numbers of different sizes whose margins from 0 and ±1 are more than differences reach."""
    return distinct(*shape) * 1.3 + 0.011


REAL = {"mean_squared_error", "mean_absolute_error", "logcosh", "cosine_proximity"}
POSITIVE = {"mean_absolute_percentage_error", "mean_squared_logarithmic_error", "poisson"}
HINGES = {"hinge", "squared_hinge", "categorical_hinge"}
OF_PROBABILITIES = {"categorical_crossentropy", "binary_crossentropy", "kullback_leibler_divergence"}
SPARSE = "sparse_categorical_crossentropy"


def loss_arguments(name: str, shape: tuple[int, ...]) -> list[np.ndarray]:
    """Targets and predictions where the loss is smooth."""
    if name in REAL:
        return [normal(*shape, seed=1) + 3.0, normal(*shape)]
    if name in POSITIVE:
        return [positive(*shape, seed=1) + 2.0, positive(*shape)]
    if name == "categorical_hinge":
        return [np.eye(max(shape[-1], 2))[np.zeros(shape[:-1], int)][..., : shape[-1]], apart(shape)]
    if name in HINGES:
        return [signs(shape), apart(shape)]
    return [probabilities(shape, 1), probabilities(shape, 2)]


def test_every_loss_is_in_the_grid() -> None:
    canonical = {losses.get(name).__name__ for name in losses.registry}
    assert canonical == REAL | POSITIVE | HINGES | OF_PROBABILITIES | {SPARSE}


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("name", sorted(REAL | POSITIVE | HINGES | OF_PROBABILITIES))
def test_a_loss_has_the_derivatives_of_differences_in_targets_and_predictions(
    name: str, shape: tuple[int, ...]
) -> None:
    check_gradients(losses.get(name), loss_arguments(name, shape), tol=1e-7)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("name", ["categorical_crossentropy", "binary_crossentropy"])
def test_a_cross_entropy_of_logits_does_too(name: str, shape: tuple[int, ...]) -> None:
    loss = losses.get(name)
    arrays = [probabilities(shape, 1), 3 * normal(*shape)]
    check_gradients(lambda y_true, y_pred: loss(y_true, y_pred, from_logits=True), arrays)


@pytest.mark.parametrize("from_logits", [False, True])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_the_cross_entropy_of_class_numbers_does_too(shape: tuple[int, ...], from_logits: bool) -> None:
    labels = np.arange(np.prod(shape[:-1], dtype=int)).reshape(shape[:-1]) % shape[-1]
    prediction = normal(*shape) if from_logits else probabilities(shape, 2)
    check_gradients(lambda y: losses.sparse_categorical_crossentropy(labels, y, from_logits=from_logits), [prediction])


@pytest.mark.parametrize("name", ["categorical_crossentropy", "binary_crossentropy"])
def test_certain_targets_and_far_logits_are_no_harder(name: str) -> None:
    targets = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
    loss = losses.get(name)
    check_gradients(lambda y: loss(targets, y, from_logits=True), [np.array([[30.0, -20.0, 5.0], [25.0, 25.5, -40.0]])])


# ---------------------------------------------------------------------- activations


def activation_cases() -> Iterator[Any]:
    for name in sorted(activations.registry):
        if name not in ("softmax", "log_softmax"):
            for shape in [(), (4,), (2, 3), (2, 0)]:
                yield pytest.param(activations.get(name), normal(*shape), id=f"{name}-{shape}")
            yield pytest.param(activations.get(name), normal(4, 3)[::2, ::-1].T, id=f"{name}-strided")
            yield (
                pytest.param(activations.get(name), 20 * normal(5), id=f"{name}-large")
                if name not in {"exponential"}
                else pytest.param(activations.get(name), 0.01 * normal(5), id=f"{name}-small")
            )
    for shape, axis in [((2, 3), -1), ((2, 3), 0), ((2, 3, 2), 1), ((2, 1), -1), ((2, 3, 4), -1), ((0, 3), -1)]:
        yield pytest.param(
            lambda x, axis=axis: activations.softmax(x, axis=axis), normal(*shape), id=f"softmax-{axis}-{shape}"
        )
        yield pytest.param(
            lambda x, axis=axis: ops.log_softmax(x, axis=axis), 5 * normal(*shape), id=f"log_softmax-{axis}-{shape}"
        )
    for alpha in (0.0, 0.3, 2.0):
        yield pytest.param(lambda x, alpha=alpha: activations.elu(x, alpha), normal(2, 3), id=f"elu-{alpha}")
        for max_value in (None, 0.7):
            for threshold in (0.0, 0.4, -0.4):
                yield pytest.param(
                    lambda x, a=alpha, m=max_value, t=threshold: activations.relu(x, a, m, t),
                    distinct(3, 4) + 0.009,
                    id=f"relu-{alpha}-{max_value}-{threshold}",
                )


@pytest.mark.parametrize(("activation", "x"), list(activation_cases()))
def test_an_activation_has_the_derivatives_of_differences(activation: Any, x: np.ndarray) -> None:
    check_gradients(activation, [x])


# ---------------------------------------------------------------------- regularizers and constraints


@pytest.mark.parametrize("shape", [(), (3,), (2, 3), (2, 2, 1, 2), (0, 2)], ids=str)
@pytest.mark.parametrize("l2", [0.0, 0.02])
@pytest.mark.parametrize("l1", [0.0, 0.3])
def test_a_penalty_has_the_derivatives_of_differences(l1: float, l2: float, shape: tuple[int, ...]) -> None:
    check_gradients(regularizers.L1L2(l1, l2), [normal(*shape)])


@pytest.mark.parametrize(
    ("shape", "axis"), [((3,), 0), ((3, 2), 0), ((3, 2), 1), ((2, 3), -1), ((2, 2, 1, 2), [0, 1, 2])]
)
@pytest.mark.parametrize("scale", [0.1, 10.0])
@pytest.mark.parametrize(
    "constraint",
    [
        lambda axis: constraints.MaxNorm(1.5, axis),
        lambda axis: constraints.UnitNorm(axis),
        lambda axis: constraints.MinMaxNorm(0.8, 1.5, 1.0, axis),
        lambda axis: constraints.MinMaxNorm(0.8, 1.5, 0.3, axis),
        lambda axis: constraints.NonNeg(),
    ],
    ids=["MaxNorm", "UnitNorm", "MinMaxNorm", "MinMaxNorm by 0.3", "NonNeg"],
)
def test_a_constraint_has_the_derivatives_of_differences(
    constraint: Any, scale: float, shape: tuple[int, ...], axis: Any
) -> None:
    check_gradients(constraint(axis), [scale * normal(*shape)], tol=1e-5 if scale < 1 else 1e-8)

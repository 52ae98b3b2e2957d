from __future__ import annotations

import importlib
import inspect
from typing import Any

import numpy as np
import pytest

from minikeras import activations, gradcheck, layers, losses, models, regularizers
from tests.gradcheck.handwritten import FUNCTIONS, HandWritten
from tests.gradcheck.seeds import seeds
from tests.gradcheck.zoo import ZOO
from tests.gradcheck.zoo import Case as LayerCase
from tests.ops import cases

pytestmark = [pytest.mark.slow, pytest.mark.no_cover]

TABLES = [importlib.import_module(f"tests.ops.test_{name}") for name in (
    "conv", "elementwise", "linalg", "nn", "pool", "reduce", "resize", "shape")]  # fmt: skip
OPERATIONS = [case for table in TABLES for case in table.CASES]


def other_numbers(array: Any, seed: int) -> Any:
    """The elements of an array in another order and scaled by one factor: as far from kinks and poles as before."""
    array = np.asarray(array)
    if array.dtype.kind != "f":
        return array
    rng = np.random.default_rng([seed, array.size])
    return rng.permutation(array.ravel()).reshape(array.shape) * rng.uniform(0.8, 1.0)


def strided(case: cases.Case) -> bool:
    return case.label in ("transposed", "every second", "every second image", "channels moved from the front")


@pytest.mark.parametrize("case", [pytest.param(c, id=f"{c.operation.name}-{c.label}") for c in OPERATIONS])
def test_a_right_operation_raises_no_alarm(case: cases.Case) -> None:
    for seed in seeds(f"{case.operation.name} {case.label}"):
        arrays = case.arrays if strided(case) else [other_numbers(array, seed) for array in case.arrays]
        report = gradcheck.check_gradients(case.function, arrays, seed=seed)
        assert report.ok, f"seed {seed}:\n{report}"


@pytest.mark.parametrize("case", ZOO, ids=lambda c: c.label)
def test_a_right_layer_raises_no_alarm(case: LayerCase) -> None:
    for seed in seeds(case.label):
        report = case.check(seed)
        assert report.ok, f"seed {seed}:\n{report}"


@pytest.mark.parametrize("written", FUNCTIONS, ids=lambda f: f.name)
def test_a_right_gradient_by_hand_raises_no_alarm(written: HandWritten) -> None:
    for seed in seeds(written.name):
        report = written.check(seed)
        assert report.ok, f"seed {seed}:\n{report}"


ACTIVATIONS = [
    "celu", "elu", "exponential", "gelu", "hard_shrink", "hard_sigmoid", "hard_sigmoid6", "hard_silu", "hard_tanh",
    "leaky_relu", "linear", "log_sigmoid", "log_softmax", "mish", "relu", "relu6", "selu", "sigmoid", "silu",
    "soft_shrink", "softmax", "softplus", "softsign", "sparse_plus", "sparse_sigmoid", "tanh", "tanh_shrink",
]  # fmt: skip


def test_no_activation_is_left_out() -> None:
    functions = {
        name for name, value in vars(activations).items() if getattr(value, "__module__", "") == activations.__name__
    }
    assert functions - {"get", "fused_name"} == set(ACTIVATIONS)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_a_right_activation_raises_no_alarm(name: str) -> None:
    for seed in seeds(name):
        report = gradcheck.check_gradients(activations.get(name), [cases.normal(4, 5, seed=seed)], seed=seed)
        assert report.ok, f"seed {seed}:\n{report}"


def probabilities(*shape: int, seed: int) -> np.ndarray:
    values = cases.positive(*shape, seed=seed)
    return values / values.sum(-1, keepdims=True)


def signs(*shape: int, seed: int) -> np.ndarray:
    return np.sign(cases.normal(*shape, seed=seed))


def one_hot(*shape: int, seed: int) -> np.ndarray:
    return np.eye(shape[-1])[np.random.default_rng(seed).integers(shape[-1], size=shape[:-1])]


def labels(*shape: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(shape[-1], size=shape[:-1])


LOSSES: dict[str, tuple[Any, Any]] = {
    "mean_squared_error": (cases.normal, cases.normal), "mean_absolute_error": (cases.normal, cases.distinct),
    "mean_absolute_percentage_error": (cases.positive, cases.distinct),
    "mean_squared_logarithmic_error": (cases.positive, cases.positive), "squared_hinge": (signs, cases.normal),
    "hinge": (signs, cases.normal), "categorical_hinge": (one_hot, cases.normal),
    "logcosh": (cases.normal, cases.normal),
    "categorical_crossentropy": (probabilities, probabilities),
    "sparse_categorical_crossentropy": (labels, probabilities), "binary_crossentropy": (probabilities, probabilities),
    "kullback_leibler_divergence": (probabilities, probabilities), "poisson": (cases.positive, cases.positive),
    "cosine_proximity": (cases.normal, cases.normal),
}  # fmt: skip
LOGITS = ["categorical_crossentropy", "sparse_categorical_crossentropy", "binary_crossentropy"]


def test_no_loss_is_left_out() -> None:
    own = [
        v for v in vars(losses).values() if getattr(v, "__module__", "") == losses.__name__ and inspect.isfunction(v)
    ]
    found = {f.__name__ for f in own if [*inspect.signature(f).parameters][:2] == ["y_true", "y_pred"]}
    assert found == set(LOSSES)


@pytest.mark.parametrize(("name", "logits"), [*[(n, False) for n in LOSSES], *[(n, True) for n in LOGITS]])
def test_a_right_loss_raises_no_alarm(name: str, logits: bool) -> None:
    loss, (targets, predictions) = getattr(losses, name), LOSSES[name]
    options = {"from_logits": True} if logits else {}
    for seed in seeds(name):
        y_true = targets(5, 4, seed=seed)
        y_pred = (cases.normal if logits else predictions)(5, 4, seed=seed + 100)
        report = gradcheck.check_gradients(lambda p, t=y_true: loss(t, p, **options), [y_pred], seed=seed)
        assert report.ok, f"seed {seed}:\n{report}"


@pytest.mark.parametrize("penalty", ["l1", "l2", "l1_l2"])
def test_a_right_regularizer_raises_no_alarm(penalty: str) -> None:
    for seed in seeds(penalty):
        report = gradcheck.check_gradients(regularizers.get(penalty), [cases.normal(3, 4, seed=seed)], seed=seed)
        assert report.ok, f"seed {seed}:\n{report}"


def network(regularizer: str | None) -> models.Sequential:
    return models.Sequential([
        layers.Conv2D(3, 3, padding="same", activation="tanh", input_shape=(6, 6, 2), kernel_regularizer=regularizer),
        layers.BatchNormalization(),
        layers.AveragePooling2D(2),
        layers.Flatten(),
        layers.Dense(4, activation="softmax", activity_regularizer=regularizer),
    ])  # fmt: skip


@pytest.mark.parametrize("regularizer", [None, "l2", "l1_l2"])
@pytest.mark.parametrize("loss", ["mse", "categorical_crossentropy", "kullback_leibler_divergence"])
@pytest.mark.parametrize("weighted", [False, True])
def test_a_right_model_raises_no_alarm(loss: str, regularizer: str | None, weighted: bool) -> None:
    for seed in seeds(f"{loss} {regularizer} {weighted}"):
        model = network(regularizer)
        model.compile("sgd", loss)
        rng = np.random.default_rng(seed)
        x, y = rng.normal(size=(5, 6, 6, 2)), probabilities(5, 4, seed=seed)
        weights = rng.uniform(0.5, 2.0, 5) if weighted else None
        report = gradcheck.check_model(model, x, y, sample_weight=weights, seed=seed)
        assert report.ok, f"seed {seed}:\n{report}"

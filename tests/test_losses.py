"""Losses: the numbers of Keras 2.2.4, logits, derivatives, names and messages."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest

from minikeras import Tensor, gradients, losses, ops
from minikeras.core.symbolic import SymbolicTensor, evaluate
from tests.functions import assert_close, reference, reference_names
from tests.numerical import check_gradients

NAMES = reference_names("loss")
LABELS = np.array([2, 0, 4])
ONE_HOT = np.eye(5)[LABELS]
SCORES = np.random.default_rng(0).normal(size=(3, 5))
PROBABILITIES = np.exp(SCORES) / np.exp(SCORES).sum(axis=-1, keepdims=True)
# For the comparison with differences: no target is near its prediction, none near 0 or 1.
FRACTIONS = np.random.default_rng(0).permutation(np.linspace(0.3, 0.8, 30)).reshape(2, 3, 5)
TARGETS = {
    "sparse_categorical_crossentropy": LABELS,
    "categorical_crossentropy": ONE_HOT,
    "categorical_hinge": ONE_HOT,
    "hinge": 2 * ONE_HOT - 1,
    "squared_hinge": 2 * ONE_HOT - 1,
}


def test_the_reference_covers_all_losses():
    assert {losses.get(name).__name__ for name in losses.registry} == set(NAMES)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("name", NAMES)
def test_values_and_gradients_are_those_of_keras(name, dtype):
    arrays = {key: reference()[f"loss/{name}/{key}"] for key in ("true", "pred", "y", "dpred")}
    y_pred = Tensor(arrays["pred"].astype(dtype), requires_grad=True)
    y = losses.get(name)(arrays["true"], y_pred)
    (dpred,) = gradients(y.sum(), [y_pred])
    assert y.dtype == dpred.dtype == dtype
    assert_close(y, arrays["y"])
    assert_close(dpred, arrays["dpred"])


@pytest.mark.parametrize("name", NAMES)
def test_first_and_second_derivatives_agree_with_differences(name):
    y_true = TARGETS.get(name, FRACTIONS[0])
    y_pred = SCORES if "hinge" in name else FRACTIONS[1]
    check_gradients(losses.get(name), [y_true, y_pred])


@pytest.mark.parametrize(
    ("name", "y_true"),
    [
        ("categorical_crossentropy", ONE_HOT),
        ("sparse_categorical_crossentropy", LABELS),
        ("binary_crossentropy", ONE_HOT),
    ],
)
def test_logits_give_what_their_probabilities_give_but_without_a_limit(name, y_true):
    loss = losses.get(name)
    squash = ops.sigmoid if name == "binary_crossentropy" else ops.softmax
    assert_close(loss(y_true, SCORES, from_logits=True), loss(y_true, squash(SCORES)).numpy())
    check_gradients(partial(loss, from_logits=True), [y_true, SCORES])
    large = np.zeros((1, 5))
    large[0, 1] = 1000.0
    assert loss(y_true[1:2], large, from_logits=True).item() >= 150.0
    assert loss(y_true[1:2], squash(large)).item() < 20.0


def test_probabilities_of_zero_and_one_give_finite_losses_at_epsilon():
    certain, wrong = np.array([[1.0, 0.0]]), np.array([[0.0, 1.0]])
    at_epsilon = -np.log(1e-7)
    assert losses.categorical_crossentropy(certain, wrong).item() == pytest.approx(at_epsilon)
    assert losses.binary_crossentropy(certain, wrong).item() == pytest.approx(at_epsilon)
    assert losses.sparse_categorical_crossentropy([0], wrong).item() == pytest.approx(at_epsilon)
    assert losses.categorical_crossentropy(certain, certain).item() == pytest.approx(1e-7, rel=1e-3)


def test_categorical_crossentropy_takes_predictions_that_do_not_sum_to_one():
    assert losses.categorical_crossentropy([[1, 0]], np.array([[2.0, 6.0]])).item() == pytest.approx(np.log(4))


@pytest.mark.parametrize("name", NAMES)
def test_images_give_one_value_per_pixel(name):
    rng = np.random.default_rng(0)
    y_pred = rng.uniform(0.1, 0.9, (2, 3, 4, 5))
    y_true = rng.integers(0, 5, (2, 3, 4)) if name.startswith("sparse") else rng.uniform(0.1, 0.9, y_pred.shape)
    loss = losses.get(name)
    per_pixel = loss(y_true, y_pred).numpy()
    assert per_pixel.shape == (2, 3, 4)
    assert_close(loss(y_true[1, 2], y_pred[1, 2]), per_pixel[1, 2])


def test_integer_and_boolean_targets_and_lists_are_taken():
    y_pred = np.array([[0.25, 0.75]], np.float32)
    expected = losses.mean_squared_error(np.array([[0.0, 1.0]]), y_pred)
    assert expected.dtype == np.float32
    for y_true in ([[0, 1]], np.array([[False, True]]), np.array([[0, 1]], np.uint8), Tensor([[0.0, 1.0]])):
        found = losses.mean_squared_error(y_true, y_pred)
        assert found.dtype == np.float32
        assert_close(found, expected.numpy())
    assert losses.mean_absolute_error([[0, 1]], [[2, 2]]).item() == 1.5


def test_sparse_labels_are_taken_with_and_without_a_last_axis_and_as_floats():
    expected = losses.sparse_categorical_crossentropy(LABELS, PROBABILITIES).numpy()
    for labels in (LABELS[:, None], LABELS.astype("float32"), LABELS.astype("uint8"), list(LABELS)):
        assert_close(losses.sparse_categorical_crossentropy(labels, PROBABILITIES), expected)


@pytest.mark.parametrize("name", NAMES)
def test_losses_record_on_symbolic_tensors(name):
    y_true = LABELS if name.startswith("sparse") else PROBABILITIES[::-1]
    truth = SymbolicTensor((None, *y_true.shape[1:]), "float64")
    prediction = SymbolicTensor((None, 5), "float64")
    loss = losses.get(name)
    recorded = loss(truth, prediction)
    assert recorded.shape == (None,)
    (found,) = evaluate([recorded], {truth: Tensor(y_true.astype(float)), prediction: Tensor(PROBABILITIES)})
    assert_close(found, loss(y_true, PROBABILITIES).numpy())


# ---------------------------------------------------------------------- names and messages


@pytest.mark.parametrize(
    ("aliases", "name"),
    [
        (("mse", "MSE"), "mean_squared_error"),
        (("mae", "MAE"), "mean_absolute_error"),
        (("mape", "MAPE"), "mean_absolute_percentage_error"),
        (("msle", "MSLE"), "mean_squared_logarithmic_error"),
        (("kld", "KLD"), "kullback_leibler_divergence"),
        (("cosine",), "cosine_proximity"),
    ],
)
def test_aliases_are_the_same_function(aliases, name):
    for alias in aliases:
        assert losses.get(alias) is getattr(losses, alias) is getattr(losses, name)
        assert losses.serialize(losses.get(alias)) == name


def test_functions_of_ones_own_and_none_are_taken_as_they_are():
    def own(y_true, y_pred):
        return y_pred

    assert losses.get(own) is own
    assert losses.deserialize("own", {"own": own}) is own
    assert losses.get(None) is None


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: losses.get("mean_square_error"), "Unknown loss: .* mean 'mean_squared_error'"),
        (lambda: losses.get(1), "Cannot interpret the loss: .*Received: 1"),
        (
            lambda: losses.mean_squared_error(np.zeros(8), np.zeros((8, 1))),
            r"mean_squared_error: .* shape \(8, 1\), e.g. by y_true\[..., None\].*y_true \(8,\), y_pred \(8, 1\)",
        ),
        (lambda: losses.mse(np.zeros((4, 1)), np.zeros((4, 5))), r"same shape.*y_true \(4, 1\), y_pred \(4, 5\)"),
        (lambda: losses.mae(0.0, 1.0), r"mean_absolute_error: .*at least one axis.*y_true \(\), y_pred \(\)"),
        (
            lambda: losses.categorical_crossentropy(LABELS, PROBABILITIES),
            r"categorical_crossentropy: .*Integer class numbers go with sparse_categorical_crossentropy",
        ),
        (lambda: losses.categorical_crossentropy(LABELS[:, None], PROBABILITIES), "Integer class numbers go with"),
        (lambda: losses.binary_crossentropy(np.zeros((2, 3)), np.zeros((3, 2))), r"binary_crossentropy: .*\(3, 2\)"),
        (
            lambda: losses.sparse_categorical_crossentropy(ONE_HOT, PROBABILITIES),
            r"sparse_categorical_crossentropy: y_true must have the shape \(3,\) or \(3, 1\).*y_true \(3, 5\)",
        ),
        (lambda: losses.sparse_categorical_crossentropy([0, 5, 1], PROBABILITIES), "class numbers 0 to 4.*Received: 5"),
        (lambda: losses.sparse_categorical_crossentropy([0, -1, 1], PROBABILITIES), "class numbers.*Received: -1"),
        (lambda: losses.sparse_categorical_crossentropy([0.5, 0, 1], PROBABILITIES), "class numbers.*Received: 0.5"),
        (lambda: losses.sparse_categorical_crossentropy([np.nan, 0, 1], PROBABILITIES), "Received: nan"),
    ],
)
def test_a_wrong_call_names_loss_argument_and_what_was_expected(call, message):
    with pytest.raises(ValueError, match=message):
        call()

"""Metrics: values worked out by hand, what "accuracy" resolves to, names and messages."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest

from minikeras import config, losses, metrics

PREDICTIONS = np.array([[0.1, 0.6, 0.3], [0.5, 0.2, 0.3], [0.2, 0.2, 0.6]])
LABELS = np.array([1, 2, 0])
ONE_HOT = np.eye(3)[LABELS]


def test_binary_accuracy_rounds_halves_to_even_as_keras():
    y_true = [[1, 0, 0, 1], [1, 1, 1, 1]]
    y_pred = [[0.9, 0.1, 0.5, 0.5], [0.51, 0.49, 1.0, 0.0]]
    np.testing.assert_allclose(metrics.binary_accuracy(y_true, y_pred).numpy(), [0.75, 0.5])


def test_categorical_accuracy_compares_the_largest_of_each():
    np.testing.assert_array_equal(metrics.categorical_accuracy(ONE_HOT, PREDICTIONS).numpy(), [1, 0, 0])


@pytest.mark.parametrize("labels", [LABELS, LABELS[:, None], LABELS.astype("float32")])
def test_sparse_categorical_accuracy_takes_class_numbers(labels):
    np.testing.assert_array_equal(metrics.sparse_categorical_accuracy(labels, PREDICTIONS).numpy(), [1, 0, 0])


@pytest.mark.parametrize(("k", "expected"), [(1, [1, 0, 0]), (2, [1, 1, 1]), (3, [1, 1, 1])])
def test_top_k_counts_ties_as_within(k, expected):
    np.testing.assert_array_equal(metrics.top_k_categorical_accuracy(ONE_HOT, PREDICTIONS, k=k).numpy(), expected)
    np.testing.assert_array_equal(metrics.sparse_top_k_categorical_accuracy(LABELS, PREDICTIONS, k=k).numpy(), expected)


def test_top_k_agrees_with_sorting():
    rng = np.random.default_rng(0)
    scores, labels = rng.normal(size=(50, 10)), rng.integers(0, 10, 50)
    expected = [label in np.argsort(-row)[:5] for row, label in zip(scores, labels, strict=True)]
    np.testing.assert_array_equal(metrics.sparse_top_k_categorical_accuracy(labels, scores).numpy(), expected)


def test_a_prediction_that_is_not_finite_is_in_no_top_k():
    assert metrics.sparse_top_k_categorical_accuracy([0], [[np.nan, 1.0]], k=2).item() == 0.0


@pytest.mark.parametrize("name", ["categorical_accuracy", "sparse_categorical_accuracy", "binary_accuracy"])
def test_images_give_one_value_per_pixel_in_floatx(name):
    y_pred = np.random.default_rng(0).random((2, 3, 4, 5))
    y_true = np.argmax(y_pred, axis=-1) if name.startswith("sparse") else y_pred.round()
    with config.scope(floatx="float64"):
        value = metrics.get(name)(y_true, y_pred)
    assert value.shape == (2, 3, 4)
    assert value.dtype == np.float64


# ---------------------------------------------------------------------- resolving


@pytest.mark.parametrize("word", ["accuracy", "acc"])
@pytest.mark.parametrize(
    ("loss", "shape", "expected"),
    [
        ("categorical_crossentropy", (None, 10), "categorical_accuracy"),
        ("sparse_categorical_crossentropy", (None, 10), "sparse_categorical_accuracy"),
        ("sparse_categorical_crossentropy", (None, 4, 4, 10), "sparse_categorical_accuracy"),
        ("binary_crossentropy", (None, 10), "binary_accuracy"),
        ("mse", (None, 1), "binary_accuracy"),
        ("mse", (None, 10), "categorical_accuracy"),
        ("sparse_categorical_crossentropy", (None, 1), "binary_accuracy"),
        (losses.sparse_categorical_crossentropy, (None, 3), "sparse_categorical_accuracy"),
        (partial(losses.binary_crossentropy, from_logits=True), (None, 3), "binary_accuracy"),
        (lambda y_true, y_pred: y_pred, (None, 3), "categorical_accuracy"),
    ],
)
def test_accuracy_is_resolved_by_loss_and_shape_as_keras(word, loss, shape, expected):
    name, function = metrics.resolve(word, loss, shape)
    assert name == "acc"
    assert function.__name__ == expected
    assert function is getattr(metrics, expected)


@pytest.mark.parametrize("word", ["crossentropy", "ce"])
def test_crossentropy_is_resolved_likewise(word):
    assert metrics.resolve(word, "mse", (None, 10)) == ("ce", losses.categorical_crossentropy)
    assert metrics.resolve(word, "mse", (None, 1)) == ("ce", losses.binary_crossentropy)


def test_other_metrics_keep_their_name():
    def own(y_true, y_pred):
        return y_pred

    assert metrics.resolve("mae", "mse", (None, 1)) == ("mean_absolute_error", losses.mean_absolute_error)
    assert metrics.resolve(own, "mse", (None, 1)) == ("own", own)
    assert metrics.resolve(partial(own), "mse", (None, 1)).name == "own"


def test_every_loss_is_a_metric_under_the_same_names():
    for name in losses.registry:
        assert metrics.get(name) is losses.get(name)
    assert metrics.get("MSE") is metrics.mse
    absent = [name for name in losses.registry if getattr(metrics, name, None) is not losses.get(name)]
    assert sorted(absent) == ["KLD", "bce", "categorical_hinge", "kld", "log_cosh"]  # nor are they Keras 2.2.4's
    assert metrics.serialize(metrics.categorical_accuracy) == "categorical_accuracy"


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: metrics.get("binary_acc"), "Unknown metric: 'binary_acc'. Did you mean 'binary_accuracy'"),
        (lambda: metrics.get(5), "Cannot interpret the metric: .*Received: 5"),
        (lambda: metrics.resolve("accuracy", "msee", (None, 1)), "Unknown loss: 'msee'"),
        (lambda: metrics.resolve("acuracy", "mse", (None, 1)), "Unknown metric: 'acuracy'"),
        (lambda: metrics.resolve(["accuracy"], "mse", (None, 1)), "Cannot interpret the metric"),
        (lambda: metrics.binary_accuracy([1, 0], [[1], [0]]), r"binary_accuracy: .*y_true \(2,\), y_pred \(2, 1\)"),
        (lambda: metrics.categorical_accuracy(LABELS, PREDICTIONS), "categorical_accuracy: .*Integer class numbers"),
        (lambda: metrics.sparse_categorical_accuracy(ONE_HOT, PREDICTIONS), "sparse_categorical_accuracy: y_true must"),
        (lambda: metrics.sparse_categorical_accuracy([0, 1, 3], PREDICTIONS), "class numbers 0 to 2.*Received: 3"),
        (lambda: metrics.top_k_categorical_accuracy(ONE_HOT, PREDICTIONS, k=0), "k must be a positive .*Received: 0"),
        (lambda: metrics.sparse_top_k_categorical_accuracy(LABELS, PREDICTIONS, k=1.5), "k must be .*Received: 1.5"),
    ],
)
def test_a_wrong_call_says_what_was_expected(call, message):
    with pytest.raises(ValueError, match=message):
        call()

"""The forms in which data may come."""

from __future__ import annotations

import numpy as np
import pytest

from minikeras import Sequential, Tensor, layers
from minikeras.models.data import batches, epoch_order, labels_are_sorted
from tests.models.small import blobs, classifier, linear

X = np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
Y = np.array([1.0, 2.0, 3.0])
EXPECTED = linear().predict(X)


@pytest.mark.parametrize(
    "x",
    [
        X.tolist(),
        tuple(map(tuple, X.tolist())),
        [X],
        Tensor(X),
        {"dense_input": X},
        X.astype(int),
        np.asfortranarray(X),
    ],
    ids=["lists", "tuples", "a list of one array", "Tensor", "dict", "integers", "Fortran order"],
)
def test_inputs_of_any_form_give_the_same(x):
    model = Sequential([layers.Dense(1, input_dim=2, name="dense")])
    model.set_weights(linear().get_weights())
    np.testing.assert_array_equal(model.predict(x), EXPECTED)


@pytest.mark.parametrize(
    "y",
    [Y.tolist(), Y[:, None], [Y], Tensor(Y), {"dense": Y}, Y.astype("uint8"), [[1], [2], [3]]],
    ids=["list", "column", "a list of one array", "Tensor", "dict", "bytes", "nested lists"],
)
def test_targets_of_any_form_give_the_same(y):
    model = Sequential([layers.Dense(1, input_dim=2, name="dense")])
    model.set_weights(linear().get_weights())
    model.compile("sgd", "mse")
    assert model.test_on_batch(X, y) == linear().test_on_batch(X, Y)


def test_vectors_are_columns():
    model = Sequential([layers.Dense(1)])
    assert model.predict([1.0, 2.0, 3.0]).shape == (3, 1)
    assert model.input_shape == (None, 1)


def test_data_is_left_as_it_is():
    x, y = blobs()
    x_before, y_before = x.copy(), y.copy()
    classifier().fit(x, y, epochs=2, verbose=0)
    np.testing.assert_array_equal(x, x_before)
    np.testing.assert_array_equal(y, y_before)


def test_read_only_arrays_can_be_trained_on():
    x, y = blobs()
    x.flags.writeable = y.flags.writeable = False
    classifier().fit(x, y, verbose=0)


def test_batches_cover_all_samples():
    assert list(batches(7, 3)) == [slice(0, 3), slice(3, 6), slice(6, 7)]
    assert list(batches(6, 3)) == [slice(0, 3), slice(3, 6)]


def test_shuffled_batches_leave_the_incomplete_one_at_the_end():
    order = list(epoch_order(7, 3, "batch", np.random.default_rng(0)))
    assert order[-1] == slice(6, 7)
    assert sorted(rows.start for rows in order) == [0, 3, 6]


@pytest.mark.parametrize(
    ("target", "sorted_"),
    [
        (np.array([[0], [0], [1], [2]]), True),
        (np.array([[2], [1], [1]]), True),
        (np.eye(3)[[0, 1, 1, 2]], True),
        (np.array([[0], [1], [0], [1]]), False),
        (np.zeros((5, 1)), False),
        (np.array([[0], [1]]), False),
        (np.zeros((4, 2, 2)), False),
    ],
)
def test_sorted_labels_are_recognised(target, sorted_):
    assert labels_are_sorted(target) is sorted_

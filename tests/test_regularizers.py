"""Regularizers: the numbers of Keras 2.2.4, derivatives, names and messages."""

from __future__ import annotations

import numpy as np
import pytest

from minikeras import Sequential, Tensor, layers, regularizers
from minikeras import backend as K
from tests.functions import assert_close, reference, reference_names
from tests.numerical import check_gradients

CASES = {"l1": regularizers.l1(0.02), "l2": regularizers.l2(0.03), "l1_l2": regularizers.l1_l2(0.02, 0.03)}


def test_the_reference_covers_all_regularizers():
    assert sorted(CASES) == reference_names("reg")


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("name", CASES)
def test_penalties_are_those_of_keras(name, dtype):
    penalty = CASES[name](Tensor(reference()["w"].astype(dtype)))
    assert penalty.dtype == dtype
    assert_close(penalty, reference()[f"reg/{name}/y"].astype(dtype))


@pytest.mark.parametrize("name", CASES)
def test_first_and_second_derivatives_agree_with_differences(name):
    check_gradients(CASES[name], [reference()["w"][:2, :2]])


def test_without_factors_the_penalty_is_zero_of_the_same_type():
    penalty = regularizers.L1L2()(Tensor(np.ones((2, 2), np.float32)))
    assert penalty.item() == 0.0
    assert (penalty.shape, penalty.dtype) == ((), np.float32)


@pytest.mark.parametrize(
    ("identifier", "config"),
    [
        ("l1", {"l1": 0.01, "l2": 0.0}),
        ("l2", {"l1": 0.0, "l2": 0.01}),
        ("l1_l2", {"l1": 0.01, "l2": 0.01}),
        ("L1L2", {"l1": 0.0, "l2": 0.0}),
        ({"class_name": "L1L2", "config": {"l1": 0.5, "l2": 0.0}}, {"l1": 0.5, "l2": 0.0}),
        ({"class_name": "L2", "config": {"l": 0.5}}, {"l1": 0.0, "l2": 0.5}),
    ],
)
def test_names_and_configurations_resolve_and_round_trip(identifier, config):
    regularizer = regularizers.get(identifier)
    assert regularizers.serialize(regularizer) == {"class_name": "L1L2", "config": config}
    assert regularizers.get(regularizers.serialize(regularizer)).get_config() == config


def test_functions_and_none_are_taken_as_they_are():
    def own(x):
        return x.sum()

    assert regularizers.get(own) is own
    assert regularizers.serialize(own) == "own"
    assert regularizers.deserialize("own", {"own": own}) is own
    assert regularizers.get(None) is None


def test_a_regularizer_of_ones_own_counts_in_training():
    class Orthogonal(regularizers.Regularizer):
        def __init__(self, factor=0.1):
            self.factor = factor

        def __call__(self, x):
            return self.factor * K.sum(K.square(K.dot(K.transpose(x), x) - K.eye(2)))

        def get_config(self):
            return {"factor": self.factor}

    w = np.array([[1.0, 0.5], [-0.5, 2.0], [0.25, 0.0]], np.float32)
    model = Sequential(
        [layers.Dense(2, use_bias=False, kernel_regularizer=Orthogonal(), input_shape=(3,), weights=[w])]
    )
    model.compile("sgd", "mse")
    apart = w.T @ w - np.eye(2)
    x = np.eye(3)
    assert model.train_on_batch(x, w) == pytest.approx(0.1 * (apart**2).sum(), rel=1e-5)
    np.testing.assert_allclose(model.get_weights()[0], w - 0.01 * 0.1 * 4 * w @ apart, rtol=1e-5)
    again = regularizers.deserialize(regularizers.serialize(Orthogonal(2.0)), {"Orthogonal": Orthogonal})
    assert K.eval(again(K.constant(w))) == pytest.approx(2.0 * (apart**2).sum(), rel=1e-5)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: regularizers.get("l3"), ValueError, "Unknown regularizer: 'l3'"),
        (lambda: regularizers.get(0.01), ValueError, "Cannot interpret the regularizer: .*Received: 0.01"),
        (lambda: regularizers.get(["l2"]), ValueError, r"Cannot interpret the regularizer: .*\['l2'\]"),
        (lambda: regularizers.l2("0.01"), TypeError, r"L1L2: l2 must be a number in .*Received: '0.01'"),
        (lambda: regularizers.l1(None), TypeError, "L1L2: l1 must be a number.*Received: None"),
        (lambda: regularizers.l1(True), TypeError, "L1L2: l1 must be a number.*Received: True"),
        (lambda: regularizers.l2(float("nan")), ValueError, "L1L2: l2 must be a number.*Received: nan"),
        (lambda: regularizers.l2(float("inf")), ValueError, r"L1L2: l2 must be a number in \(-inf, inf\)"),
        (lambda: regularizers.L1L2.from_config({"l3": 1}), TypeError, "L1L2: the configuration does not fit.*'l3'"),
        (lambda: regularizers.get({"class_name": "L1L2"}), ValueError, "Improper regularizer configuration"),
        (lambda: regularizers.Regularizer()(1), NotImplementedError, "Regularizer must define __call__"),
    ],
)
def test_a_wrong_call_says_what_was_expected(call, error, message):
    with pytest.raises(error, match=message):
        call()

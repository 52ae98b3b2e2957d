"""Constraints: the numbers of Keras 2.2.4, names and messages."""

from __future__ import annotations

import json

import numpy as np
import pytest

from minikeras import Sequential, Tensor, constraints, layers, ops
from minikeras import backend as K
from tests.functions import assert_close, reference, reference_names
from tests.numerical import check_gradients

CASES = reference_names("constraint")
W = np.random.default_rng(0).normal(size=(4, 3)) * 2


def test_the_reference_covers_all_constraints():
    assert {case.split("/")[0] for case in CASES} == set(constraints.registry)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("case", CASES)
def test_constrained_weights_are_those_of_keras(case, dtype):
    name, config = case.split("/")
    constraint = constraints.deserialize({"class_name": name, "config": json.loads(config)})
    constrained = constraint(reference()["w"].astype(dtype))
    assert constrained.dtype == dtype
    assert_close(constrained, reference()[f"constraint/{case}"].astype(dtype))


@pytest.mark.parametrize("name", ["max_norm", "non_neg", "unit_norm", "min_max_norm"])
def test_an_array_gives_an_array_and_a_tensor_a_tensor(name):
    constraint = constraints.get(name)
    assert type(constraint(W)) is np.ndarray
    assert type(constraint(Tensor(W))) is Tensor
    np.testing.assert_array_equal(constraint(W), constraint(Tensor(W)).numpy())


@pytest.mark.parametrize("name", ["max_norm", "non_neg", "unit_norm", "min_max_norm"])
def test_a_constraint_can_be_differentiated_twice(name):
    check_gradients(constraints.get(name), [W])


def test_min_max_norm_brings_norms_into_the_interval_both_ways():
    w = np.array([[0.1, 0.7, 5.0]])
    np.testing.assert_allclose(constraints.MinMaxNorm(0.5, 1.0)(w), [[0.5, 0.7, 1.0]], rtol=1e-5)
    np.testing.assert_allclose(constraints.MinMaxNorm(0.5, 1.0, rate=0.5)(w), [[0.3, 0.7, 3.0]], rtol=1e-5)


def test_a_weight_of_zeros_stays_zero_and_finite():
    for name in constraints.registry:
        np.testing.assert_array_equal(constraints.get(name)(np.zeros((3, 2))), np.zeros((3, 2)))


@pytest.mark.parametrize(
    ("names", "config"),
    [
        (("max_norm", "MaxNorm", "maxnorm"), {"max_value": 2.0, "axis": 0}),
        (("non_neg", "NonNeg", "nonneg"), {}),
        (("unit_norm", "UnitNorm", "unitnorm"), {"axis": 0}),
        (("min_max_norm", "MinMaxNorm"), {"min_value": 0.0, "max_value": 1.0, "rate": 1.0, "axis": 0}),
    ],
)
def test_names_resolve_and_configurations_round_trip(names, config):
    for name in names:
        constraint = constraints.get(name)
        assert constraint.get_config() == config
        assert constraints.get(constraints.serialize(constraint)).get_config() == config
    assert len({getattr(constraints, name) for name in names}) == 1


def test_axes_stay_a_list_and_may_count_from_the_end():
    constraint = constraints.MaxNorm(1, axis=(0, np.int64(-1)))
    assert constraint.get_config() == {"max_value": 1.0, "axis": [0, -1]}
    assert np.linalg.norm(constraint(W)) == pytest.approx(1.0, rel=1e-6)


def test_functions_and_none_are_taken_as_they_are():
    def own(w):
        return ops.clip(w, -1.0, 1.0)

    assert constraints.get(own) is own
    assert constraints.get(None) is None


def test_a_constraint_of_ones_own_holds_after_each_step():
    class Clip(constraints.Constraint):
        def __init__(self, limit=0.5):
            self.limit = limit

        def __call__(self, w):
            return K.clip(w, -self.limit, self.limit)

    model = Sequential(
        [layers.Dense(1, use_bias=False, kernel_constraint=Clip(0.1), input_shape=(3,), weights=[W[:3, :1]])]
    )
    model.compile("sgd", "mse")
    x, y = W[:, :3], np.zeros((4, 1))
    model.train_on_batch(x, y)
    step = W[:3, :1] - 0.01 * 2 * x.T @ (x @ W[:3, :1] - y) / 4
    np.testing.assert_allclose(model.get_weights()[0], np.clip(step, -0.1, 0.1), rtol=1e-5)
    config = json.loads(json.dumps(constraints.serialize(Clip(0.2))))
    assert config == {"class_name": "Clip", "config": {"limit": 0.2}}
    again = constraints.deserialize(config, {"Clip": Clip})
    assert np.abs(again(W).numpy()).max() == pytest.approx(0.2)
    assert constraints.Constraint().get_config() == {}


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: constraints.get("maxnrm"), ValueError, "Unknown constraint: 'maxnrm'. Did you mean 'MaxNorm'"),
        (lambda: constraints.get(2.0), ValueError, "Cannot interpret the constraint: .*Received: 2.0"),
        (lambda: constraints.MaxNorm(-1), ValueError, r"MaxNorm: max_value must be a number in \[0, inf\].*-1"),
        (lambda: constraints.MaxNorm("2"), TypeError, "MaxNorm: max_value must be a number.*'2'"),
        (lambda: constraints.MaxNorm(axis=1.0), TypeError, "MaxNorm: axis must be an integer or a list.*1.0"),
        (lambda: constraints.MaxNorm(axis=[]), TypeError, r"MaxNorm: axis must be .*Received: \[\]"),
        (lambda: constraints.UnitNorm(axis=True), TypeError, "UnitNorm: axis must be .*Received: True"),
        (lambda: constraints.UnitNorm(axis=[0, None]), TypeError, r"UnitNorm: axis .*Received: \[0, None\]"),
        (lambda: constraints.UnitNorm(axis=2)(W), ValueError, r"UnitNorm: axis .* 2 axes .*\(4, 3\).*Received: 2"),
        (lambda: constraints.MinMaxNorm(2, 1), ValueError, r"MinMaxNorm: max_value must be a number in \[2.0, inf\]"),
        (lambda: constraints.MinMaxNorm(rate=2), ValueError, r"MinMaxNorm: rate must be a number in \[0, 1\]"),
        (lambda: constraints.Constraint()(W), NotImplementedError, "Constraint must define __call__"),
    ],
)
def test_a_wrong_call_says_what_was_expected(call, error, message):
    with pytest.raises(error, match=message):
        call()

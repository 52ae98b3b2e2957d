"""LeakyReLU, PReLU, ELU, ThresholdedReLU, Softmax and ReLU against Keras, and what their documentation promises."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from minikeras import ops
from minikeras.layers import ELU, LeakyReLU, PReLU, ReLU, Softmax, ThresholdedReLU
from tests.layers.properties import check_configuration, check_output_shape
from tests.layers.reference import check, reference_cases
from tests.numerical import check_gradients

NAMES = ["LeakyReLU", "PReLU", "ELU", "ThresholdedReLU", "Softmax", "ReLU"]
ALL = [
    LeakyReLU(0.2, name="a"),
    PReLU("ones", "l2", "non_neg", [1]),
    ELU(0.5),
    ThresholdedReLU(0.3),
    Softmax(1),
    ReLU(2.0, 0.1, 0.2),
]


@pytest.mark.parametrize("case", reference_cases(*NAMES))
def test_agrees_with_keras(case):
    if case.layer == "LeakyReLU":  # TensorFlow's kernel reads the slope as a float32, whatever the type of x
        case = dataclasses.replace(case, config={"alpha": float(np.float32(case.config["alpha"]))})
    check(case)


@pytest.mark.parametrize("layer", ALL, ids=str)
def test_the_configuration_round_trips(layer):
    check_configuration(layer)


@pytest.mark.parametrize("make", [LeakyReLU, PReLU, ELU, ThresholdedReLU, Softmax, ReLU])
def test_foretells_its_output_shape(make):
    check_output_shape(make(), (2, 3, 4))


@pytest.mark.parametrize(
    "layer",
    [
        LeakyReLU(dtype="float64"),
        PReLU(shared_axes=[1], dtype="float64"),
        ELU(1.0, dtype="float64"),
        Softmax(dtype="float64"),
        ReLU(negative_slope=0.3, dtype="float64"),
    ],
    ids=str,
)
def test_first_and_second_derivatives_agree_with_differences(layer):
    layer.ensure_built((None, 3, 4))
    layer.set_weights([np.full(weight.shape, 0.3) for weight in layer.weights])
    check_gradients(layer, [np.random.default_rng(0).normal(size=(2, 3, 4))])


def test_derivatives_on_both_sides_of_a_threshold_agree_with_differences():
    x = np.array([[-1.0, 0.3, 0.9], [1.1, 2.0, 4.0]])
    check_gradients(lambda t: ThresholdedReLU(0.5, dtype="float64")(ops.square(t)), [x])
    check_gradients(lambda t: ops.square(ThresholdedReLU(1.0, dtype="float64")(t)), [x])


def test_defaults_are_keras_s():
    assert LeakyReLU().alpha == 0.3
    assert ELU().alpha == 1.0
    assert ThresholdedReLU().theta == 1.0
    assert Softmax().axis == -1
    relu = ReLU()
    assert (relu.max_value, relu.negative_slope, relu.threshold) == (None, 0.0, 0.0)
    assert PReLU().get_config()["alpha_initializer"]["class_name"] == "Zeros"


def test_prelu_shares_its_slopes_along_the_shared_axes():
    layer = PReLU(alpha_initializer="ones", shared_axes=(1, 2))
    layer.build((None, 4, None, 3))
    assert layer.alpha.shape == (1, 1, 3)
    x = np.random.default_rng(0).normal(size=(2, 4, 7, 3)).astype("float32")
    np.testing.assert_allclose(layer(x).numpy(), x, rtol=1e-6)


def test_prelu_takes_one_shared_axis_without_a_list():
    assert PReLU(shared_axes=1).shared_axes == [1]


@pytest.mark.parametrize("make", [LeakyReLU, PReLU, ELU, ThresholdedReLU, Softmax, ReLU])
def test_a_mask_is_handed_on(make):
    mask = np.array([[True, False, True]])
    assert make()(np.ones((1, 3, 2), "float32"), mask=mask).mask.tolist() == mask.tolist()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: LeakyReLU(-0.1, name="a"), r"LeakyReLU 'a': alpha must be a number in \[0, inf\). Received: -0.1"),
        (lambda: ThresholdedReLU(-1), r"theta must be a number in \[0, inf\). Received: -1"),
        (lambda: ReLU(max_value=-1), r"max_value must be a number in \[0, inf\). Received: -1"),
        (lambda: ReLU(negative_slope=-1), r"negative_slope must be a number in \[0, inf\). Received: -1"),
        (lambda: PReLU(shared_axes=[0]), r"each item of shared_axes must be a positive integer. Received: 0"),
        (
            lambda: PReLU(shared_axes=[3]).build((None, 2, 2)),
            r"axes 1 to 2 besides the batch. Received: shared_axes=\[",
        ),
        (lambda: PReLU().build((None, None, 2)), r"must be known when the weights are made. .*\(None, None, 2\)"),
        (lambda: Softmax(axis=0), r"axis must be an integer other than 0, the batch. Received: 0"),
        (lambda: Softmax(axis=3)(np.ones((2, 3))), r"no axis 3 besides the batch. Received: input shape \(None, 3\)"),
    ],
)
def test_wrong_calls_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()

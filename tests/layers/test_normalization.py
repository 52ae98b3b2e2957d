"""BatchNormalization against Keras, in training and outside of it, and what its documentation promises."""

from __future__ import annotations

import numpy as np
import pytest

from minikeras.core.tape import gradients, no_grad
from minikeras.core.tensor import Tensor
from minikeras.layers import BatchNormalization
from minikeras.layers.base import call_context
from tests.layers.properties import check_configuration
from tests.layers.reference import check, reference_cases
from tests.numerical import check_gradients

CASES = reference_cases("BatchNormalization")


@pytest.mark.parametrize("training", [False, True], ids=["inference", "training"])
@pytest.mark.parametrize("case", CASES)
def test_agrees_with_keras(case, training):
    check(case, training)


def normal(*shape, mean=0.0, deviation=1.0):
    return np.random.default_rng(0).normal(mean, deviation, size=shape)


# ---------------------------------------------------------------------- values


@pytest.mark.parametrize(("axis", "shape"), [(-1, (40, 3)), (1, (8, 3, 5)), (2, (8, 5, 3, 4)), (-2, (4, 5, 2, 3, 2))])
def test_in_training_each_channel_gets_mean_0_and_variance_1(axis, shape):
    layer = BatchNormalization(axis, epsilon=0.0, dtype="float64")
    y = layer(normal(*shape, mean=5.0, deviation=3.0), training=True).numpy()
    others = tuple(a for a in range(len(shape)) if a != axis % len(shape))
    np.testing.assert_allclose(y.mean(axis=others), 0.0, atol=1e-12)
    np.testing.assert_allclose(y.var(axis=others), 1.0, rtol=1e-12)


def test_then_come_a_scale_and_a_shift():
    x = normal(20, 2)
    plain = BatchNormalization(dtype="float64")
    scaled = BatchNormalization(dtype="float64", gamma_initializer="ones", beta_initializer="ones")
    scaled.build((None, 2))
    scaled.gamma.assign(np.array([2.0, -1.0]))
    for training in (True, False):
        expected = plain(x, training=training).numpy() * [2.0, -1.0] + 1.0
        np.testing.assert_allclose(scaled(x, training=training).numpy(), expected, rtol=1e-12)


def test_the_moving_statistics_are_plain_averages_with_the_biased_variance():
    layer = BatchNormalization(momentum=0.75, dtype="float64")
    mean, variance = np.zeros(2), np.ones(2)
    for i in range(3):
        x = normal(10, 2, mean=i)
        layer(x, training=True)
        mean = 0.75 * mean + 0.25 * x.mean(axis=0)
        variance = 0.75 * variance + 0.25 * x.var(axis=0)
    np.testing.assert_allclose(layer.moving_mean.numpy(), mean, rtol=1e-12)
    np.testing.assert_allclose(layer.moving_variance.numpy(), variance, rtol=1e-12)


def test_outside_of_training_the_moving_statistics_are_used_and_stay():
    layer = BatchNormalization(momentum=0.0, epsilon=0.5, dtype="float64")
    x = normal(10, 2, mean=4.0, deviation=2.0)
    layer(x, training=True)
    other = normal(1, 2)
    expected = (other - x.mean(axis=0)) / np.sqrt(x.var(axis=0) + 0.5)
    before = layer.get_weights()
    np.testing.assert_allclose(layer(other).numpy(), expected, rtol=1e-10)
    np.testing.assert_equal(layer.get_weights(), before)


def test_a_frozen_layer_uses_its_moving_statistics_also_in_training():
    layer = BatchNormalization(dtype="float64")
    x = normal(10, 2, mean=4.0)
    layer.build((None, 2))
    layer.trainable = False
    before = layer.get_weights()
    with call_context(training=True):
        y = layer(x)
    np.testing.assert_array_equal(y.numpy(), layer(x, training=False).numpy())
    np.testing.assert_equal(layer.get_weights(), before)
    layer.trainable = True
    layer(x, training=True)
    assert layer.moving_mean.numpy().min() > 0.0


def test_a_large_mean_costs_little_accuracy_in_training():
    x = (1e4 + normal(1000, 3)).astype(np.float32)
    y = BatchNormalization()(x, training=True).numpy()
    expected = (x - x.mean(axis=0, dtype=float)) / np.sqrt(x.var(axis=0, dtype=float) + 1e-3)
    np.testing.assert_allclose(y, expected, atol=2e-3)


def test_the_moving_statistics_are_no_part_of_the_tape():
    layer = BatchNormalization(dtype="float64")
    layer(normal(4, 2), training=True)
    for moving in (layer.moving_mean, layer.moving_variance):
        assert not moving.requires_grad
        assert moving.node is None


def test_a_second_call_does_not_spoil_the_gradient_of_the_first():
    layer = BatchNormalization(dtype="float64")
    x, g = Tensor(normal(4, 2), requires_grad=True), Tensor(normal(4, 2) ** 2)
    first, second = layer(x, training=True), layer(x, training=True)
    (dx,) = gradients(first, [x], g)
    assert np.abs(dx.numpy()).max() > 0.1
    np.testing.assert_array_equal(gradients(second, [x], g)[0].numpy(), dx.numpy())


# ---------------------------------------------------------------------- weights and shapes


@pytest.mark.parametrize(
    ("scale", "center", "names"),
    [
        (True, True, ["gamma", "beta", "moving_mean", "moving_variance"]),
        (False, True, ["beta", "moving_mean", "moving_variance"]),
        (True, False, ["gamma", "moving_mean", "moving_variance"]),
        (False, False, ["moving_mean", "moving_variance"]),
    ],
)
def test_the_weights_are_in_keras_s_order(scale, center, names):
    layer = BatchNormalization(scale=scale, center=center)
    layer.build((None, 8, 3))
    assert [(w.name.split("/")[1], w.shape) for w in layer.weights] == [(name, (3,)) for name in names]
    assert [w.trainable for w in layer.weights] == [name in ("gamma", "beta") for name in names]


@pytest.mark.parametrize("axis", [-1, 1])
def test_the_output_has_the_shape_of_the_input(axis):
    layer = BatchNormalization(axis)
    for shape in ((2, 4, 4), (0, 4, 4), (5, 4, 4)):
        assert layer(np.ones(shape)).shape == layer.compute_output_shape(shape) == shape
    assert layer.compute_output_shape((None, 4, None)) == (None, 4, None)


def test_channels_first_is_channels_last_transposed():
    x = normal(2, 3, 4, 5)
    for training in (True, False):
        last, first = BatchNormalization(dtype="float64"), BatchNormalization(1, dtype="float64")
        expected = np.moveaxis(last(x, training=training).numpy(), -1, 1)
        np.testing.assert_allclose(first(np.moveaxis(x, -1, 1), training=training).numpy(), expected, rtol=1e-10)
        np.testing.assert_allclose(first.moving_variance.numpy(), last.moving_variance.numpy(), rtol=1e-12)


def test_free_dimensions_take_any_size():
    layer = BatchNormalization(axis=1)
    layer.build((None, 3, None))
    for length in (1, 7):
        for training in (True, False):
            assert layer(np.ones((2, 3, length)), training=training).shape == (2, 3, length)


def test_integers_are_normalised_as_numbers():
    with no_grad():
        y = BatchNormalization()(np.array([[1], [3]], np.uint8), training=True)
    assert y.dtype == "float32"
    np.testing.assert_allclose(y.numpy().ravel(), [-1.0, 1.0], rtol=1e-3)


# ---------------------------------------------------------------------- arguments


def test_positional_arguments_come_in_keras_s_order():
    layer = BatchNormalization(
        1, 0.5, 0.1, True, True, "ones", "zeros", "ones", "zeros", "l1", "l2", "non_neg", "unit_norm"
    )
    config = layer.get_config()
    assert (layer.axis, layer.momentum, layer.epsilon) == (1, 0.5, 0.1)
    names = {key: value["class_name"] for key, value in config.items() if key.endswith(("zer", "int"))}
    assert names == {
        "beta_initializer": "Ones",
        "gamma_initializer": "Zeros",
        "moving_mean_initializer": "Ones",
        "moving_variance_initializer": "Zeros",
        "beta_regularizer": "L1L2",
        "gamma_regularizer": "L1L2",
        "beta_constraint": "NonNeg",
        "gamma_constraint": "UnitNorm",
    }
    assert config["gamma_regularizer"]["config"]["l2"] > 0
    layer.build((None, 2))
    assert [w.tolist() for w in layer.weights] == [[0.0, 0.0], [1.0, 1.0], [1.0, 1.0], [0.0, 0.0]]
    assert [type(w.constraint).__name__ for w in layer.trainable_weights] == ["UnitNorm", "NonNeg"]
    assert float(layer.beta.regularizer(layer.beta)) == pytest.approx(0.02)


def test_defaults_are_keras_s():
    config = BatchNormalization().get_config()
    initializers = {key: config[key]["class_name"] for key in config if key.endswith("initializer")}
    assert initializers == {
        "beta_initializer": "Zeros",
        "gamma_initializer": "Ones",
        "moving_mean_initializer": "Zeros",
        "moving_variance_initializer": "Ones",
    }
    assert (config["axis"], config["momentum"], config["epsilon"]) == (-1, 0.99, 0.001)
    assert (config["center"], config["scale"]) == (True, True)


@pytest.mark.parametrize(
    "layer",
    [
        BatchNormalization(name="b"),
        BatchNormalization(1, scale=False, beta_regularizer="l2", gamma_constraint="non_neg"),
    ],
    ids=str,
)
def test_the_configuration_round_trips(layer):
    check_configuration(layer)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: BatchNormalization(0, name="b"),
            r"BatchNormalization 'b': axis must be .* other than 0.* Received: 0",
        ),
        (lambda: BatchNormalization(1.0), r"axis must be an integer other than 0, the batch. Received: 1.0"),
        (lambda: BatchNormalization(True), r"axis must be an integer other than 0, the batch. Received: True"),
        (lambda: BatchNormalization(momentum=1.5), r"momentum must be a number in \[0, 1\]. Received: 1.5"),
        (lambda: BatchNormalization(epsilon=-1e-3), r"epsilon must be a number in \[0, inf\). Received: -0.001"),
    ],
)
def test_wrong_arguments_are_named(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize(
    ("axis", "shape", "message"),
    [
        (-1, (None, 3, None), r"'b': the size of axis -1 must be known .* Received: input shape \(None, 3, None\)"),
        (3, (None, 3), r"'b': the input has no axis 3 besides the batch. Received: input shape \(None, 3\)"),
        (-2, (None, 3), r"'b': the input has no axis -2 besides the batch"),
        (-1, (3,), r"'b': the input must have at least 2 axes, the batch included, and has 1"),
    ],
)
def test_an_input_without_these_channels_is_refused_when_the_layer_is_built(axis, shape, message):
    layer = BatchNormalization(axis, name="b")
    with pytest.raises(ValueError, match=f"^BatchNormalization {message}"):
        layer.ensure_built(shape)
    assert layer.weights == []


def test_other_channels_than_it_was_built_for_are_refused():
    layer = BatchNormalization(1, name="b")
    layer(np.ones((2, 3, 4)))
    with pytest.raises(ValueError, match=r"BatchNormalization 'b': axis 1 of the input must have size 3, and has 4"):
        layer(np.ones((2, 4, 4)))


# ---------------------------------------------------------------------- gradients


@pytest.mark.parametrize(("axis", "shape"), [(-1, (5, 2)), (1, (3, 2, 3)), (-1, (2, 2, 2, 2))])
def test_first_and_second_derivatives_in_training_agree_with_differences(axis, shape):
    layer = BatchNormalization(axis, epsilon=0.1, dtype="float64")
    layer.build(shape)

    def call(x, gamma, beta):
        layer.gamma, layer.beta = gamma, beta
        return layer(x, training=True)

    check_gradients(call, [normal(*shape), normal(2), normal(2)], tol=1e-7)


@pytest.mark.parametrize("axis", [-1, 1])
def test_first_and_second_derivatives_outside_of_training_agree_with_differences(axis):
    layer = BatchNormalization(axis, dtype="float64")
    layer.build((None, 2, 2))

    def call(x, gamma, beta, mean, variance):
        layer.gamma, layer.beta, layer.moving_mean, layer.moving_variance = gamma, beta, mean, variance
        return layer(x)

    check_gradients(call, [normal(3, 2, 2), normal(2), normal(2), normal(2), np.array([0.5, 2.0])], tol=1e-7)

"""Activations: the numbers of Keras 2.2.4, derivatives, names."""

from __future__ import annotations

import functools
from pathlib import Path

import numpy as np
import pytest

from minikeras import Sequential, Tensor, activations, gradients, layers, ops
from minikeras.layers import Layer
from minikeras.registry import CustomObjectScope
from tests.functions import assert_close, reference, reference_names
from tests.numerical import check_gradients

NAMES = reference_names("act")
KERAS3 = dict(np.load(Path(__file__).parent / "reference" / "keras3" / "activations.npz"))  # in float64
LATER = sorted(name.removesuffix("/dx") for name in KERAS3 if name.endswith("/dx"))


def test_the_reference_covers_all_activations():
    assert sorted({*activations.registry} - {"hard_sigmoid6", "swish", "hard_swish"}) == sorted([*NAMES, *LATER])


def test_the_hard_sigmoid_of_keras_3_is_there_by_another_name():
    x = Tensor(np.array([-4.0, -1.5, 0.0, 1.5, 4.0]), requires_grad=True)
    y = activations.get("hard_sigmoid6")(x)
    np.testing.assert_allclose(y.numpy(), [0.0, 0.25, 0.5, 0.75, 1.0], rtol=1e-15)
    (dx,) = gradients(y, [x], Tensor(np.ones(5)))
    np.testing.assert_allclose(dx.numpy(), np.array([0.0, 1.0, 1.0, 1.0, 0.0]) / 6, rtol=1e-15)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("name", NAMES)
def test_values_and_gradients_are_those_of_keras(name, dtype):
    arrays = {key: reference()[f"act/{name}/{key}"].astype(dtype) for key in ("y", "g", "dx")}
    x = Tensor(reference()["act/x"].astype(dtype), requires_grad=True)
    y = activations.get(name)(x)
    (dx,) = gradients(y, [x], Tensor(arrays["g"]))
    assert y.dtype == dx.dtype == dtype
    assert_close(y, arrays["y"])
    assert_close(dx, arrays["dx"])


@pytest.mark.parametrize("name", LATER)
def test_what_came_with_keras_3_has_its_values_and_gradients(name):
    x = Tensor(KERAS3["x"], requires_grad=True)
    y = activations.get(name)(x)
    (dx,) = gradients(y, [x], Tensor(np.cos(KERAS3["x"])))
    tolerance = {"atol": 1e-8, "rtol": 2e-8}  # TensorFlow's constants of gelu and leaky_relu are float32's
    np.testing.assert_allclose(y.numpy(), KERAS3[name], **tolerance)
    np.testing.assert_allclose(dx.numpy(), KERAS3[f"{name}/dx"], **tolerance)
    assert activations.get(name)(KERAS3["x"].astype("f4")).dtype == "float32"


def test_arguments_that_came_with_keras_3():
    x = KERAS3["x"]
    np.testing.assert_allclose(activations.gelu(x, approximate=True).numpy(), KERAS3["gelu_approx"], atol=1e-8)
    np.testing.assert_allclose(activations.celu(x, alpha=0.5).numpy(), KERAS3["celu_0.5"], rtol=1e-14)
    np.testing.assert_array_equal(activations.leaky_relu(np.array([-2.0]), 0.5).numpy(), [-1.0])
    np.testing.assert_array_equal(activations.hard_shrink(np.array([-2.0, 0.9]), 1.0).numpy(), [-2.0, 0.0])
    np.testing.assert_array_equal(activations.soft_shrink(np.array([-2.0, 0.9]), 1.0).numpy(), [-1.0, 0.0])


def test_names_that_keras_3_has_besides():
    assert activations.get("swish") is activations.silu
    assert activations.get("hard_swish") is activations.hard_silu


@pytest.mark.parametrize("name", [*NAMES, *LATER])
def test_first_and_second_derivatives_agree_with_differences(name):
    x = np.random.default_rng(1).normal(size=(3, 4)) * 2  # no value near the kinks at 0, ±0.5, ±1, ±2.5, ±3 and 6
    assert min(np.abs(np.abs(x) - kink).min() for kink in (0, 0.5, 1, 2.5, 3, 6)) > 2e-3
    check_gradients(activations.get(name), [x])


def test_relu_with_all_its_arguments():
    x = np.array([[-2.0, 0.5, 1.0, 2.0, 9.0]])
    y = activations.relu(x, alpha=0.1, max_value=6.0, threshold=1.0)
    np.testing.assert_allclose(y.numpy(), [[-0.3, -0.05, 1.0, 2.0, 6.0]])


def test_softmax_along_another_axis_sums_to_one_there():
    x = np.random.default_rng(0).normal(size=(2, 3, 4))
    np.testing.assert_allclose(activations.softmax(x, axis=1).numpy().sum(axis=1), 1.0)


def test_softmax_needs_a_batch_axis():
    for wrong in (np.zeros(3), [0.0, 1.0]):
        with pytest.raises(ValueError, match=r"softmax: x must have at least two axes.*Received: 1 axes"):
            activations.softmax(wrong)


@pytest.mark.parametrize("name", [*NAMES, *LATER])
def test_names_round_trip(name):
    function = activations.get(name)
    assert function is getattr(activations, name)
    assert activations.serialize(function) == name
    assert activations.deserialize(name) is function


def test_none_is_linear_and_a_callable_is_taken_as_it_is():
    assert activations.get(None) is activations.linear
    assert activations.get(np.cos) is np.cos
    x = Tensor(np.ones(2))
    assert activations.linear(x) is x


def test_a_layer_as_activation_works_with_a_warning():
    class Twice(Layer):
        def call(self, inputs):
            return inputs * 2.0

    layer = Twice()
    with pytest.warns(UserWarning, match="Twice is a layer: add it to the model by itself"):
        assert activations.get(layer) is layer


@pytest.mark.parametrize(
    ("identifier", "slope"),
    [
        ("leaky_relu", 0.2),
        ("LeakyReLU", 0.3),
        ({"class_name": "LeakyReLU", "config": {"alpha": 0.1}}, 0.1),
        ({"class_name": "LeakyReLU", "config": {}}, 0.3),
    ],
)
def test_the_slope_of_leaky_relu_is_that_of_tf_keras_for_each_spelling(identifier, slope):
    x = np.array([[-1.0, 2.0]])
    np.testing.assert_allclose(activations.get(identifier)(Tensor(x)).numpy(), [[-slope, 2.0]], rtol=1e-6)
    kernel = layers.Dense(2, activation=identifier, kernel_initializer="ones", input_shape=(2,))
    np.testing.assert_allclose(kernel(Tensor([[-1.0, 0.0]])).numpy(), [[-slope, -slope]], rtol=1e-6)


def test_a_function_with_arguments_is_one_in_configurations_too():
    function = functools.partial(activations.relu, alpha=0.5)
    found = activations.get(activations.serialize(function))
    np.testing.assert_array_equal(found(Tensor([[-2.0, 1.0]])).numpy(), [[-1.0, 1.0]])
    assert activations.serialize(found) == {"class_name": "relu", "config": {"alpha": 0.5}}


@pytest.mark.parametrize("name", ["ELU", "LeakyReLU", "PReLU", "ReLU", "Softmax", "ThresholdedReLU"])
def test_the_configuration_of_a_layer_is_the_layer(name):
    found = activations.get({"class_name": name, "config": {"name": "own"}})
    assert (type(found), found.name) == (getattr(layers, name), "own")
    if name in ("ELU", "ReLU", "Softmax"):  # which compute the same, and relu is one pass with the layer's own
        assert activations.get(name) is getattr(activations, name.lower())
    else:
        assert type(activations.get(name)) is type(found)


def test_the_weights_of_a_layer_as_activation_are_those_of_its_layer():
    model = Sequential([layers.Dense(3, activation="PReLU", input_shape=(2,))])
    assert [weight.shape for weight in model.trainable_weights] == [(2, 3), (3,), (3,)]


def test_an_own_class_of_the_name_goes_first():
    class ReLU(Layer):
        pass

    with CustomObjectScope({"ReLU": ReLU}):
        assert type(activations.get("ReLU")) is ReLU
        assert type(activations.get({"class_name": "ReLU", "config": {}})) is ReLU


@pytest.mark.parametrize("name", NAMES)
def test_fused_names_stand_for_what_the_operations_apply(name):
    function = activations.get(name)
    fused = activations.fused_name(function)
    assert fused == (name if name in ("relu", "tanh", "sigmoid") else None)
    if fused:
        x, w = reference()["act/x"], np.eye(7)
        assert_close(ops.dense(x, w, activation=fused), function(x).numpy())


@pytest.mark.parametrize(
    ("identifier", "message"),
    [
        ("rely", "Unknown activation: 'rely'. Did you mean 'relu'"),
        ("soft max", "Did you mean 'softmax'"),
        ("", "Unknown activation: ''"),
        (1.5, "Cannot interpret the activation: .*Received: 1.5"),
        (True, "Cannot interpret the activation: .*Received: True"),
        (["relu"], r"Cannot interpret the activation: .*Received: \['relu'\]"),
        ({"class_name": "relu", "config": {"slope": 1}}, "activation 'relu' is a function and takes no configuration"),
        ({"class_name": "tanh", "config": {"x": 1}}, "activation 'tanh' is a function and takes no configuration"),
        ({"name": "relu"}, "Improper activation configuration"),
        ({"class_name": "LeakyReLU"}, "The 'config' of activation 'LeakyReLU' must be a dict. Received: None"),
        ({"class_name": "LeakyReLU", "config": {"alpha": -1}}, "alpha must be"),
        ({"class_name": ["LeakyReLU"], "config": {}}, "The activation name must be a string"),
    ],
)
def test_a_wrong_identifier_says_what_was_expected(identifier, message):
    with pytest.raises(ValueError, match=message):
        activations.get(identifier)

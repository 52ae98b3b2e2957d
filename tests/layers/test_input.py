"""Input and InputLayer."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest

from minikeras.core import config
from minikeras.core.symbolic import SymbolicTensor, evaluate
from minikeras.layers import Dense, Input, InputLayer
from minikeras.layers.base import reset_names
from tests.layers.properties import check_configuration


def test_an_input_is_a_symbolic_tensor_with_a_free_batch():
    x = Input((None, 3), dtype="float64", name="x")
    assert isinstance(x, SymbolicTensor)
    assert (x.shape, x.dtype, x.name, x.source) == ((None, None, 3), "float64", "x", None)
    assert Input(batch_shape=(4, 3)).shape == (4, 3)
    assert Input(()).shape == (None,)


def test_the_dtype_is_floatx_unless_given():
    with config.scope(floatx="float16"):
        assert Input((3,)).dtype == "float16"
    assert Input((3,), dtype="int32").dtype == "int32"


def test_inputs_are_numbered_as_keras_does():
    reset_names()
    assert [Input((3,)).name, InputLayer((3,)).name, Input((3,)).name] == ["input_1", "input_2", "input_3"]


def test_layers_called_on_an_input_compute_when_it_has_a_value():
    x = Input((2,))
    layer = Dense(1, kernel_initializer="ones")
    y = layer(x)
    assert y.shape == (None, 1)
    assert evaluate(y, {x: np.array([[1.0, 2.0]], np.float32)}).tolist() == [[3.0]]


def test_an_input_layer_gives_its_input_back():
    layer = InputLayer((2, None))
    x = np.ones((3, 2, 5))
    np.testing.assert_array_equal(layer(x).numpy(), x)
    assert layer.compute_output_shape((None, 2, 5)) == (None, 2, 5)
    assert (layer.built, layer.weights) == (True, [])


def test_an_input_of_another_shape_is_refused():
    with pytest.raises(ValueError, match=r"InputLayer 'x': axis 2 of the input must have size 3, and has 4. Received"):
        InputLayer((None, 3), name="x")(np.ones((2, 5, 4)))
    with pytest.raises(ValueError, match=r"axis 0 of the input must have size 8, and has 2"):
        InputLayer((3,), batch_size=8)(np.ones((2, 3)))


@pytest.mark.parametrize(
    "layer", [InputLayer((3, None)), InputLayer(batch_input_shape=(2, 3), dtype="float64", name="x")], ids=str
)
def test_the_configuration_round_trips(layer):
    check_configuration(layer)


def test_the_configuration_is_keras_s():
    config = InputLayer((8, 8, 2), name="in").get_config()
    assert config == {"batch_input_shape": (None, 8, 8, 2), "dtype": "float32", "sparse": False, "name": "in"}


def test_an_input_layer_can_be_copied_and_pickled():
    layer = InputLayer((3,))
    for again in (copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):
        assert again.get_config() == layer.get_config()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Input(name="x"), r"InputLayer 'x': the shape .* must be given, and not both. Received: None and None"),
        (lambda: Input((3,), (None, 3)), r"and not both. Received: \(3,\) and \(None, 3\)"),
        (lambda: Input(5), r"input_shape must be a tuple of integers and None. Write input_shape=\(5,\). Received: 5"),
        (lambda: Input((3, 0)), r"each size of input_shape must be a positive integer. Received: 0"),
        (lambda: Input((3,), sparse=True), r"there are no sparse inputs.*toarray.* sparse=True"),
    ],
)
def test_wrong_arguments_are_named(make, message):
    with pytest.raises(ValueError, match=message):
        make()

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest

from minikeras import Sequential, Tensor, backend, layers
from minikeras.models import Sequential as FromModels
from tests.models.small import Offset, Scale


def conv_net():
    return Sequential(
        [
            layers.Conv2D(4, 3, activation="relu", input_shape=(8, 8, 1), name="first"),
            layers.Flatten(name="flat"),
            layers.Dense(3, name="last"),
        ],
        name="net",
    )


def test_input_shape_of_the_first_layer_makes_all_weights_at_once():
    model = conv_net()
    assert model.built
    assert model.input_shape == (None, 8, 8, 1)
    assert model.output_shape == (None, 3)
    assert [weight.shape for weight in model.weights] == [(3, 3, 1, 4), (4,), (144, 3), (3,)]
    assert model.count_params() == 36 + 4 + 432 + 3


@pytest.mark.parametrize(
    "first",
    [
        lambda: layers.Input((5,)),
        lambda: layers.InputLayer(input_shape=(5,)),
        lambda: layers.Dense(4, batch_input_shape=(None, 5)),
        lambda: layers.Dense(4, input_dim=5),
        lambda: Sequential([layers.Dense(4, input_shape=(5,))]),
    ],
    ids=["Input", "InputLayer", "batch_input_shape", "input_dim", "a model"],
)
def test_any_form_of_input_shape_builds_the_model(first):
    model = Sequential([first()])
    model.add(layers.Dense(2))
    assert model.built
    assert model.input_shape == (None, 5)
    assert model.predict(np.zeros((3, 5))).shape == (3, 2)


def test_an_input_layer_is_not_among_the_layers():
    model = Sequential([layers.InputLayer(input_shape=(5,)), layers.Dense(2, name="d")])
    assert [layer.name for layer in model.layers] == ["d"]
    assert model.get_layer(index=0).name == "d"


def test_a_model_without_input_shape_is_built_by_its_first_data():
    model = Sequential([layers.Dense(4, activation="relu"), layers.Dense(2)])
    assert not model.built
    assert model.weights == []
    model.compile("sgd", "mse", metrics=["mae"])
    assert model.metrics_names == ["loss", "mean_absolute_error"]
    model.fit(np.zeros((6, 3)), np.zeros((6, 2)), verbose=0)
    assert model.built
    assert model.input_shape == (None, 3)
    assert [weight.shape for weight in model.weights] == [(3, 4), (4,), (4, 2), (2,)]


def test_build_makes_the_weights_for_a_shape():
    model = Sequential([layers.Conv1D(4, 3), layers.GlobalMaxPooling1D(), layers.Dense(2)])
    model.build((None, None, 5))
    assert model.output_shape == (None, 2)
    assert model.predict(np.zeros((2, 9, 5))).shape == (2, 2)
    assert model.predict(np.zeros((2, 30, 5))).shape == (2, 2)


def test_the_output_is_the_layers_one_after_the_other():
    model = conv_net()
    x = np.random.default_rng(0).random((2, 8, 8, 1), "float32")
    y = x
    for layer in model.layers:
        y = layer(y)
    np.testing.assert_array_equal(model(x).numpy(), y.numpy())
    np.testing.assert_array_equal(model.predict(x), y.numpy())


def test_a_model_is_a_layer_of_another_model():
    inner = conv_net()
    outer = Sequential([inner, layers.Dense(2, name="head")])
    assert [weight.name for weight in outer.weights[:2]] == ["first/kernel", "first/bias"]
    assert len(outer.trainable_weights) == 6
    x = np.ones((2, 8, 8, 1), "float32")
    np.testing.assert_array_equal(outer(x).numpy(), outer.get_layer("head")(inner(x)).numpy())
    outer.compile("sgd", "mse")
    before = inner.get_weights()[0]
    outer.train_on_batch(x, np.ones((2, 2)))
    assert np.abs(inner.get_weights()[0] - before).max() > 0


def test_a_frozen_model_inside_another_is_not_trained():
    inner = conv_net()
    inner.trainable = False
    outer = Sequential([inner, layers.Dense(2, name="head")])
    outer.compile("sgd", "mse")
    before = inner.get_weights()
    outer.train_on_batch(np.ones((2, 8, 8, 1)), np.ones((2, 2)))
    assert [weight.name for weight in outer.trainable_weights] == ["head/kernel", "head/bias"]
    for array, other in zip(before, inner.get_weights(), strict=True):
        np.testing.assert_array_equal(array, other)


def test_batch_normalization_inside_a_frozen_model_uses_its_moving_statistics_in_training():
    x = np.array([[1.0], [3.0], [8.0]])
    inner = Sequential([layers.BatchNormalization(input_shape=(1,), epsilon=0.0)])
    inner.set_weights([[1.0], [0.0], [2.0], [4.0]])  # gamma, beta, moving mean and variance
    inner.trainable = False
    outer = Sequential([inner, layers.Dense(1, use_bias=False, kernel_initializer="ones")])
    outer.compile("sgd", "mse")
    loss = outer.train_on_batch(x, np.zeros((3, 1)))
    assert loss == pytest.approx(np.mean(((x - 2.0) / 2.0) ** 2))
    np.testing.assert_array_equal(np.ravel(inner.get_weights()), [1.0, 0.0, 2.0, 4.0])
    inner.trainable = True
    outer.train_on_batch(x, np.zeros((3, 1)))  # not yet: it was frozen when the model was compiled
    np.testing.assert_array_equal(np.ravel(inner.get_weights()), [1.0, 0.0, 2.0, 4.0])
    outer.compile("sgd", "mse")
    outer.train_on_batch(x, np.zeros((3, 1)))
    assert inner.get_weights()[2] == pytest.approx(0.99 * 2.0 + 0.01 * x.mean())


def test_the_gradient_reaches_the_input_of_a_called_model():
    model = Sequential([Scale(3.0, input_shape=(2,)), Offset()])
    x = Tensor(np.ones((1, 2)), requires_grad=True)
    model(x).sum().backward()
    np.testing.assert_array_equal(x.grad.numpy(), [[3.0, 3.0]])


def test_pop_removes_the_last_layer_and_add_goes_on_from_there():
    model = conv_net()
    model.pop()
    assert model.output_shape == (None, 144)
    model.add(layers.Dense(7, name="other"))
    assert model.output_shape == (None, 7)
    while model.layers:
        model.pop()
    assert not model.built
    with pytest.raises(TypeError, match="no layers to pop"):
        model.pop()
    model.add(layers.Dense(2, input_dim=3, name="new"))
    assert model.output_shape == (None, 2)


def test_a_layer_that_does_not_fit_is_not_added():
    model = conv_net()
    with pytest.raises(ValueError, match=r"Sequential 'net': Conv2D 'wrong' can't take the shape \(None, 3\)"):
        model.add(layers.Conv2D(2, 3, name="wrong"))
    assert [layer.name for layer in model.layers] == ["first", "flat", "last"]
    assert model.output_shape == (None, 3)


def test_layers_are_found_by_name_and_index():
    model = conv_net()
    assert model.get_layer("flat") is model.layers[1]
    assert model.get_layer(index=-1).name == "last"


def test_weights_go_from_one_model_to_another():
    one, other = conv_net(), conv_net()
    other.set_weights(one.get_weights())
    x = np.random.default_rng(0).random((2, 8, 8, 1))
    np.testing.assert_array_equal(one.predict(x), other.predict(x))


def test_from_config_makes_the_same_architecture():
    model = Sequential(
        [layers.InputLayer(input_shape=(8, 8, 1)), conv_net(), layers.Dense(2, name="head")], name="outer"
    )
    model.layers[0].trainable = False
    again = Sequential.from_config(model.get_config())
    assert again.name == "outer"
    assert again.get_config() == model.get_config()
    assert [weight.shape for weight in again.weights] == [weight.shape for weight in model.weights]
    assert len(again.trainable_weights) == 2
    again.set_weights(model.get_weights())
    x = np.random.default_rng(0).random((2, 8, 8, 1))
    np.testing.assert_array_equal(again.predict(x), model.predict(x))


def test_from_config_keeps_the_shape_that_data_gave():
    model = Sequential([layers.Dense(2)])
    model.predict(np.zeros((1, 3)))
    assert Sequential.from_config(model.get_config()).input_shape == (None, 3)


def test_from_config_takes_the_bare_list_of_layers_and_custom_objects():
    config = [layers.serialize(Offset(2.0, input_shape=(1,)))]
    model = Sequential.from_config(config, custom_objects={"Offset": Offset})
    np.testing.assert_array_equal(model.predict([[1.0]]), [[3.0]])


def test_models_are_found_by_the_name_of_their_class():
    again = layers.deserialize(layers.serialize(conv_net()))
    assert isinstance(again, FromModels)
    assert again.output_shape == (None, 3)


def test_automatic_names_are_kerass():
    backend.clear_session()
    assert Sequential().name == "sequential_1"
    assert Sequential().name == "sequential_2"


def test_names_of_inputs_and_outputs_come_from_the_layers():
    assert (conv_net().input_names, conv_net().output_names) == (["first_input"], ["last"])
    assert Sequential([layers.InputLayer(input_shape=(1,), name="here"), layers.Dense(1)]).input_names == ["here"]


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))])
def test_copies_compute_and_train_on_their_own(duplicate):
    model = conv_net()
    model.compile("adam", "mse")
    x, y = np.ones((4, 8, 8, 1)), np.ones((4, 3))
    model.train_on_batch(x, y)
    other = duplicate(model)
    np.testing.assert_array_equal(other.predict(x), model.predict(x))
    before = model.get_weights()[0]
    other.train_on_batch(x, y)
    np.testing.assert_array_equal(model.get_weights()[0], before)
    model.train_on_batch(x, y)
    np.testing.assert_array_equal(other.predict(x), model.predict(x))


def test_the_dtype_of_the_first_layer_is_that_of_the_model():
    model = Sequential([layers.Dense(2, input_dim=2, dtype="float64")])
    assert model.predict(np.ones((1, 2), "float32")).dtype == np.float64


def test_classes_are_the_largest_output_or_whether_the_only_one_is_above_a_half():
    several = Sequential([layers.Activation("linear", input_shape=(3,))])
    assert several.predict_classes(np.eye(3)[[2, 0, 1]]).tolist() == [2, 0, 1]
    one = Sequential([layers.Activation("linear", input_shape=(1,))])
    assert one.predict_classes([[0.2], [0.5], [0.7]]).tolist() == [[0], [0], [1]]


def test_probabilities_are_the_outputs_and_others_are_warned_of():
    model = Sequential([layers.Activation("linear", input_shape=(1,))])
    assert model.predict_proba([[0.25], [1.0]]).tolist() == [[0.25], [1.0]]
    with pytest.warns(UserWarning, match="predict_proba: the outputs are no probabilities"):
        assert model.predict_proba([[2.0]]).tolist() == [[2.0]]

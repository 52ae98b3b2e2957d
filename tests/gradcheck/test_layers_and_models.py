"""check_layer and check_model: names, states that come back to the bit, and mistakes in layers of one's own."""

from __future__ import annotations

import numpy as np
import pytest

from minikeras import Input, Model, Sequential, backend, layers, ops
from minikeras.core.primitive import primitive
from minikeras.gradcheck import check_layer, check_model

RNG = np.random.default_rng(0)


@primitive
def doubled(x):
    return 1.0 * x


doubled.vjps(x=lambda g: 2.0 * g)


class Doubled(layers.Layer):
    """Scales by a weight, with a wrong gradient where it is told so."""

    def __init__(self, wrong="", **kwargs):
        super().__init__(**kwargs)
        self.wrong = wrong

    def build(self, input_shape):
        self.factor = self.add_weight("factor", input_shape[-1:], initializer="ones")
        super().build(input_shape)

    def call(self, inputs):
        x = doubled(inputs) if self.wrong == "input" else inputs
        return ops.tanh(x * (doubled(self.factor) if self.wrong == "factor" else self.factor))


CASES = {
    "dense": (layers.Dense(3, activation="tanh"), (4,)),
    "conv": (layers.Conv2D(2, 3, padding="same", activation="relu"), (5, 5, 2)),
    "conv first": (layers.Conv2D(2, 3, data_format="channels_first"), (2, 5, 5)),
    "normalization": (layers.BatchNormalization(), (5, 3)),
    "dropout": (layers.Dropout(0.5), (6, 4)),
    "alpha dropout": (layers.AlphaDropout(0.3), (6, 4)),
    "noise": (layers.GaussianNoise(0.3), (6, 4)),
    "pooling": (layers.MaxPooling2D(), (6, 6, 2)),
    "embedding": (layers.Embedding(7, 3), (5,)),
    "add": (layers.Add(), [(4,), (4,)]),
    "dot": (layers.Dot(axes=1), [(4,), (4,)]),
    "prelu": (layers.PReLU(), (5,)),
    "flatten": (layers.Flatten(), (3, 2)),
    "penalty": (layers.Dense(2, activity_regularizer="l2"), (3,)),
    "time distributed": (layers.TimeDistributed(layers.Dense(2)), (3, 4)),
    "own": (Doubled(), (3,)),
}


@pytest.mark.parametrize("training", [None, False, True])
@pytest.mark.parametrize("name", CASES)
def test_layers_agree_to_second_order(name, training):
    layer, shape = CASES[name]
    report = check_layer(layer, shape, training=training, order=2)
    assert report.ok, report


@pytest.mark.parametrize("name", CASES)
def test_layers_agree_in_float32(name):
    layer, shape = CASES[name]
    for seed in range(3):
        report = check_layer(layer, shape, training=True, dtype="float32", seed=seed)
        assert report.ok, report


def test_inputs_and_weights_have_their_names():
    report = check_layer(layers.Dense(3, name="head"), (4,))
    assert [(r.name, r.shape) for r in report.results] == [
        ("input", (2, 4)),
        ("head/kernel", (4, 3)),
        ("head/bias", (3,)),
    ]
    report = check_layer(layers.Add(), [(4,), (4,)], batch_size=5)
    assert [(r.name, r.shape) for r in report.results] == [("input 0", (5, 4)), ("input 1", (5, 4))]


@pytest.mark.parametrize("wrong", ["input", "factor"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_mistake_in_a_layer_of_ones_own_is_found_where_it_is(wrong, dtype):
    for seed in range(5):
        report = check_layer(Doubled(wrong, name="own"), (3,), dtype=dtype, seed=seed)
        name = "input" if wrong == "input" else "own/factor"
        assert [(r.name, r.verdict.kind) for r in report.failures] == [(name, "factor")]


def test_the_batch_may_stand_in_front_of_the_shape():
    assert check_layer(layers.Dense(2), (None, 4)).results[0].shape == (2, 4)
    assert check_layer(layers.Dense(2, input_shape=(4,))).results[0].shape == (2, 4)


def test_inputs_of_ones_own_are_taken():
    layer = layers.Embedding(5, 2)
    assert check_layer(layer, inputs=np.array([[0, 4, 4]])).ok
    assert check_layer(layers.Dense(2), inputs=RNG.normal(size=(3, 4)).astype(np.float32)).results[0].shape == (3, 4)


def snapshot(layer):
    weights = [(w, w.data, w.data.copy(), w.version, w.dtype, w.grad) for w in layer.weights]
    parts = [(part, part.dtype) for part in layer._flatten()]
    return weights, parts


def assert_untouched(layer, before):
    weights, parts = before
    for weight, data, values, version, dtype, grad in weights:
        assert weight.data is data
        assert weight.data.tobytes() == values.tobytes()
        assert (weight.version, weight.dtype) == (version, dtype)
        assert weight.grad is grad
    assert all(part.dtype == dtype for part, dtype in parts)


def model_of_everything():
    inputs = Input((6, 6, 2))
    x = layers.Conv2D(3, 3, kernel_regularizer="l2", name="conv")(inputs)
    x = layers.BatchNormalization(name="norm")(x)
    x = layers.Activation("relu")(x)
    x = layers.Dropout(0.3)(x)
    x = layers.Flatten()(x)
    x = layers.Dense(4, activation="tanh", activity_regularizer="l1", name="hidden")(x)
    model = Model(inputs, layers.Dense(3, activation="softmax", name="head")(x))
    model.get_layer("head").add_loss(lambda: 0.1 * ops.sum(ops.square(model.get_layer("head").kernel)))
    model.compile("sgd", "categorical_crossentropy", metrics=["accuracy"])
    return model


DATA = RNG.normal(size=(6, 6, 6, 2)), np.eye(3)[[0, 1, 2, 0, 1, 2]]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_model_with_all_kinds_of_losses_agrees_and_is_left_as_it_was(dtype):
    model = model_of_everything()
    before, streams = (
        snapshot(model),
        [layer.stream.bit_generator.state for layer in model.layers if "drop" in layer.name],
    )
    state = np.random.get_state()[1].tobytes()
    report = check_model(
        model, *DATA, sample_weight=np.arange(6.0), class_weight={0: 1.0, 1: 2.0, 2: 0.5}, order=2, dtype=dtype
    )
    assert report.ok, report
    assert [r.name for r in report.results if r.order == 1] == [w.name for w in model.trainable_weights]
    assert_untouched(model, before)
    assert streams == [layer.stream.bit_generator.state for layer in model.layers if "drop" in layer.name]
    assert np.random.get_state()[1].tobytes() == state
    assert len(model.fit(*DATA, verbose=0).history["acc"]) == 1


def test_inputs_of_a_model_are_checked_where_asked_for():
    report = check_model(model_of_everything(), *DATA, inputs=True, training=False)
    assert report.ok, report
    assert report.results[0].shape == (6, 6, 6, 2)


def test_a_mistake_in_a_model_is_found_under_its_name():
    model = Sequential([layers.Dense(3, input_dim=4, name="first"), Doubled("factor", name="second")])
    model.compile("sgd", "mse")
    for seed in range(5):
        report = check_model(model, RNG.normal(size=(5, 4)), RNG.normal(size=(5, 3)), seed=seed)
        assert [r.name for r in report.failures] == ["second/factor"]
        assert report.failures[0].verdict.kind == "factor"


def test_a_model_of_integers_is_checked():
    model = Sequential([layers.Embedding(5, 3, input_length=4), layers.Flatten(), layers.Dense(1)])
    model.compile("sgd", "mse")
    assert check_model(model, RNG.integers(0, 5, (3, 4)), RNG.normal(size=(3, 1))).ok


def test_everything_is_put_back_after_an_exception():
    class Breaking(layers.Dense):
        def call(self, inputs):
            if inputs.dtype == np.float64:
                raise RuntimeError("broken")
            return super().call(inputs)

    layer = Breaking(3)
    layer(np.ones((2, 4), np.float32))
    before = snapshot(layer)
    with pytest.raises(RuntimeError, match="broken"):
        check_layer(layer, (4,))
    assert_untouched(layer, before)


def test_moving_statistics_and_random_streams_are_put_back():
    layer = Sequential([layers.BatchNormalization(input_shape=(3,)), layers.Dropout(0.5)])
    before = snapshot(layer)
    stream = layer.layers[1].stream
    state = stream.bit_generator.state
    assert check_layer(layer, (3,), training=True).ok
    assert_untouched(layer, before)
    assert stream.bit_generator.state == state


def test_random_functions_of_the_backend_are_held_still():
    layer = layers.Lambda(lambda x: x * backend.random_normal((3,), seed=5) + backend.random_uniform((3,)))
    assert check_layer(layer, (3,)).ok


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: check_layer(3, (4,)), TypeError, "layer must be a Layer"),
        (lambda: check_layer(layers.Dense(2)), ValueError, "has no input shape yet"),
        (lambda: check_layer(layers.Dense(2), (4, None)), ValueError, "input_shape must be the sizes"),
        (lambda: check_layer(layers.Dense(2), "four"), ValueError, "input_shape must be the sizes"),
        (lambda: check_layer(layers.Dense(2), 4), ValueError, "input_shape must be the sizes"),
        (lambda: check_layer(layers.Dense, (4,)), TypeError, "layer must be a Layer"),
        (lambda: check_layer(layers.Dense(2), (4,), batch_size=0), ValueError, "batch_size must be"),
        (lambda: check_layer(layers.Conv2D(2, 3), (4,)), ValueError, "Conv2D"),
        (lambda: check_layer(layers.Dense(2), (4,), order=0), ValueError, "order must be 1 or 2"),
        (lambda: check_model(layers.Dense(2), 1, 1), TypeError, "model must be a Model"),
        (lambda: check_model(Sequential([layers.Dense(1, input_dim=2)]), 1, 1), RuntimeError, "must be compiled"),
    ],
)
def test_a_wrong_call_names_the_argument(call, error, message):
    with pytest.raises(error, match=message):
        call()

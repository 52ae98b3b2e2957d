"""Wrong calls: the message names the model, what was expected and what was received."""

from __future__ import annotations

import re

import numpy as np
import pytest

from minikeras import Sequential, layers
from tests.models.small import TwoHeads, blobs

X, LABELS = blobs(samples=10)
ONE_HOT = np.eye(3)[LABELS]
IMAGES = np.zeros((4, 8, 8))


def model(loss="sparse_categorical_crossentropy", units=3, **arguments):
    net = Sequential([layers.Dense(units, input_dim=2, name="last")], name="m")
    net.compile("sgd", loss, **arguments)
    return net


def images():
    return Sequential([layers.Conv2D(2, 3, input_shape=(8, 8, 1), name="conv")], name="m")


def unbuilt():
    return Sequential([layers.Dense(3, name="last")], name="m")


def two_heads(loss="mse"):
    net = TwoHeads()
    net.name = "m"
    net.compile("sgd", loss)
    return net


COLUMN = np.zeros((2, 1))

CASES = {
    # how the model is made
    "a class for a layer": (TypeError, lambda: Sequential([layers.Flatten]), "add takes a layer: give an instance"),
    "a string for layers": (TypeError, lambda: Sequential("m"), "add takes a layer. Received: 'm'"),
    "a layer for layers": (TypeError, lambda: Sequential(layers.Flatten()), "layers must be a list of layers"),
    "a name twice": (
        ValueError,
        lambda: model().add(layers.Dense(1, name="last")),
        "Sequential 'm': the name of each layer must be its own. Received: another Dense 'last'",
    ),
    "a layer that can't follow": (
        ValueError,
        lambda: images().add(layers.UpSampling1D(2, name="up")),
        "Sequential 'm': UpSampling1D 'up' can't take the shape (None, 6, 6, 2).",
    ),
    "building nothing": (ValueError, lambda: Sequential(name="m").build((None, 2)), "no layers to build"),
    "predicting with nothing": (ValueError, lambda: Sequential(name="m").predict(X), "there are no layers. Add some"),
    "the shape of an unbuilt model": (AttributeError, lambda: unbuilt().output_shape, "Sequential 'm' is not built"),
    "the input of an unbuilt model": (AttributeError, lambda: unbuilt().input_shape, "Sequential 'm' is not built"),
    "an unknown layer": (
        ValueError,
        lambda: model().get_layer("lost"),
        "Sequential 'm': there is no layer of that name, only ['last']. Received: name='lost'",
    ),
    "neither name nor index": (ValueError, lambda: model().get_layer(), "get_layer takes the name of a layer or an in"),
    "an index too large": (ValueError, lambda: model().get_layer(index=4), "it has 1 layers. Received: index=4"),
    "weights of another model": (ValueError, lambda: model().set_weights([X]), "set_weights expects 2 arrays"),
    "counting an unbuilt model": (RuntimeError, lambda: unbuilt().count_params(), "Sequential 'm' is not built"),
    # compile
    "an unknown loss": (ValueError, lambda: model(loss="mes"), "Unknown loss: 'mes'. Did you mean"),
    "no loss": (ValueError, lambda: model(loss=None), "Sequential 'm': compile needs a loss"),
    "an unknown metric": (ValueError, lambda: model(metrics=["acuracy"]), "Unknown metric: 'acuracy'. Did you mean"),
    "an unknown optimizer": (ValueError, lambda: unbuilt().compile("sdg", "mse"), "Unknown optimizer: 'sdg'"),
    "a mode of weights": (
        ValueError,
        lambda: model(sample_weight_mode="time"),
        "sample_weight_mode must be 'temporal' or None. Received: 'time'",
    ),
    "too many losses": (
        ValueError,
        lambda: model(loss=["mse", "mse"]),
        "Sequential 'm': loss must have an item for each of ['last']",
    ),
    "a loss for nobody": (
        ValueError,
        lambda: model(loss={"lost": "mse"}),
        "Sequential 'm': loss must name outputs of ['last']. Received: ['lost']",
    ),
    "a loss weight in words": (
        TypeError,
        lambda: model(loss_weights=["much"]),
        "each of loss_weights must be a number",
    ),
    "training without compile": (
        RuntimeError,
        lambda: images().fit(IMAGES, IMAGES),
        "Sequential 'm' must be compiled first",
    ),
    "metrics of an unbuilt model": (
        RuntimeError,
        lambda: compiled_unbuilt().metrics_resolved,
        "Sequential 'm': what its metrics stand for is known once it is built",
    ),
    "evaluating without compile": (RuntimeError, lambda: images().evaluate(IMAGES, IMAGES), "must be compiled first"),
    "metrics without compile": (RuntimeError, lambda: images().metrics_names, "must be compiled first"),
    # inputs
    "no inputs": (ValueError, lambda: model().predict(None), "Sequential 'm': expected 1 input array. Received: None"),
    "empty inputs": (
        ValueError,
        lambda: model().predict(np.zeros((0, 2))),
        "Sequential 'm': the input 'last_input' must hold at least one sample. Received: shape (0, 2)",
    ),
    "a number": (ValueError, lambda: model().predict(3.0), "must hold at least one sample. Received: shape ()"),
    "text": (
        ValueError,
        lambda: model().predict(["a", "b"]),
        "the input 'last_input' must be real numbers. Received: list of dtype <U1",
    ),
    "objects": (ValueError, lambda: model().predict(np.array([{}, {}])), "must be real numbers. Received: ndarray of"),
    "complex numbers": (ValueError, lambda: model().predict(X * 1j), "must be real numbers"),
    "ragged lists": (ValueError, lambda: model().predict([[1.0], [1.0, 2.0]]), "numbers in a regular shape"),
    "a generator": (
        ValueError,
        lambda: model().fit(row for row in X),
        "how many batches to take by steps_per_epoch",
    ),
    "a list of samples": (
        ValueError,
        lambda: model().predict([X[0], X[1], X[2]]),
        "expected 1 input array. np.stack makes one array of a list of samples. Received: a list of 3 arrays",
    ),
    "too few axes": (
        ValueError,
        lambda: images().predict(IMAGES),
        "Sequential 'm', Conv2D 'conv': the input must have 4 axes, the batch included, and has 3. "
        "Received: shape (4, 8, 8)",
    ),
    "another size": (
        ValueError,
        lambda: images().predict(np.zeros((4, 8, 9, 1))),
        "Sequential 'm', Conv2D 'conv': axis 2 of the input must have size 8, and has 9. Received: shape (4, 8, 9, 1)",
    ),
    "a call with another size": (
        ValueError,
        lambda: images()(np.zeros((4, 8, 9, 1))),
        "Sequential 'm', Conv2D 'conv': axis 2 of the input must have size 8",
    ),
    "an input too many": (ValueError, lambda: model().predict({"last_input": X, "more": X}), "named ['last_input']"),
    "one array for two inputs": (
        ValueError,
        lambda: two_heads().predict(X),
        "TwoHeads 'm': expected a list of 2 input arrays. Received: ndarray",
    ),
    "inputs of different lengths": (
        ValueError,
        lambda: two_heads().predict([X[:, :1], X[:3, :1]]),
        "TwoHeads 'm': all arrays must have the same number of samples. Received: x: 10 and 3",
    ),
    # targets and weights
    "x and y of different lengths": (
        ValueError,
        lambda: model().fit(X, LABELS[:4]),
        "Sequential 'm': all arrays must have the same number of samples. Received: x: 10, y: 4",
    ),
    "no targets": (ValueError, lambda: model().fit(X), "Sequential 'm': expected 1 target array. Received: None"),
    "class numbers for one-hot": (
        ValueError,
        lambda: model("categorical_crossentropy").fit(X, LABELS),
        "Sequential 'm': the target of the output 'last' must have the shape (samples, 3) for the loss "
        "categorical_crossentropy. Class numbers go with sparse_categorical_crossentropy, or become one-hot by "
        "utils.to_categorical. Received: shape (10, 1)",
    ),
    "one-hot for class numbers": (
        ValueError,
        lambda: model().fit(X, ONE_HOT),
        "must have the shape (samples, 1) for the loss sparse_categorical_crossentropy. One-hot targets go with the "
        "loss categorical_crossentropy. Received: shape (10, 3)",
    ),
    "targets of another size": (
        ValueError,
        lambda: model("mse").fit(X, ONE_HOT[:, :2]),
        "must have the shape (samples, 3) for the loss mean_squared_error. Received: shape (10, 2)",
    ),
    "images without their last axis": (
        ValueError,
        lambda: pixels().fit(np.zeros((2, 3, 1)), np.zeros((2, 3))),
        "must have the shape (samples, 3, 1) for the loss mean_squared_error. An axis of length one at the end is "
        "missing: y[..., None]. Received: shape (2, 3)",
    ),
    "a class too many": (ValueError, lambda: model().fit(X, LABELS + 1, verbose=0), "class numbers 0 to 2"),
    "sample weights of another length": (
        ValueError,
        lambda: model().fit(X, LABELS, sample_weight=np.ones(4)),
        "Received: x: 10, y: 10, sample_weight: 4",
    ),
    "sample weights with axes": (
        ValueError,
        lambda: model().fit(X, LABELS, sample_weight=np.ones((10, 3))),
        "Sequential 'm': the output 'last': sample_weight must have one axis",
    ),
    "sample weights in words": (
        ValueError,
        lambda: model().fit(X, LABELS, sample_weight=["a"] * 10),
        "sample_weight must be numbers. Received: dtype <U1",
    ),
    "weights for steps without steps": (
        ValueError,
        lambda: model(sample_weight_mode="temporal").fit(X, LABELS, sample_weight=np.ones((10, 1))),
        "sample_weight_mode='temporal' takes a weight for each step",
    ),
    "a class without weight": (
        ValueError,
        lambda: model().fit(X, LABELS, class_weight={0: 1.0, 1: 1.0}),
        "class_weight must have a weight for every class. Received: {0: 1.0, 1: 1.0}, without [2]",
    ),
    "class weights in a list": (
        ValueError,
        lambda: model().fit(X, LABELS, class_weight=[1.0, 1.0, 1.0]),
        "class_weight must be a dict from class number to weight",
    ),
    "class weights for an unknown output": (
        ValueError,
        lambda: model().fit(X, LABELS, class_weight={"lost": {0: 1.0}}),
        "class_weight names outputs of ['last']. Received: ['lost']",
    ),
    "class weights for images": (
        ValueError,
        lambda: pixels().fit(np.zeros((2, 3, 1)), np.zeros((2, 3, 1)), class_weight={0: 1.0}),
        "class_weight needs targets of one or two axes. Received: shape (2, 3, 1)",
    ),
    "one array of weights for two outputs": (
        ValueError,
        lambda: two_heads().test_on_batch([COLUMN] * 2, [COLUMN] * 2, sample_weight=np.ones(2)),
        "TwoHeads 'm': sample_weight must be a list of 2 or a dict by output name",
    ),
    # how to train
    "batch_size 0": (
        ValueError,
        lambda: model().fit(X, LABELS, 0),
        "batch_size must be a positive integer. Received: 0",
    ),
    "batch_size 1.5": (ValueError, lambda: model().predict(X, 1.5), "batch_size must be a positive integer"),
    "negative epochs": (
        ValueError,
        lambda: model().fit(X, LABELS, epochs=-1),
        "'m': epochs must be an integer of at least 0",
    ),
    "a negative first epoch": (
        ValueError,
        lambda: model().fit(X, LABELS, initial_epoch=-1),
        "initial_epoch must be an",
    ),
    "verbose": (ValueError, lambda: model().fit(X, LABELS, verbose=3), "verbose must be 0 (silent), 1 (bar) or 2"),
    "verbose in words": (ValueError, lambda: model().evaluate(X, LABELS, verbose="no"), "Received: 'no'"),
    "shuffle": (ValueError, lambda: model().fit(X, LABELS, shuffle="yes"), "shuffle must be True, False or 'batch'"),
    "too many steps": (
        ValueError,
        lambda: model().fit(X, LABELS, batch_size=4, steps_per_epoch=4),
        "10 samples make 3 steps with batches of 4. Received: steps_per_epoch=4",
    ),
    "a split of one": (ValueError, lambda: model().fit(X, LABELS, validation_split=1.0), "must be a number in [0, 1)"),
    "a split in words": (
        ValueError,
        lambda: model().fit(X, LABELS, validation_split="x"),
        "must be a number in [0, 1)",
    ),
    "a split that leaves nothing": (
        ValueError,
        lambda: model().fit(X[:1], LABELS[:1], validation_split=0.5),
        "of 1, 0 for training and 1 for validation. Received: 0.5",
    ),
    "validation data alone": (
        ValueError,
        lambda: model().fit(X, LABELS, validation_data=X),
        "validation_data must be (x, y) or (x, y, sample_weight), a generator or a Sequence. Received: ndarray",
    ),
    "validation data of four": (
        ValueError,
        lambda: model().fit(X, LABELS, validation_data=(X, X, X, X)),
        "Received: tuple of 4",
    ),
    "validation data that don't fit": (
        ValueError,
        lambda: model().fit(X, LABELS, validation_data=(X, ONE_HOT)),
        "the target of the output 'last' must have the shape (samples, 1)",
    ),
    "a callback class": (
        TypeError,
        lambda: model().fit(X, LABELS, callbacks=[dict]),
        "callbacks must be a list of Callback objects: give an instance, with ()",
    ),
}


def compiled_unbuilt():
    net = unbuilt()
    net.compile("sgd", "mse", metrics=["acc"])
    return net


def pixels():
    net = Sequential([layers.Activation("linear", input_shape=(3, 1))])
    net.compile("sgd", "mse")
    return net


@pytest.mark.parametrize("case", CASES)
def test_the_message_of(case):
    error, call, message = CASES[case]
    with pytest.raises(error, match=re.escape(message)):
        call()


def test_a_wrong_compile_leaves_the_model_as_it_was():
    net = model(metrics=["acc"])
    optimizer = net.optimizer
    with pytest.raises(ValueError, match="must have an item for each"):
        net.compile("adam", ["mse", "mse"])
    assert net.optimizer is optimizer
    assert net.metrics_names == ["loss", "acc"]
    net.fit(X, LABELS, verbose=0)


def test_a_wrong_call_leaves_the_model_as_it_was():
    net = model()
    before = net.get_weights()
    with pytest.raises(ValueError, match="same number"):
        net.fit(X, LABELS[:3])
    for array, other in zip(before, net.get_weights(), strict=True):
        np.testing.assert_array_equal(array, other)
    net.fit(X, LABELS, verbose=0)

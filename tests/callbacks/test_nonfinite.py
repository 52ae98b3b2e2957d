from __future__ import annotations

import gc
import weakref

import numpy as np
import pytest

from minikeras import Sequential, layers, ops
from minikeras.callbacks import TerminateOnNaN
from minikeras.layers.base import Layer
from minikeras.layers.observers import observing
from tests.models.small import blobs, classifier


class Logarithm(Layer):
    def call(self, inputs):
        return ops.log(inputs)

    def compute_output_shape(self, input_shape):
        return input_shape


def model():
    net = Sequential(
        [
            layers.Dense(2, input_dim=2, kernel_initializer="ones", name="first"),
            Logarithm(name="logarithm"),
            layers.Dense(1, name="last"),
        ]
    )
    net.compile("sgd", "mse")
    return net


GOOD, BAD = np.ones((2, 2)), np.array([[1.0, 1.0], [-1.0, -1.0]])


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_the_first_layer_that_is_not_finite_is_named_and_training_ends_at_once(capsys):
    callback = TerminateOnNaN()
    x = np.concatenate([GOOD, BAD, GOOD])
    history = model().fit(x, np.ones(6), batch_size=2, epochs=3, shuffle=False, callbacks=[callback], verbose=0)
    assert history.epoch == [0]
    assert callback.layer.name == "logarithm"
    expected = "Batch 1: Invalid loss (nan), terminating training; Logarithm 'logarithm' was the first layer whose"
    assert capsys.readouterr().out == f"{expected} output wasn't finite\n"


def test_weights_that_are_not_finite_are_told(capsys):
    net = model()
    net.layers[0].set_weights([np.full((2, 2), np.nan), np.zeros(2)])
    net.fit(GOOD, np.ones(2), callbacks=[TerminateOnNaN()], verbose=0)
    assert (
        "Dense 'first' was the first layer whose output wasn't finite, nor are its weights" in capsys.readouterr().out
    )


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_a_loss_that_is_infinite_by_itself_is_told(capsys):
    net = model()
    net.fit(GOOD, np.full(2, 1e30), callbacks=[TerminateOnNaN()], verbose=0)
    assert "Invalid loss (inf)" in (out := capsys.readouterr().out)
    assert "every layer's output was finite: it comes from the loss function" in out


def test_a_healthy_training_goes_on_and_is_not_looked_at_afterwards():
    x, labels = blobs()
    callback = TerminateOnNaN()
    net = classifier()
    assert len(net.fit(x, labels, epochs=2, callbacks=[callback], verbose=0).epoch) == 2
    net.predict(np.full((2, 2), np.nan))
    assert callback.layer is None
    alive = weakref.ref(net)
    callback.model = None
    del net
    gc.collect()  # a layer and its calls refer to each other
    assert alive() is None


def test_outputs_that_overflow_a_sum_are_finite():
    net = Sequential([Layer(input_shape=(4,))])
    callback = TerminateOnNaN()
    callback.on_train_begin()
    net.predict(np.full((2, 4), 3e38))
    callback.close()
    assert callback.layer is None


def test_observers_see_layers_in_the_order_in_which_they_end():
    inner = Sequential([layers.Dense(1, input_dim=1, name="dense")], name="inner")
    outer = Sequential([inner, layers.Activation("relu", name="relu")], name="outer")
    one, other = [], []
    with observing(lambda layer, outputs: one.append(layer.name)):
        with observing(lambda layer, outputs: other.append(outputs.shape)):
            outer.predict(np.ones((3, 1)))
        outer.predict(np.ones((3, 1)))
    assert one == ["dense", "inner", "relu", "outer"] * 2
    assert other == [(3, 1)] * 4

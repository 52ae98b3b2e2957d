"""Inputs that are tensors of their own: the model isn't fed for them."""

from __future__ import annotations

import copy

import numpy as np
import pytest

from minikeras import Model, models
from minikeras import backend as K
from minikeras.layers import Dense, Input, concatenate

RNG = np.random.default_rng(5)
A, B = RNG.normal(size=(10, 3)).astype(np.float32), RNG.normal(size=(10, 2)).astype(np.float32)
Y = RNG.normal(size=(10, 4)).astype(np.float32)


def mixed():
    """A model of an input that is a variable, and one that is fed, and its twin with both fed."""
    a, b = Input(tensor=K.variable(A), name="a"), Input((2,), name="b")
    head = Dense(4, name="head")
    model = Model([a, b], head(concatenate([a, b])))
    twin = models.clone_model(model)
    twin.set_weights(model.get_weights())
    for each in (model, twin):
        each.compile("sgd", "mse", metrics=["mae"])
    return model, twin


def test_what_is_fed_goes_together_with_the_tensor():
    model, twin = mixed()
    assert (model.input_names, model._feed_input_names) == (["a", "b"], ["b"])
    np.testing.assert_array_equal(model.predict(B), twin.predict([A, B]))
    np.testing.assert_array_equal(model.predict({"b": B}), twin.predict([A, B]))
    np.testing.assert_array_equal(model.predict_on_batch([B]), twin.predict([A, B]))
    for x in (B, [B], {"b": B}):
        assert model.train_on_batch(x, Y) == pytest.approx(twin.train_on_batch([A, B], Y), rel=1e-6)
    one = model.fit(B, Y, epochs=3, shuffle=False, verbose=0).history
    other = twin.fit([A, B], Y, batch_size=10, epochs=3, shuffle=False, verbose=0).history
    assert one["loss"] == pytest.approx(other["loss"], rel=1e-5)
    assert model.evaluate(B, Y, verbose=0) == pytest.approx(twin.evaluate([A, B], Y, verbose=0), rel=1e-5)


def test_a_model_of_nothing_but_tensors_is_fed_nothing():
    value = K.variable(A)
    x = Input(tensor=value)
    model = Model(x, Dense(4)(x))
    model.compile("sgd", "mse")
    kernel, bias = model.get_weights()
    assert model.predict(None) == pytest.approx(A @ kernel + bias, rel=1e-5)
    assert model.predict(None, steps=3) == pytest.approx(np.tile(A @ kernel + bias, (3, 1)), rel=1e-5)
    assert model.predict_on_batch([]).shape == (10, 4)
    expected = ((A @ kernel + bias - Y) ** 2).mean()
    assert model.test_on_batch(None, Y) == pytest.approx(expected, rel=1e-5)
    assert model.evaluate(None, Y, steps=2, verbose=0) == pytest.approx(expected, rel=1e-5)
    assert model.train_on_batch(None, Y) == pytest.approx(expected, rel=1e-5)
    history = model.fit(None, Y, epochs=2, steps_per_epoch=3, verbose=0)
    assert history.params["steps"] == 3
    K.set_value(value, 2 * A)
    kernel, bias = model.get_weights()
    assert model.predict(None) == pytest.approx(2 * A @ kernel + bias, rel=1e-4, abs=1e-6)


def test_its_value_need_not_be_given_to_functions_and_its_gradient_is_known():
    model, twin = mixed()
    a, b = model.inputs
    output, gradient = K.function([b], [model.output, K.gradients(K.sum(model.output), a)[0]])([B])
    np.testing.assert_array_equal(output, twin.predict([A, B]))
    kernel = model.get_weights()[0]
    assert gradient == pytest.approx(np.tile(kernel[:3].sum(axis=1), (10, 1)), rel=1e-5)


def test_a_symbolic_tensor_becomes_the_input():
    held = K.placeholder((None, 3))
    x = Input(tensor=held, name="x")
    assert x is held
    doubled = Input(tensor=K.concatenate([held, 2 * held], axis=-1))
    model = Model(doubled, Dense(1, kernel_initializer="ones")(doubled))
    assert K.function([held], [model.output])([A])[0] == pytest.approx(3 * A.sum(axis=1, keepdims=True), rel=1e-4)
    assert model.predict(np.ones((2, 6))) == pytest.approx(np.full((2, 1), 6.0))


def test_clones_configurations_and_copies():
    model, twin = mixed()
    assert model.to_json().count("batch_input_shape") == 2
    np.testing.assert_array_equal(copy.deepcopy(model).predict(B), model.predict(B))
    clone = models.clone_model(twin, [K.constant(A), K.constant(B)])
    clone.set_weights(model.get_weights())
    np.testing.assert_array_equal(clone.predict(None), model.predict(B))


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: Input((3,), tensor=A), TypeError, "InputLayer .*must be a Tensor, as K.variable.* Received: ndarray"),
        (lambda: Input(tensor=Input((3,))), ValueError, "the tensor is an input already"),
        (lambda: Input((3,), sparse=True), ValueError, r"no sparse inputs.*toarray\(\).*Received: sparse=True"),
        (lambda: mixed()[0].predict(B[:4]), ValueError, r"as long\. Received: the inputs \['a', 'b'\] of \[10, 4\]"),
        (lambda: mixed()[0].predict([A, B]), ValueError, "expected 1 input array"),
        (lambda: models.clone_model(mixed()[1], [A, B]), ValueError, "input_tensors must be tensors"),
    ],
)
def test_a_wrong_call_says_what_was_expected(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_arrays_for_a_model_that_is_fed_nothing_are_refused():
    x = Input(tensor=K.variable(A))
    with pytest.raises(ValueError, match=r"nothing is fed: give None for x\. Received: ndarray"):
        Model(x, Dense(1)(x)).predict(A)

"""The backend as Keras 2's users write with it: losses, metrics, activations, constraints, regularizers, layers."""

from __future__ import annotations

import numpy as np
import pytest

from minikeras import Sequential, Tensor, layers
from minikeras import backend as K
from minikeras.layers import Dense
from minikeras.optimizers import SGD

X = np.random.default_rng(0).standard_normal((32, 4)).astype(np.float32)
Y = (X @ np.array([[1.0], [-2.0], [0.5], [3.0]])).astype(np.float32)


def scaled_error(y_true: Tensor, y_pred: Tensor) -> Tensor:
    return K.mean(K.square(y_pred - y_true), axis=-1) * 2.0


def mean_prediction(y_true: Tensor, y_pred: Tensor) -> Tensor:
    return K.mean(y_pred)


def dice_loss(y_true: Tensor, y_pred: Tensor) -> Tensor:
    true, found = K.flatten(y_true), K.flatten(y_pred)
    return 1.0 - (2.0 * K.sum(true * found) + 1.0) / (K.sum(true) + K.sum(found) + 1.0)


def swish(x: Tensor) -> Tensor:
    return x * K.sigmoid(x)


class AtMost:
    """A constraint."""

    def __call__(self, w: Tensor) -> Tensor:
        return K.clip(w, -0.25, 0.25) * K.cast(K.greater_equal(w, -10.0), K.floatx())


class Scale(layers.Layer):
    """A layer with a weight, and noise in training."""

    def build(self, input_shape: tuple) -> None:
        self.factor = self.add_weight(name="factor", shape=(input_shape[-1],), initializer="ones")
        super().build(input_shape)

    def call(self, inputs: Tensor, training: bool | None = None) -> Tensor:
        noised = inputs + K.random_normal(K.shape(inputs), stddev=10.0)
        return K.in_train_phase(noised, inputs, training=training) * self.factor


def test_a_loss_and_a_metric_of_ones_own_train_and_report() -> None:
    model = Sequential([Dense(1, input_shape=(4,), kernel_initializer="zeros")])
    model.compile(SGD(0.1), loss=scaled_error, metrics=[mean_prediction])
    before = model.evaluate(X, Y, verbose=0)
    assert before[0] == pytest.approx(2 * np.mean(Y**2), rel=1e-5)
    assert before[1] == 0.0
    model.fit(X, Y, epochs=30, batch_size=8, verbose=0)
    after = model.evaluate(X, Y, verbose=0)
    assert after[0] < 1e-3 * before[0]
    assert after[1] == pytest.approx(float(Y.mean()), abs=0.1)


def test_the_dice_loss_has_its_value_and_lowers() -> None:
    target = (Y > 0).astype(np.float32)
    model = Sequential([Dense(1, input_shape=(4,), activation="sigmoid", kernel_initializer="zeros")])
    model.compile(SGD(1.0), loss=dice_loss)
    start = model.evaluate(X, target, batch_size=32, verbose=0)
    assert start == pytest.approx(1 - (target.sum() + 1) / (target.sum() + 16 + 1), rel=1e-5)
    model.fit(X, target, epochs=20, batch_size=32, verbose=0)
    assert model.evaluate(X, target, batch_size=32, verbose=0) < 0.6 * start


def test_an_activation_a_constraint_and_a_regularizer_of_ones_own() -> None:
    layer = Dense(
        2,
        activation=swish,
        kernel_constraint=AtMost(),
        kernel_regularizer=lambda w: 0.5 * K.sum(K.abs(w)),
        input_shape=(4,),
    )
    model = Sequential([layer])
    model.compile(SGD(0.5), loss="mse")
    kernel = layer.get_weights()[0]
    z = X @ kernel
    np.testing.assert_allclose(model.predict(X), z / (1 + np.exp(-z)), atol=1e-5)
    targets = np.repeat(Y, 2, axis=1)
    expected = np.mean((z / (1 + np.exp(-z)) - targets) ** 2) + 0.5 * np.abs(kernel).sum()
    assert model.evaluate(X, targets, verbose=0) == pytest.approx(expected, rel=1e-5)
    model.fit(X, targets, epochs=3, verbose=0)
    assert np.abs(layer.get_weights()[0]).max() <= 0.25


def test_a_layer_of_ones_own_is_noisy_in_training_only() -> None:
    model = Sequential([Scale(input_shape=(4,)), Dense(1)])
    model.compile(SGD(0.0), loss="mse")
    quiet = model.evaluate(X, Y, verbose=0)
    assert model.evaluate(X, Y, verbose=0) == quiet
    noisy = [model.train_on_batch(X, Y) for _ in range(2)]
    assert noisy[0] != noisy[1]
    assert min(noisy) > quiet


def test_the_learning_rate_is_halved_during_training() -> None:
    model = Sequential([Dense(1, input_shape=(4,), kernel_initializer="zeros", use_bias=False)])
    model.compile(SGD(0.1), loss="mse")
    K.set_value(model.optimizer.lr, 0.5 * K.get_value(model.optimizer.lr))
    model.train_on_batch(X, Y)
    np.testing.assert_allclose(model.get_weights()[0], 0.05 * 2 * (X * Y).mean(0)[:, None], rtol=1e-4)

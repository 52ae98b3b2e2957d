"""Networks given numbers at the ends of float32's range train on, without a warning, wherever the loss is finite."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pytest

from minikeras import Sequential, layers, losses

Y = np.eye(3, dtype=np.float32)
PAIRS = [
    ("categorical_crossentropy", "softmax"),
    ("sparse_categorical_crossentropy", "softmax"),
    (partial(losses.categorical_crossentropy, from_logits=True), None),
    (partial(losses.sparse_categorical_crossentropy, from_logits=True), None),
    ("binary_crossentropy", "sigmoid"),
    (partial(losses.binary_crossentropy, from_logits=True), None),
    ("binary_crossentropy", "hard_sigmoid"),
    ("categorical_crossentropy", "relu"),
    ("kullback_leibler_divergence", "softmax"),
    ("mean_squared_error", "softsign"),
    ("mean_absolute_error", "elu"),
    ("mean_absolute_error", "selu"),
    ("mean_squared_logarithmic_error", "softplus"),
    ("logcosh", None),
    ("cosine_proximity", None),
    ("hinge", "tanh"),
    ("squared_hinge", "tanh"),
    ("categorical_hinge", "tanh"),
]


@pytest.mark.parametrize("scale", [0.0, 1e-45, 1e-4, 1e4, 1e30])
@pytest.mark.parametrize(
    ("loss", "activation"), PAIRS, ids=lambda value: value.func.__name__ if isinstance(value, partial) else str(value)
)
def test_a_layer_and_its_loss_stay_finite_and_so_do_the_weights(loss: Any, activation: Any, scale: float) -> None:
    model = Sequential([layers.Dense(3, activation=activation, input_shape=(2,), kernel_initializer="ones")])
    model.compile("adam", loss)
    if activation == "relu" and scale == 1e-45:
        pytest.skip("one over a sum of denormals is larger than any number")
    x = np.array([[1, -3], [2, 3], [0, -1]], np.float32) * np.float32(scale)
    sparse = "sparse" in str(getattr(loss, "func", loss))
    for _ in range(3):
        assert np.isfinite(model.train_on_batch(x, np.arange(3) if sparse else Y))
    assert all(np.isfinite(weight).all() for weight in model.get_weights())


@pytest.mark.parametrize("scale", [1e-30, 1e4, 1e18])
def test_batch_normalization_gives_a_constant_and_a_single_sample_their_beta(scale: float) -> None:
    layer = layers.BatchNormalization(beta_initializer="ones")
    for samples in (1, 4):
        found = layer(np.full((samples, 3), scale, np.float32), training=True)
        np.testing.assert_allclose(found.numpy(), 1.0, rtol=1e-5)


def test_weights_of_zero_give_a_loss_of_zero_and_move_nothing() -> None:
    model = Sequential([layers.Dense(3, input_shape=(2,))])
    model.compile("adam", "mse", metrics=["mae"])
    before = model.get_weights()
    assert model.train_on_batch(np.ones((3, 2)), Y, sample_weight=np.zeros(3))[0] == 0.0
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(new, old)


def test_the_mean_over_no_step_that_counts_is_zero() -> None:
    masked = layers.Masking()(np.zeros((2, 3, 4), np.float32))
    np.testing.assert_array_equal(layers.GlobalAveragePooling1D()(masked).numpy(), 0.0)


@pytest.mark.parametrize("rate", [0.0, 0.5, 0.999999])
def test_what_dropout_drops_is_zero_however_large_the_scale(rate: float) -> None:
    found = layers.Dropout(rate)(np.full((50, 4), 1e32, np.float32), training=True).numpy()
    assert set(np.unique(found)) <= {np.float32(0), np.float32(1e32) * np.float32(1 / (1 - rate))}

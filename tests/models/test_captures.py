"""Losses and metrics that read tensors of the model, and the loss as a symbolic tensor."""

from __future__ import annotations

import copy
import functools

import numpy as np
import pytest

from minikeras import Model, Sequential
from minikeras import backend as K
from minikeras.layers import ActivityRegularization, Dense, Dropout, Flatten, Input, Lambda

RNG = np.random.default_rng(3)
X = RNG.normal(size=(8, 3)).astype(np.float32)
Y = RNG.normal(size=(8, 2)).astype(np.float32)


def autoencoder():
    """A variational autoencoder: its model, the mean and the logarithm of the variance."""
    x = Input((3,))
    mean, spread = Dense(2, name="mean")(x), Dense(2, name="spread")(x)

    def sample(both):
        return both[0] + K.exp(both[1] / 2) * K.random_normal((K.shape(both[0])[0], 2))

    return Model(x, Dense(3, name="out")(Lambda(sample, output_shape=(2,))([mean, spread]))), mean, spread


def divergence(mean, spread):
    """Of a normal distribution from the standard one, in NumPy or symbolically."""
    exp, total = (np.exp, np.sum) if isinstance(mean, np.ndarray) else (K.exp, K.sum)
    return -0.5 * total(1 + spread - mean * mean - exp(spread), axis=-1)


def test_a_loss_that_reads_inner_tensors_is_computed_in_the_same_pass_as_the_outputs():
    model, mean, spread = autoencoder()

    def loss(y_true, y_pred):
        return K.sum(K.square(y_true - y_pred), axis=-1) + divergence(mean, spread)

    def kl(y_true, y_pred):
        return divergence(mean, spread)

    model.compile("sgd", loss, metrics=[kl])
    value, metric = model.evaluate(X, X, verbose=0)
    m, s = (Model(model.input, symbol).predict(X) for symbol in (mean, spread))
    assert metric == pytest.approx(divergence(m, s).mean(), rel=1e-5)
    assert value > metric
    history = model.fit(X, X, epochs=30, batch_size=5, verbose=0).history
    assert history["kl"][-1] < history["kl"][0]


def test_its_gradient_is_that_of_the_same_loss_by_add_loss():
    x = Input((3,))
    hidden = Dense(4, activation="tanh")(x)
    model = Model(x, Dense(2)(hidden))
    model.compile("sgd", lambda y_true, y_pred: K.mean(K.square(y_pred - y_true), axis=-1) + K.sum(hidden**2, axis=-1))
    captured = model.gradients_on_batch(X, Y, sample_weight=np.ones(8))
    model.add_loss(K.mean(K.sum(hidden**2, axis=-1)))
    model.compile("sgd", "mse")
    added = model.gradients_on_batch(X, Y)
    assert captured.keys() == added.keys()
    for name, gradient in captured.items():
        assert gradient == pytest.approx(added[name], rel=1e-4, abs=1e-6)


def penalty_of(symbol):
    """A loss from a factory, as focal losses are."""

    def loss(y_true, y_pred):
        return K.mean(K.square(y_pred - y_true), axis=-1) * K.sigmoid(symbol[:, 0])

    return loss


@pytest.mark.parametrize("wrap", [penalty_of, lambda symbol: functools.partial(penalty_of(symbol))])
def test_also_an_input_may_be_read_and_a_second_output_has_a_loss_of_its_own(wrap):
    x = Input((3,))
    model = Model(x, [Dense(2, name="a")(x), Dense(2, name="b")(x)])
    model.compile("sgd", {"a": wrap(x), "b": "mae"})
    total, first, second = model.test_on_batch(X, [Y, Y])
    a, b = model.predict(X)
    assert first == pytest.approx((((a - Y) ** 2).mean(axis=1) / (1 + np.exp(-X[:, 0]))).mean(), rel=1e-5)
    assert second == pytest.approx(np.abs(b - Y).mean(), rel=1e-5)
    assert total == pytest.approx(first + second, rel=1e-5)


def test_dropout_drops_the_same_for_the_output_and_for_a_loss_that_reads_it():
    x = Input((3,))
    dropped = Dropout(0.5)(x)
    model = Model(x, Flatten()(dropped))
    model.compile("sgd", lambda y_true, y_pred: K.abs(y_pred - dropped))
    assert model.train_on_batch(X, X) == 0.0


def test_a_penalty_taken_before_the_compile_follows_the_weights():
    x = Input((3,))
    model = Model(x, Dense(2, kernel_regularizer="l2")(x))
    penalty = sum(model.losses)
    model.compile("sgd", lambda y_true, y_pred: K.mean(K.square(y_pred), axis=-1) + penalty)
    for scale in (1.0, 2.0):
        model.set_weights([np.full((3, 2), scale), np.zeros(2)])
        expected = ((X.sum(axis=1) * scale) ** 2).mean() + 2 * 0.06 * scale**2
        assert model.test_on_batch(X, Y) == pytest.approx(expected, rel=1e-5)


def test_a_tensor_of_another_model_is_refused_and_a_copy_too():
    model, mean, _ = autoencoder()
    other = Sequential([Dense(2, input_dim=3)])
    with pytest.raises(ValueError, match="loss reads a tensor that isn't made of the model's inputs"):
        other.compile("sgd", penalty_of(mean))
    model.compile("sgd", penalty_of(mean))
    with pytest.raises(TypeError, match="reads tensors of this very model"):
        copy.deepcopy(model)


# ---------------------------------------------------------------------- total_loss


def classifier():
    """With everything that adds to a loss."""
    x = Input((3,))
    hidden = Dense(4, activation="tanh", kernel_regularizer="l2", activity_regularizer="l1")(x)
    hidden = ActivityRegularization(l2=0.1)(hidden)
    model = Model(x, [Dense(2, activation="softmax", name="kind")(hidden), Dense(1, name="size")(hidden)])
    model.add_loss(K.mean(K.square(hidden)))
    losses = {"kind": "sparse_categorical_crossentropy", "size": "mse"}
    model.compile("sgd", losses, loss_weights={"kind": 1.0, "size": 0.3})
    return model


KINDS, SIZES = RNG.integers(0, 2, (8, 1)), RNG.normal(size=(8, 1))
WEIGHTS = RNG.random(8)


def test_the_total_loss_is_what_training_minimises_with_the_same_gradients():
    model = classifier()
    fed = [*model.inputs, *model.sample_weights, *model.targets, K.learning_phase()]
    gradients = K.gradients(model.total_loss, model.trainable_weights)
    loss, *found = K.function(fed, [model.total_loss, *gradients])([X, WEIGHTS, np.ones(8), KINDS, SIZES, 0])
    weighted = [WEIGHTS, np.ones(8)]
    assert loss == pytest.approx(model.test_on_batch(X, [KINDS, SIZES], sample_weight=weighted)[0], rel=1e-5)
    expected = model.gradients_on_batch(X, [KINDS, SIZES], sample_weight=weighted)
    for weight, gradient in zip(model.trainable_weights, found, strict=True):
        assert gradient == pytest.approx(expected[weight.name], rel=1e-4, abs=1e-6)


def test_the_total_loss_can_be_differentiated_by_inputs_and_inner_outputs():
    model = Sequential([Dense(4, input_dim=3, use_bias=False), Dense(1, use_bias=False)])
    model.compile("sgd", "mse")
    inner = model.layers[0].output
    fed = [model.input, model.sample_weights[0], model.targets[0]]
    by_input, by_inner = K.function(fed, K.gradients(model.total_loss, [model.input, inner]))([X, np.ones(8), SIZES])
    first, second = model.get_weights()
    error = 2 * (X @ first @ second - SIZES) / 8
    assert by_inner == pytest.approx(error @ second.T, rel=1e-4, abs=1e-6)
    assert by_input == pytest.approx(error @ second.T @ first.T, rel=1e-4, abs=1e-6)


def test_the_total_loss_knows_the_learning_phase_masks_and_temporal_weights():
    x = Input((4, 3))
    model = Model(x, Dropout(0.5)(Dense(2)(x)))
    model.compile("sgd", "mse", sample_weight_mode="temporal")
    steps, targets, weights = RNG.normal(size=(2, 4, 3)), RNG.normal(size=(2, 4, 2)), RNG.random((2, 4))
    loss = K.function([x, *model.targets, *model.sample_weights, K.learning_phase()], [model.total_loss])
    arrays = [steps, targets, weights]
    assert loss([*arrays, 0])[0] == pytest.approx(model.test_on_batch(steps, targets, weights), rel=1e-5)
    assert len({float(loss([*arrays, 1])[0]) for _ in range(3)}) == 3


def test_without_compile_there_is_no_total_loss():
    with pytest.raises(RuntimeError, match="must be compiled first"):
        Sequential([Dense(2, input_dim=3)]).total_loss  # noqa: B018
    with pytest.raises(AttributeError, match="has no targets: it isn't made of symbolic inputs and outputs"):
        Model().targets  # noqa: B018

"""fit with ScipyOptimizer: what it finds, callbacks and histories, breaking off, what it refuses."""

from __future__ import annotations

import gc
import weakref

import numpy as np
import pytest

from minikeras import Sequential, callbacks, layers, models, ops, regularizers
from minikeras.models import LossSurface
from minikeras.optimizers import ScipyOptimizer
from tests.models.small import blobs, classifier, linear

METHODS = ["L-BFGS-B", "BFGS", "CG", "Newton-CG", "trust-ncg", "trust-krylov"]
RNG = np.random.default_rng(0)
X = RNG.normal(size=(20, 2)).astype("float32")
Y = X @ [[3.0], [-2.0]] + 1.0 + 0.1 * RNG.normal(size=(20, 1))


def ridge(x, y, weights, penalty):
    """The kernel and the bias that minimize the weighted mean square plus the penalty of the kernel, exactly."""
    a = np.column_stack([x, np.ones(len(x))]).astype("float64")
    share = np.diag(weights / np.count_nonzero(weights))
    return np.linalg.solve(a.T @ share @ a + np.diag([penalty, penalty, 0.0]), a.T @ share @ y)[:, 0]


@pytest.mark.parametrize("method", METHODS)
def test_least_squares_with_penalties_and_sample_weights_are_solved_exactly(method):
    weights = np.arange(20.0)
    model = Sequential([layers.Dense(1, input_dim=2, kernel_regularizer=regularizers.l2(0.3), dtype="float64")])
    model.compile(ScipyOptimizer(method, tol=1e-10), "mse")
    history = model.fit(X, Y, epochs=60, sample_weight=weights, verbose=0)
    found = np.concatenate([array.ravel() for array in model.get_weights()])
    np.testing.assert_allclose(found, ridge(X, Y, weights, 0.3), atol=1e-6)
    assert history.history["loss"][-1] == pytest.approx(
        model.evaluate(X, Y, sample_weight=weights, batch_size=20, verbose=0)
    )


def test_batches_are_only_a_matter_of_memory():
    histories = []
    for batch_size in (None, 7):
        model = linear(optimizer=ScipyOptimizer())
        histories.append(model.fit(X, Y, epochs=4, batch_size=batch_size, verbose=0).history["loss"])
    np.testing.assert_allclose(histories[0], histories[1], rtol=1e-4)


@pytest.mark.parametrize("method", METHODS)
def test_the_losses_of_the_history_fall_and_the_last_one_is_that_of_the_weights(method):
    x, labels = blobs()
    model = classifier(optimizer=ScipyOptimizer(method))
    history = model.fit(x, labels, epochs=8, verbose=0, validation_data=(x, labels)).history
    assert history["loss"] == sorted(history["loss"], reverse=True)
    assert history["acc"][-1] == 1.0
    assert history["val_loss"] == pytest.approx(history["loss"], rel=1e-4)
    loss, accuracy = model.evaluate(x, labels, batch_size=60, verbose=0)
    assert (loss, accuracy) == pytest.approx((history["loss"][-1], history["acc"][-1]))


class Recorder(callbacks.Callback):
    """Writes down which hook was called when."""

    def __init__(self):
        self.calls = []

    def on_train_begin(self, logs=None):
        self.calls.append("begin")

    def on_epoch_begin(self, epoch, logs=None):
        self.calls.append(("epoch", epoch))

    def on_batch_begin(self, batch, logs=None):
        self.calls.append("batch")

    def on_batch_end(self, batch, logs=None):
        self.calls.append(("batch ends", logs["size"]))

    def on_epoch_end(self, epoch, logs=None):
        self.calls.append(("epoch ends", epoch))

    def on_train_end(self, logs=None):
        self.calls.append("end")


def test_an_iteration_is_an_epoch_for_callbacks():
    recorder = Recorder()
    model = linear(optimizer=ScipyOptimizer())
    history = model.fit(X, Y, epochs=4, initial_epoch=2, callbacks=[recorder], verbose=0)
    assert recorder.calls == [
        "begin",
        *[("epoch", 2), "batch", ("batch ends", 20), ("epoch ends", 2)],
        *[("epoch", 3), "batch", ("batch ends", 20), ("epoch ends", 3)],
        "end",
    ]
    assert history.epoch == [2, 3]
    assert model.optimizer.iterations == 2


def test_a_callback_sees_the_weights_of_its_iteration_and_can_end_training():
    seen = []

    def look(epoch, logs):
        seen.append((logs["loss"], model.evaluate(X, Y, batch_size=20, verbose=0)))
        model.stop_training = epoch == 1

    model = linear(optimizer=ScipyOptimizer())
    history = model.fit(X, Y, epochs=9, callbacks=[callbacks.LambdaCallback(on_epoch_end=look)], verbose=0)
    assert len(history.epoch) == 2
    for logged, evaluated in seen:
        assert logged == pytest.approx(evaluated)
    assert model.evaluate(X, Y, batch_size=20, verbose=0) == pytest.approx(history.history["loss"][-1])


def test_it_ends_where_nothing_better_is_found_and_says_why(capsys):
    model = linear(optimizer=ScipyOptimizer())
    assert len(model.fit(X, Y, epochs=99, verbose=2).epoch) < 30
    output = capsys.readouterr().out
    assert "Epoch 1/99" in output
    assert output.splitlines()[-1] == f"L-BFGS-B: {model.optimizer.result.message}"
    again = model.fit(X, Y, epochs=99, verbose=0)
    assert 1 <= len(again.epoch) <= 3


def test_at_the_minimum_the_history_has_the_loss_there():
    model = linear(optimizer=ScipyOptimizer())
    exact = X @ [[1.0], [2.0]] + 0.5
    assert model.fit(X, exact, epochs=5, verbose=0).history["loss"] == [pytest.approx(0.0, abs=1e-12)]


def test_no_epochs_train_nothing():
    model = linear(optimizer=ScipyOptimizer())
    assert model.fit(X, Y, epochs=2, initial_epoch=2, verbose=0).epoch == []
    assert model.get_weights()[0].tolist() == [[1.0], [2.0]]


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
@pytest.mark.parametrize("method", ["L-BFGS-B", "Newton-CG"])
def test_breaking_off_in_the_middle_of_a_search_leaves_the_best_iterates_weights(method, error):
    x, labels = blobs()
    calls, losses = [], []

    def interrupted(y_true, y_pred):
        calls.append(1)
        if len(calls) == 8:
            raise error("stop")
        return ops.mean((y_pred - y_true) ** 2)

    model = classifier(optimizer=ScipyOptimizer(method), loss=interrupted, metrics=())
    keep = callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: losses.append(logs["loss"]))
    targets = np.eye(3)[labels]
    with pytest.raises(error):
        model.fit(x, targets, epochs=50, callbacks=[keep], verbose=0)
    assert losses
    assert model.evaluate(x, targets, batch_size=60, verbose=0) == pytest.approx(min(losses), rel=1e-5)


def test_frozen_layers_stay_as_they_are():
    model = Sequential([layers.Dense(3, activation="tanh", input_dim=2), layers.Dense(1)])
    model.layers[0].trainable = False
    model.compile(ScipyOptimizer(), "mse")
    before = model.get_weights()
    model.fit(X, Y, epochs=5, verbose=0)
    changed = [not np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True)]
    assert changed == [False, False, True, True]


def test_moving_statistics_make_one_step_for_each_iteration_however_often_the_loss_is_evaluated():
    model = Sequential([layers.BatchNormalization(momentum=0.5, input_shape=(2,)), layers.Dense(1)])
    model.compile(ScipyOptimizer(), "mse")
    model.fit(X, Y, epochs=3, verbose=0)
    assert model.optimizer.result.nfev > 3
    expected = X.mean(axis=0) * (1 - 0.5**3)
    np.testing.assert_allclose(model.layers[0].get_weights()[2], expected, rtol=1e-5)


def test_layers_that_draw_random_numbers_are_refused_unless_they_draw_only_once():
    x, labels = blobs()
    noisy = [layers.Dropout(0.5, input_shape=(2,), name="half"), layers.Dense(3, activation="softmax")]
    model = Sequential(noisy)
    model.compile(ScipyOptimizer(), "sparse_categorical_crossentropy")
    before = model.get_weights()
    with pytest.raises(ValueError, match=r"Sequential .*ScipyOptimizer needs the same loss.*Received: Dropout 'half'"):
        model.fit(x, labels, verbose=0)
    assert all((a == b).all() for a, b in zip(before, model.get_weights(), strict=True))
    model.compile(ScipyOptimizer(fixed_noise=True), "sparse_categorical_crossentropy")
    losses = model.fit(x, labels, epochs=10, verbose=0).history["loss"]
    assert losses == sorted(losses, reverse=True)
    assert losses[-1] < losses[0]


def test_functions_that_draw_random_numbers_are_noticed_by_their_loss():
    rng = np.random.default_rng(0)
    model = Sequential([layers.Dense(2, input_dim=2), layers.Lambda(lambda x: x * rng.uniform()), layers.Dense(1)])
    model.compile(ScipyOptimizer(fixed_noise=True), "mse")
    with pytest.raises(
        ValueError, match=r"needs the same loss at each call, but a function of yours.*Received: .* then"
    ):
        model.fit(X, Y, verbose=0)


@pytest.mark.parametrize("method", METHODS)
def test_samples_and_tapes_are_freed_with_the_end_of_training(method, monkeypatch):
    surfaces = []

    def remembered(*arguments, **keywords):
        surface = LossSurface(*arguments, **keywords)
        surfaces.append(weakref.ref(surface))
        return surface

    monkeypatch.setattr("minikeras.models.full_batch.LossSurface", remembered)
    gc.disable()
    try:
        linear(optimizer=ScipyOptimizer(method)).fit(X, Y, epochs=2, verbose=0)
        assert [surface() for surface in surfaces] == [None]
    finally:
        gc.enable()


def test_constraints_are_refused_by_name():
    model = Sequential([layers.Dense(1, input_dim=2, name="d", kernel_constraint="nonneg")])
    model.compile(ScipyOptimizer(), "mse")
    with pytest.raises(ValueError, match=r"constraints of weights unheeded.*Received: constraints of d/kernel"):
        model.fit(X, Y, verbose=0)


def test_single_steps_and_parts_of_epochs_are_refused():
    model = linear(optimizer=ScipyOptimizer())
    with pytest.raises(RuntimeError, match=r"ScipyOptimizer.*train by model.fit\(x, y\) with arrays"):
        model.train_on_batch(X, Y)
    with pytest.raises(RuntimeError, match=r"ScipyOptimizer.*train by model.fit\(x, y\) with arrays"):
        model.fit(iter([(X, Y)]), steps_per_epoch=1, verbose=0)
    with pytest.raises(ValueError, match=r"ScipyOptimizer takes all samples.*steps_per_epoch=3"):
        model.fit(X, Y, steps_per_epoch=3, verbose=0)
    with pytest.raises(AttributeError, match=r"ScipyOptimizer has no learning rate"):
        model.fit(X, Y, callbacks=[callbacks.LearningRateScheduler(lambda epoch: 0.1)], verbose=0)


def test_a_loss_that_is_not_finite_is_refused():
    model = linear(optimizer=ScipyOptimizer())
    with pytest.raises(FloatingPointError, match=r"finite at the start"):
        model.fit(X, Y * np.nan, verbose=0)


def test_a_model_comes_back_from_its_file_and_goes_on_as_it_would_have(tmp_path):
    model = linear(optimizer=ScipyOptimizer("CG"))
    model.fit(X, Y, epochs=2, verbose=0)
    model.save(tmp_path / "model.npz")
    loaded = models.load_model(tmp_path / "model.npz")
    assert (loaded.optimizer.method, loaded.optimizer.iterations) == ("CG", 2)
    losses = [m.fit(X, Y, epochs=2, verbose=0).history["loss"] for m in (model, loaded)]
    assert losses[0] == losses[1]

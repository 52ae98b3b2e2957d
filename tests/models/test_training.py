"""What fit, evaluate and predict do over epochs and batches."""

from __future__ import annotations

import gc
import itertools
import weakref

import numpy as np
import pytest

import minikeras
from minikeras import Sequential, callbacks, layers, regularizers
from minikeras.callbacks import Callback
from minikeras.layers.base import Layer
from tests.models.small import Offset, TwoHeads, blobs, classifier, linear


class SameShape(Layer):
    """Says its output's shape, so that it isn't run to find it out."""

    def compute_output_shape(self, input_shape):
        return input_shape


class Recorder(SameShape):
    """Keeps what it was given, and in which mode."""

    def __init__(self, **keywords):
        super().__init__(**keywords)
        self.seen = []

    def call(self, inputs, training=None):
        self.seen.append((inputs.numpy().copy(), training))
        return inputs


def recording():
    """A model whose first layer records its inputs, trained by a second one."""
    model = Sequential([Recorder(input_shape=(1,)), layers.Dense(1)])
    model.compile("sgd", "mse")
    return model, model.layers[0].seen


ROWS = np.arange(10.0)


def test_a_small_convolutional_network_learns():
    minikeras.set_seed(0)
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 120)
    images = rng.random((120, 6, 6, 1)) * 0.5
    images[labels == 1, 1:5, 2] += 1.0  # a vertical bar
    images[labels == 0, 2, 1:5] += 1.0  # a horizontal one
    model = Sequential(
        [
            layers.Conv2D(4, 3, activation="relu", input_shape=(6, 6, 1)),
            layers.GlobalMaxPooling2D(),
            layers.Dense(2, activation="softmax"),
        ]
    )
    optimizer = minikeras.optimizers.Adam(lr=0.02)
    model.compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"])
    history = model.fit(images, labels, epochs=15, validation_split=0.2, verbose=0).history
    assert history["val_acc"][-1] == 1.0
    assert history["loss"][-1] < 0.3 * history["loss"][0]


@pytest.mark.parametrize("seed", [lambda: minikeras.set_seed(1), lambda: np.random.seed(1)], ids=["own", "NumPy's"])
def test_one_seed_makes_a_run_reproducible_to_the_bit(seed):
    x, y = blobs()

    def run():
        seed()
        model = Sequential([layers.Dense(8, input_dim=2), layers.Dropout(0.5), layers.Dense(3, activation="softmax")])
        model.compile("adam", "sparse_categorical_crossentropy")
        history = model.fit(x, y, epochs=3, batch_size=7, verbose=0)
        return history.history["loss"], model.get_weights()

    (losses, weights), (losses_again, weights_again) = run(), run()
    assert losses == losses_again
    for array, again in zip(weights, weights_again, strict=True):
        np.testing.assert_array_equal(array, again)


def test_shuffling_takes_every_sample_once_in_a_new_order_each_epoch():
    model, seen = recording()
    model.fit(ROWS, ROWS, batch_size=4, epochs=2, verbose=0)
    assert [len(batch) for batch, _ in seen] == [4, 4, 2] * 2
    epochs = [np.concatenate([batch.ravel() for batch, _ in seen[i : i + 3]]) for i in (0, 3)]
    assert all(sorted(epoch) == list(ROWS) for epoch in epochs)
    assert list(epochs[0]) != list(epochs[1])
    assert all(list(epoch) != list(ROWS) for epoch in epochs)


def test_without_shuffling_batches_come_in_order():
    model, seen = recording()
    model.fit(ROWS, ROWS, batch_size=4, shuffle=False, verbose=0)
    assert [batch.ravel().tolist() for batch, _ in seen] == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]


def test_shuffle_batch_keeps_neighbours_together():
    model, seen = recording()
    minikeras.set_seed(0)
    model.fit(ROWS, ROWS, batch_size=2, shuffle="batch", verbose=0)
    firsts = [batch.ravel()[0] for batch, _ in seen]
    assert all(batch.ravel().tolist() == [first, first + 1] for (batch, _), first in zip(seen, firsts, strict=True))
    assert sorted(firsts) == [0, 2, 4, 6, 8]
    assert firsts != sorted(firsts)


def test_rows_of_arrays_in_any_memory_order_are_shuffled_alike():
    x, y = blobs()
    results = []
    for array in (x, np.asfortranarray(x), np.repeat(x, 2, axis=0)[::2]):
        minikeras.set_seed(3)
        results.append(classifier().fit(array, y, epochs=2, verbose=0).history["loss"])
    assert results[0] == results[1] == results[2]


def test_steps_per_epoch_ends_epochs_early():
    model, seen = recording()
    model.fit(ROWS, ROWS, batch_size=4, steps_per_epoch=2, epochs=2, verbose=0)
    assert [len(batch) for batch, _ in seen] == [4, 4, 4, 4]


def test_layers_train_in_fit_and_infer_in_evaluate_and_predict():
    model, seen = recording()
    model.fit(ROWS, ROWS, validation_data=(ROWS, ROWS), verbose=0)
    model.evaluate(ROWS, ROWS, verbose=0)
    model.predict(ROWS)
    model.train_on_batch(ROWS, ROWS)
    model.test_on_batch(ROWS, ROWS)
    model.predict_on_batch(ROWS)
    assert [training for _, training in seen] == [True, False, False, False, True, False, False]


def test_validation_split_holds_out_the_tail_before_shuffling():
    model, seen = recording()
    history = model.fit(ROWS, ROWS, validation_split=0.3, epochs=2, verbose=0)
    assert sorted(seen[0][0].ravel()) == list(ROWS[:7])
    assert seen[1][0].ravel().tolist() == [7, 8, 9]
    assert list(history.history) == ["loss", "val_loss"]


def test_validation_is_what_evaluate_gives():
    x, y = blobs()
    model = classifier()
    history = model.fit(x, y, validation_data=(x[:20], y[:20]), verbose=0, batch_size=16)
    expected = model.evaluate(x[:20], y[:20], batch_size=16, verbose=0)
    assert [history.history["val_loss"][-1], history.history["val_acc"][-1]] == expected


def test_validation_data_can_have_weights():
    model = linear()
    weights = np.array([0.0, 0.0, 2.0])
    x, y = np.eye(3, 2), np.array([1.0, 2.0, 3.0])
    history = model.fit(x, y, validation_data=(x, y, weights), verbose=0)
    assert history.history["val_loss"] == [model.evaluate(x, y, sample_weight=weights, verbose=0)]


@pytest.mark.parametrize("one_hot", [False, True], ids=["class numbers", "one-hot"])
def test_a_validation_split_of_sorted_labels_warns(one_hot):
    x, labels = blobs()
    y = np.eye(3)[np.sort(labels)] if one_hot else np.sort(labels)
    model = classifier(loss="categorical_crossentropy" if one_hot else "sparse_categorical_crossentropy")
    with pytest.warns(UserWarning, match="labels are sorted, and validation_split=0.1 takes the last samples"):
        model.fit(x, y, validation_split=0.1, verbose=0)


def test_sorted_targets_of_a_regression_do_not_warn():
    model = linear(weights=(1.0,))
    model.fit(ROWS[:, None], ROWS, validation_split=0.2, verbose=0)


def test_the_loss_of_an_epoch_is_the_mean_over_its_samples():
    x, y = np.arange(10.0)[:, None], np.zeros(10)
    model = linear(weights=(1.0,), bias=0.0, optimizer=minikeras.optimizers.SGD(lr=0.0))
    history = model.fit(x, y, batch_size=4, verbose=0)
    assert history.history["loss"][0] == pytest.approx(np.mean(np.arange(10.0) ** 2))
    assert model.evaluate(x, y, batch_size=3, verbose=0) == pytest.approx(np.mean(np.arange(10.0) ** 2))


def test_fit_returns_a_history_of_every_epoch():
    x, y = blobs()
    model = classifier()
    history = model.fit(x, y, epochs=5, initial_epoch=2, validation_split=0.1, verbose=0, batch_size=10)
    assert history is model.history
    assert history.epoch == [2, 3, 4]
    assert list(history.history) == ["loss", "acc", "val_loss", "val_acc"]
    assert all(len(values) == 3 for values in history.history.values())
    assert history.params == {
        "batch_size": 10,
        "epochs": 5,
        "steps": 6,
        "samples": 54,
        "verbose": 0,
        "do_validation": True,
        "metrics": ["loss", "acc", "val_loss", "val_acc"],
    }


def test_training_goes_on_with_the_state_of_the_optimizer():
    x, y = blobs()
    minikeras.set_seed(0)
    once, parts = classifier(), classifier()
    parts.set_weights(once.get_weights())
    once.fit(x, y, epochs=4, shuffle=False, verbose=0)
    parts.fit(x, y, epochs=2, shuffle=False, verbose=0)
    parts.fit(x, y, epochs=4, initial_epoch=2, shuffle=False, verbose=0)
    for array, other in zip(once.get_weights(), parts.get_weights(), strict=True):
        np.testing.assert_array_equal(array, other)


def test_train_on_batch_returns_the_loss_before_the_update():
    model = linear()
    x, y = np.array([[1.0, 1.0]]), np.array([1.0])
    assert model.train_on_batch(x, y) == pytest.approx((3.5 - 1.0) ** 2)
    # the gradient of (w.x + b - 1)**2 is 5 in each weight, and the rate 0.01
    np.testing.assert_allclose(model.get_weights()[0].ravel(), [0.95, 1.95], rtol=1e-6)
    np.testing.assert_allclose(model.get_weights()[1], [0.45], rtol=1e-6)


def test_one_value_is_a_scalar_and_several_are_a_list():
    x, y = blobs()
    assert isinstance(classifier(metrics=[]).train_on_batch(x, y), float)
    model = classifier()
    assert len(model.train_on_batch(x, y)) == len(model.metrics_names) == 2
    assert len(model.test_on_batch(x, y)) == 2
    assert len(model.evaluate(x, y, verbose=0)) == 2


def test_test_on_batch_changes_nothing():
    x, y = blobs()
    model = classifier()
    before = model.get_weights()
    assert model.test_on_batch(x, y) == model.test_on_batch(x, y)
    for array, other in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(array, other)


def test_predictions_do_not_depend_on_the_batches():
    x, _ = blobs()
    model = classifier()
    np.testing.assert_allclose(model.predict(x, batch_size=7), model.predict_on_batch(x), rtol=1e-6)


def test_predictions_are_arrays_of_their_own():
    model = Sequential([layers.Activation("linear", input_shape=(2,))])
    x = np.ones((3, 2), "float32")
    for predict in (model.predict, model.predict_on_batch):
        predict(x)[...] = 5.0
        np.testing.assert_array_equal(x, 1.0)


def test_predict_needs_no_compile():
    assert Sequential([layers.Dense(2, input_dim=3)]).predict(np.zeros((4, 3))).shape == (4, 2)


@pytest.mark.parametrize("dtype", ["uint8", "int64", "float64", "float16", "bool"])
def test_inputs_are_cast_to_the_type_of_the_model(dtype):
    model, seen = recording()
    model.train_on_batch(np.ones((3, 1), dtype), np.ones(3))
    assert seen[0][0].dtype == np.float32
    assert model.predict(np.ones((3, 1), dtype)).dtype == np.float32


def test_batches_in_order_are_not_copied():
    class Address(SameShape):
        def call(self, inputs):
            addresses.append(inputs.numpy().__array_interface__["data"][0])
            return inputs

    addresses = []
    model = Sequential([Address(input_shape=(2,))])
    x = np.ones((4, 2), "float32")
    model.predict(x, batch_size=2)
    assert addresses == [x.__array_interface__["data"][0], x[2:].__array_interface__["data"][0]]


def test_penalties_of_weights_count_in_the_loss_of_training_and_evaluation():
    def model_with(regularizer):
        model = Sequential([layers.Dense(1, input_dim=2, kernel_regularizer=regularizer)])
        model.set_weights([np.array([[1.0], [2.0]]), np.array([0.0])])
        model.compile("sgd", "mse")
        return model

    x, y = np.eye(2), np.array([1.0, 2.0])  # fitted exactly
    model = model_with(regularizers.l1_l2(0.1, 0.01))
    expected = 0.1 * 3 + 0.01 * 5
    assert model.evaluate(x, y, verbose=0) == pytest.approx(expected)
    assert model.train_on_batch(x, y) == pytest.approx(expected)
    # the rate is 0.01, the gradient 0.1 + 0.02 w
    np.testing.assert_allclose(model.get_weights()[0].ravel(), [1 - 0.01 * 0.12, 2 - 0.01 * 0.14], rtol=1e-6)


def test_penalties_of_outputs_are_summed_over_the_batch():
    model = Sequential([layers.Dense(1, input_dim=1, activity_regularizer=regularizers.l2(0.5))])
    model.set_weights([np.array([[1.0]]), np.array([0.0])])
    model.compile("sgd", "mse")
    x = np.array([[1.0], [2.0], [3.0]])
    assert model.evaluate(x, x, verbose=0) == pytest.approx(0.5 * 14)
    assert model.train_on_batch(x, x) == pytest.approx(0.5 * 14)


def test_weights_frozen_before_compile_stay_as_they_are():
    x, y = blobs()
    model = classifier()
    model.layers[0].trainable = False
    model.compile("adam", "sparse_categorical_crossentropy")
    before = model.get_weights()
    model.fit(x, y, verbose=0)
    after = model.get_weights()
    np.testing.assert_array_equal(before[0], after[0])
    assert np.abs(before[2] - after[2]).max() > 0


def test_trainable_changed_after_compile_takes_effect_with_the_next_one_and_warns():
    x, y = blobs()
    model = classifier()
    model.trainable = False
    before = model.get_weights()[0]
    with pytest.warns(UserWarning, match="trainable was changed after compile: 4 weights are trained, 0 are trainable"):
        model.fit(x, y, verbose=0)
    assert np.abs(model.get_weights()[0] - before).max() > 0


def test_a_discriminator_trains_by_itself_and_is_frozen_in_front_of_its_generator():
    generator = Sequential([layers.Dense(2, input_dim=2)])
    discriminator = Sequential([layers.Dense(1, activation="sigmoid", input_dim=2)])
    discriminator.compile("sgd", "binary_crossentropy")
    discriminator.trainable = False
    both = Sequential([generator, discriminator])
    both.compile("sgd", "binary_crossentropy")
    x, y = np.ones((4, 2)), np.ones((4, 1))

    def moved(model, step):
        before = model.get_weights()[0]
        step()
        return bool(np.abs(model.get_weights()[0] - before).max() > 0)

    assert moved(discriminator, lambda: discriminator.train_on_batch(x, y))
    assert moved(generator, lambda: both.train_on_batch(x, y))
    assert not moved(discriminator, lambda: both.train_on_batch(x, y))


def test_a_model_without_trainable_weights_goes_through_training():
    model = Sequential([Offset(input_shape=(1,))])
    model.compile("sgd", "mse")
    assert model.fit(np.zeros(4), np.zeros(4), verbose=0).history == {"loss": [1.0]}


def test_training_works_inside_no_grad():
    x, y = blobs()
    model = classifier()
    before = model.get_weights()[0]
    with minikeras.no_grad():
        model.train_on_batch(x, y)
    assert np.abs(model.get_weights()[0] - before).max() > 0


def test_interrupted_training_leaves_a_model_to_go_on_with(capsys):
    class Interrupt(Callback):
        def on_batch_end(self, batch, logs=None):
            if len(self.model.history.epoch) == 1:
                raise KeyboardInterrupt

    x, y = blobs()
    model = classifier()
    with pytest.raises(KeyboardInterrupt):
        model.fit(x, y, epochs=3, callbacks=[Interrupt()])
    assert model.history.epoch == [0]
    assert minikeras.core.tape.grad_enabled()
    assert not minikeras.layers.base.in_training()
    assert len(model.fit(x, y, epochs=2, verbose=0).epoch) == 2


def test_a_step_leaves_nothing_for_the_garbage_collector():
    x, y = blobs()
    model = Sequential(
        [
            layers.Reshape((2, 1), input_shape=(2,)),
            layers.Conv1D(4, 2, activation="relu", kernel_regularizer="l2"),
            layers.BatchNormalization(),
            layers.Flatten(),
            layers.Dropout(0.2),
            layers.Dense(3, activation="softmax", activity_regularizer="l2"),
        ]
    )
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(x, y, validation_split=0.1, verbose=0)
    model.predict(x)
    gc.collect()
    gc.disable()
    try:
        model.train_on_batch(x, y)
        assert gc.collect() == 0
        model.fit(x, y, validation_split=0.1, epochs=2, verbose=0)
        model.predict(x)
        assert gc.collect() == 0
    finally:
        gc.enable()


def test_a_model_is_freed_after_its_last_reference():
    x, y = blobs()
    model = classifier()
    model.fit(x, y, verbose=0)
    alive = weakref.ref(model)
    del model
    gc.collect()  # a layer and its symbolic calls know of one another
    assert alive() is None


def test_prediction_frees_outputs_of_layers_as_soon_as_they_are_used():
    class Watch(SameShape):
        def call(self, inputs):
            alive.append(sum(reference() is not None for reference in outputs))
            result = inputs + 1.0
            outputs.append(weakref.ref(result))
            return result

    outputs, alive = [], []
    model = Sequential([Watch(input_shape=(2,)), Watch(), Watch(), Watch()])
    model.predict(np.zeros((4, 2)))
    assert alive == [0, 1, 1, 1]


def test_several_inputs_and_outputs_train_together():
    model = TwoHeads()
    model.compile("sgd", ["mse", "mae"], loss_weights=[1.0, 0.5], metrics={"score": ["mse"]})
    left, right = np.array([[1.0], [2.0]]), np.array([[0.0], [0.0]])
    targets = [np.array([[0.0], [0.0]]), np.array([[4.0], [4.0]])]
    values = model.test_on_batch([left, right], targets)
    assert model.metrics_names == ["loss", "double_loss", "score_loss", "score_mean_squared_error"]
    np.testing.assert_allclose(values, [10.0 + 0.5 * 4.0, 10.0, 4.0, 16.0])
    by_name = model.test_on_batch({"left": left, "right": right}, dict(zip(["double", "score"], targets, strict=True)))
    assert by_name == values
    history = model.fit([left, right], targets, epochs=20, verbose=0).history
    assert history["loss"][-1] < history["loss"][0]
    assert [output.shape for output in model.predict([left, right])] == [(2, 1), (2, 1)]


def test_an_output_without_a_loss_takes_no_target_and_says_so():
    model = TwoHeads()
    model.double.trainable = False
    model.build([(None, 1), (None, 1)])
    with pytest.warns(UserWarning, match=r"the outputs \['double'\] have no loss and are not trained"):
        model.compile("sgd", {"score": "mse"})
    before = model.score.get_weights()[1]
    model.train_on_batch([np.ones((2, 1)), np.zeros((2, 1))], np.ones((2, 1)))
    assert model.metrics_names == ["loss", "score_loss"]
    assert np.abs(model.score.get_weights()[1] - before).max() > 0


@pytest.mark.parametrize(
    "numbers", [{"epochs": 0}, {"epochs": 2, "initial_epoch": 2}, {"epochs": 2, "initial_epoch": 5}]
)
@pytest.mark.parametrize("generated", [False, True])
def test_no_epochs_give_an_empty_history_and_leave_the_weights(numbers, generated, tmp_path):
    seen = []
    everyone = [
        callbacks.EarlyStopping("loss", restore_best_weights=True),
        callbacks.ModelCheckpoint(str(tmp_path / "m.npz"), "loss"),
        callbacks.ReduceLROnPlateau("loss"),
        callbacks.LearningRateScheduler(lambda epoch: 0.1),
        callbacks.CSVLogger(str(tmp_path / "log.csv")),
        callbacks.TerminateOnNaN(),
        callbacks.LambdaCallback(
            on_train_begin=lambda logs: seen.append("begin"),
            on_epoch_begin=lambda epoch, logs: seen.append(epoch),
            on_train_end=lambda logs: seen.append("end"),
        ),
    ]
    model, _ = recording()
    before = model.get_weights()
    if generated:
        batches = itertools.repeat((ROWS, ROWS))
        history = model.fit_generator(batches, steps_per_epoch=2, callbacks=everyone, verbose=0, **numbers)
    else:
        history = model.fit(ROWS, ROWS, callbacks=everyone, validation_split=0.2, verbose=1, **numbers)
    assert history.history == {}
    assert history.epoch == []
    assert model.history is history
    assert seen == ["begin", "end"]
    assert all(np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True))

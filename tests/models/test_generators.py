"""Training, evaluation and prediction with batches from generators and Sequences."""

from __future__ import annotations

import itertools
import os
import signal
import threading
import time

import numpy as np
import pytest

import minikeras
from minikeras import Sequential, layers, regularizers
from minikeras.callbacks import Callback, LearningRateScheduler
from minikeras.utils import Sequence
from tests.models.small import TwoHeads, blobs, classifier, linear

X, LABELS = blobs(samples=50)


class Batches(Sequence):
    """Slices of arrays; notes the order in which they are asked for and the ends of epochs."""

    def __init__(self, *arrays, batch_size=8):
        self.arrays, self.batch_size = arrays, batch_size
        self.asked, self.ends = [], 0

    def __len__(self):
        return -(-len(self.arrays[0]) // self.batch_size)

    def __getitem__(self, index):
        self.asked.append(index)
        rows = slice(index * self.batch_size, (index + 1) * self.batch_size)
        return tuple(array[rows] for array in self.arrays)

    def on_epoch_end(self):
        self.ends += 1


def forever(*arrays, batch_size=8):
    while True:
        for start in range(0, len(arrays[0]), batch_size):
            yield tuple(array[start : start + batch_size] for array in arrays)


def trained_alike(one, other):
    for array, its in zip(one.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_array_equal(array, its)


def twins():
    one, other = classifier(), classifier()
    other.set_weights(one.get_weights())
    return one, other


@pytest.fixture(autouse=True)
def _no_thread_is_left():
    before = threading.active_count()
    yield
    assert threading.active_count() == before


@pytest.mark.parametrize("workers", [0, 1, 3])
@pytest.mark.parametrize("kind", ["generator", "sequence"])
def test_batches_from_anywhere_train_as_arrays_do(kind, workers):
    one, other = twins()
    expected = one.fit(X, LABELS, batch_size=8, epochs=3, shuffle=False, verbose=0).history
    source = forever(X, LABELS) if kind == "generator" else Batches(X, LABELS)
    history = other.fit_generator(source, 7, epochs=3, shuffle=False, workers=workers, verbose=0).history
    assert history == expected
    trained_alike(one, other)


def test_steps_that_are_a_quotient_are_rounded_up():
    model = classifier()
    history = model.fit_generator(forever(X, LABELS), steps_per_epoch=len(X) / 8, epochs=1, verbose=0)
    assert history.params["steps"] == 7
    assert len(model.predict_generator(forever(X), steps=0.5)) == 8
    model.fit(X, LABELS, batch_size=8, steps_per_epoch=len(X) / 8, verbose=0)
    for steps in (-0.5, 0.0, float("nan"), float("inf")):
        with pytest.raises(ValueError, match=f"steps must be a positive integer. Received: {steps}"):
            model.predict_generator(forever(X), steps=steps)


def test_a_sequence_knows_its_number_of_steps():
    sequence = Batches(X, LABELS)
    history = classifier().fit_generator(sequence, epochs=2, shuffle=False, verbose=0)
    assert history.params["steps"] == 7
    assert sequence.asked[:14] == [*range(7)] * 2
    assert sequence.ends >= 1


@pytest.mark.parametrize("workers", [0, 2])
def test_shuffling_takes_every_batch_of_a_sequence_once_in_an_epoch(workers):
    minikeras.set_seed(1)
    sequence = Batches(X, LABELS)
    classifier().fit_generator(sequence, epochs=2, workers=workers, max_queue_size=1, verbose=0)
    epochs = [sequence.asked[:7], sequence.asked[7:14]]
    assert [sorted(epoch) for epoch in epochs] == [[*range(7)]] * 2
    assert epochs[0] != epochs[1]
    assert epochs[0] != [*range(7)]


def test_fit_takes_generators_and_sequences():
    one, other = twins()
    one.fit_generator(Batches(X, LABELS), epochs=2, shuffle=False, verbose=0)
    other.fit(Batches(X, LABELS), epochs=2, shuffle=False, verbose=0)
    trained_alike(one, other)
    other.fit(forever(X, LABELS), steps_per_epoch=2, verbose=0)
    assert other.evaluate(Batches(X, LABELS), verbose=0) == other.evaluate_generator(Batches(X, LABELS))
    np.testing.assert_array_equal(other.predict(Batches(X)), other.predict_generator(Batches(X)))


def test_weights_come_with_the_batches_and_classes_have_theirs():
    one, other = twins()
    weights = np.linspace(0.0, 1.0, len(X))
    by_class = {0: 1.0, 1: 2.0, 2: 0.5}
    arguments = {"shuffle": False, "class_weight": by_class, "verbose": 0}
    expected = one.fit(X, LABELS, batch_size=8, sample_weight=weights, **arguments).history
    assert other.fit_generator(Batches(X, LABELS, weights), **arguments).history == expected


@pytest.mark.parametrize("kind", ["arrays", "generator", "sequence"])
def test_validation_in_every_form_gives_what_evaluate_does(kind):
    model = classifier()
    data = {
        "arrays": (X[:20], LABELS[:20]),
        "generator": forever(X[:20], LABELS[:20]),
        "sequence": Batches(X[:20], LABELS[:20]),
    }[kind]
    steps = 3 if kind == "generator" else None
    arguments = {"epochs": 2, "validation_data": data, "validation_steps": steps, "verbose": 0}
    for fit, training in ((model.fit, (X, LABELS)), (model.fit_generator, (Batches(X, LABELS),))):
        history = fit(*training, **arguments).history
        expected = model.evaluate(X[:20], LABELS[:20], verbose=0)
        assert [history["val_loss"][-1], history["val_acc"][-1]] == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("workers", [0, 1, 3])
@pytest.mark.parametrize("kind", ["generator", "sequence"])
def test_training_goes_on_from_an_initial_epoch_with_the_scheduled_rates(kind, workers):
    one, other = twins()
    rates = LearningRateScheduler(lambda epoch: 0.1 / (1 + epoch))
    arguments = {"epochs": 5, "initial_epoch": 2, "shuffle": False, "callbacks": [rates], "verbose": 0}
    expected = one.fit(X, LABELS, batch_size=8, **arguments)
    source = forever(X, LABELS) if kind == "generator" else Batches(X, LABELS)
    found = other.fit_generator(source, 7, workers=workers, max_queue_size=2, **arguments)
    assert found.epoch == expected.epoch == [2, 3, 4]
    assert found.history == expected.history
    np.testing.assert_allclose(found.history["lr"], [0.1 / 3, 0.1 / 4, 0.1 / 5], rtol=1e-6)
    trained_alike(one, other)


@pytest.mark.parametrize("kind", ["generator", "sequence"])
def test_weights_of_samples_and_classes_give_the_loss_of_the_formula(kind):
    weights, by_class = np.linspace(0.0, 2.0, len(X)), {0: 1.0, 1: 3.0, 2: 0.0}
    model = classifier(optimizer=minikeras.optimizers.SGD(lr=0.0))
    together = weights * np.array([1.0, 3.0, 0.0])[LABELS]
    scores = -np.log(model.predict(X)[np.arange(len(X)), LABELS])
    right = model.predict(X).argmax(axis=-1) == LABELS

    def kerass(own, rows):
        return np.mean(scores[rows] * own[rows]) / np.mean(own[rows] != 0)

    slices = [slice(start, start + 8) for start in range(0, 50, 8)]
    sizes = [len(X[rows]) for rows in slices]
    source = forever(X, LABELS, weights) if kind == "generator" else Batches(X, LABELS, weights)
    history = model.fit_generator(source, 7, class_weight=by_class, workers=2, shuffle=False, verbose=0).history
    assert history["loss"] == [
        pytest.approx(np.average([kerass(together, r) for r in slices], weights=sizes), rel=1e-5)
    ]
    assert history["acc"] == [pytest.approx(right.mean(), rel=1e-6)]
    source = forever(X, LABELS, weights) if kind == "generator" else Batches(X, LABELS, weights)
    loss, accuracy = model.evaluate_generator(source, 7, workers=3)
    assert loss == pytest.approx(np.average([kerass(weights, rows) for rows in slices], weights=sizes), rel=1e-5)
    assert accuracy == pytest.approx(right.mean(), rel=1e-6)


@pytest.mark.parametrize("workers", [1, 3])
@pytest.mark.parametrize("form", [forever, Batches])
def test_weights_of_validation_batches_count(form, workers):
    model = classifier(optimizer=minikeras.optimizers.SGD(lr=0.0))
    weights = np.linspace(0.5, 2.0, len(X))
    scores = -np.log(model.predict(X)[np.arange(len(X)), LABELS]) * weights
    history = model.fit_generator(
        forever(X, LABELS),
        2,
        epochs=2,
        validation_data=form(X, LABELS, weights),
        validation_steps=7,
        workers=workers,
        verbose=0,
    ).history
    assert history["val_loss"] == pytest.approx([scores.mean()] * 2, rel=1e-5)


def test_a_shuffled_sequence_trains_as_its_batches_in_the_order_that_was_asked_for():
    one, other = twins()
    sequence = Batches(X, LABELS)
    one.fit_generator(sequence, epochs=2, workers=0, verbose=0)
    for index in sequence.asked[:14]:
        rows = slice(index * 8, (index + 1) * 8)
        other.train_on_batch(X[rows], LABELS[rows])
    trained_alike(one, other)


@pytest.mark.parametrize("workers", [1, 4])
def test_predictions_come_in_order_however_long_each_batch_takes(workers):
    class Uneven(Batches):
        def __getitem__(self, index):
            time.sleep(0.01 * (index % 3 == 0))
            return super().__getitem__(index)

    model = classifier()
    expected = model.predict(X, batch_size=8)
    np.testing.assert_array_equal(model.predict_generator(Uneven(X), workers=workers, max_queue_size=3), expected)
    logs = model.evaluate_generator(Uneven(X, LABELS), workers=workers)
    right = expected.argmax(axis=-1) == LABELS
    assert logs == pytest.approx([-np.log(expected[np.arange(50), LABELS]).mean(), right.mean()], rel=1e-5)


def test_validation_steps_end_a_validation_early():
    model = classifier()
    history = model.fit(X, LABELS, batch_size=10, validation_data=(X, LABELS), validation_steps=2, verbose=0).history
    assert history["val_loss"][0] == pytest.approx(model.evaluate(X[:20], LABELS[:20], verbose=0)[0], rel=1e-5)


def test_evaluation_weights_batches_by_their_size():
    model = linear(weights=(1.0,), bias=0.0)
    batches = [(np.full((1, 1), 3.0), np.zeros(1)), (np.full((3, 1), 1.0), np.zeros(3))]
    assert model.evaluate_generator(iter(batches), steps=2) == pytest.approx((9.0 + 3.0) / 4)


def test_validation_arrays_are_cut_as_the_last_training_batch_was():
    model = Sequential([layers.Dense(1, input_dim=1, activity_regularizer=regularizers.l2(1.0))])
    model.set_weights([np.ones((1, 1)), np.zeros(1)])
    model.compile(minikeras.optimizers.SGD(lr=0.0), "mse")
    x = np.ones((4, 1))
    for size, batches in ((4, 1), (2, 2)):
        history = model.fit_generator(forever(x, x, batch_size=size), 4 // size, validation_data=(x, x), verbose=0)
        assert history.history["val_loss"][0] == pytest.approx(4.0 / batches)  # the penalty is summed over a batch


def test_predictions_of_all_batches_are_put_together():
    model = classifier()
    expected = model.predict(X, batch_size=8)
    for source in (Batches(X, LABELS), Batches(X), forever(X, LABELS, LABELS), (batch for batch in [X[:8]] * 7)):
        outputs = model.predict_generator(source, steps=7)
        np.testing.assert_array_equal(outputs[:8], expected[:8])
        assert len(outputs) == (56 if outputs[8:16].tolist() == outputs[:8].tolist() else 50)


def test_several_inputs_and_outputs_come_as_lists_or_dicts():
    model = TwoHeads()
    model.compile("sgd", "mse")
    x = [np.ones((4, 1)), np.zeros((4, 1))]
    item = (dict(zip(["left", "right"], x, strict=True)), dict(zip(["double", "score"], x, strict=True)))
    expected = model.evaluate(x, x, verbose=0)
    assert model.evaluate_generator(itertools.repeat(item), 1) == pytest.approx(expected)
    assert model.evaluate_generator(itertools.repeat((x, x)), 1) == pytest.approx(expected)
    assert [output.shape for output in model.predict_generator(itertools.repeat(x), 2)] == [(8, 1), (8, 1)]


def test_stop_training_ends_a_training_on_a_generator():
    class Stop(Callback):
        def on_batch_end(self, batch, logs=None):
            self.model.stop_training = batch == 2

    assert len(classifier().fit_generator(forever(X, LABELS), 5, 4, 0, [Stop()]).epoch) == 1


class BrokenError(Exception):
    pass


@pytest.mark.parametrize("workers", [0, 1, 3])
@pytest.mark.parametrize("kind", ["generator", "sequence"])
def test_an_exception_of_a_worker_comes_out_and_ends_the_threads(kind, workers):
    class Broken(Batches):
        def __getitem__(self, index):
            if index == 3:
                raise BrokenError("no such file")
            return super().__getitem__(index)

    def broken():
        yield from itertools.islice(forever(X, LABELS), 3)
        raise BrokenError("no such file")

    source = broken() if kind == "generator" else Broken(X, LABELS)
    with pytest.raises(BrokenError, match="no such file"):
        classifier().fit_generator(source, 7, workers=workers, shuffle=False, verbose=0)


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError])
def test_an_interrupt_in_training_ends_all_threads(error):
    class Interrupt(Callback):
        def on_batch_end(self, batch, logs=None):
            if batch == 2:
                raise error

    class Slow(Batches):
        def __getitem__(self, index):
            time.sleep(0.002)
            return super().__getitem__(index)

    model = classifier()
    with pytest.raises(error):
        model.fit_generator(
            Slow(X, LABELS), callbacks=[Interrupt()], validation_data=Slow(X, LABELS), workers=3, verbose=0
        )
    assert len(model.fit_generator(Slow(X, LABELS), verbose=0).epoch) == 1


def test_an_exception_in_validation_ends_all_threads():
    with pytest.raises(ValueError, match="the target of the output"):
        classifier().fit_generator(
            Batches(X, LABELS), validation_data=forever(X, np.eye(3)[LABELS]), validation_steps=1, verbose=0
        )


def test_processes_are_threads_and_that_is_said():
    with pytest.warns(UserWarning, match="threads, not in processes"):
        classifier().fit_generator(Batches(X, LABELS), use_multiprocessing=True, verbose=0)


def test_names_of_keras_1_are_taken_with_a_warning():
    class Sized:
        batch_size = 8

        def __init__(self):
            self.batches = forever(X, LABELS)

        def __iter__(self):
            return self

        def __next__(self):
            return next(self.batches)

    model = classifier()
    with pytest.warns(UserWarning, match="since Keras 2") as caught:
        history = model.fit_generator(
            Sized(),
            samples_per_epoch=24,
            nb_epoch=2,
            nb_worker=1,
            max_q_size=4,
            pickle_safe=False,
            validation_data=forever(X, LABELS),
            nb_val_samples=2,
            verbose=0,
        )
    assert len(history.epoch) == 2
    assert history.params["steps"] == 3
    messages = sorted(str(warning.message).partition(": fit_generator: ")[2] for warning in caught)
    assert messages == [
        "max_q_size is called max_queue_size since Keras 2",
        "nb_epoch is called epochs since Keras 2",
        "nb_val_samples is called validation_steps since Keras 2, and counts batches, no longer samples",
        "nb_worker is called workers since Keras 2",
        "pickle_safe is called use_multiprocessing since Keras 2",
        "samples_per_epoch is called steps_per_epoch since Keras 2, and counts batches, no longer samples",
    ]
    with pytest.warns(UserWarning, match="fit: nb_epoch is called epochs"):
        assert len(model.fit(X, LABELS, nb_epoch=2, verbose=0).epoch) == 2
    with pytest.warns(UserWarning, match="val_samples is called steps"):
        model.evaluate_generator(forever(X, LABELS), val_samples=2)


WRONG = {
    "no steps": (
        ValueError,
        lambda m: m.fit_generator(forever(X, LABELS)),
        "say how many batches to take by steps_per",
    ),
    "no steps to predict": (
        ValueError,
        lambda m: m.predict_generator(forever(X)),
        "how many batches to take by steps=",
    ),
    "no validation steps": (
        ValueError,
        lambda m: m.fit_generator(Batches(X, LABELS), validation_data=forever(X, LABELS), verbose=0),
        "how many batches to take by validation_steps=",
    ),
    "arrays": (
        TypeError,
        lambda m: m.fit_generator(X, 3),
        "expected a generator or a utils.Sequence. Received: ndarray",
    ),
    "zero steps": (ValueError, lambda m: m.fit_generator(forever(X, LABELS), 0), "steps_per_epoch must be a positive"),
    "workers": (ValueError, lambda m: m.fit_generator(Batches(X, LABELS), workers=-1), "workers must be an integer"),
    "a queue of nothing": (
        ValueError,
        lambda m: m.fit_generator(Batches(X, LABELS), max_queue_size=0),
        "max_queue_size must be a positive integer. Received: 0",
    ),
    "inputs alone": (
        ValueError,
        lambda m: m.fit_generator(forever(X), 3, verbose=0),
        "the generator must give (x, y) or (x, y, sample_weight). Received: tuple of 1",
    ),
    "an array": (
        ValueError,
        lambda m: m.evaluate_generator(itertools.repeat(X), 3),
        "the generator must give (x, y) or (x, y, sample_weight). Received: ndarray",
    ),
    "an end too early": (
        ValueError,
        lambda m: m.fit_generator(itertools.islice(forever(X, LABELS), 5), 3, epochs=2, verbose=0),
        "the generator ended after 2 of the 3 batches that were asked for",
    ),
    "targets beside a generator": (
        ValueError,
        lambda m: m.fit(forever(X, LABELS), LABELS, batch_size=3, steps_per_epoch=3),
        "a generator gives whole batches, with targets and weights: y, batch_size can't be given",
    ),
    "a split of a generator": (
        ValueError,
        lambda m: m.fit(forever(X, LABELS), validation_split=0.1, steps_per_epoch=3),
        "validation_split can't be given",
    ),
    "two names": (
        TypeError,
        lambda m: m.fit(X, LABELS, epochs=1, nb_epoch=1),
        "fit got both epochs and its former name nb_epoch",
    ),
    "before compile": (
        RuntimeError,
        lambda m: Sequential([layers.Dense(1)]).fit_generator(forever(X, LABELS), 1),
        "must be compiled first",
    ),
    "too many steps to evaluate": (
        ValueError,
        lambda m: m.evaluate(X, LABELS, batch_size=25, steps=3),
        "50 samples make 2 steps with batches of 25. Received: steps=3",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_the_message_of(case):
    error, call, message = WRONG[case]
    with pytest.raises(error) as caught:
        call(classifier())
    assert message in str(caught.value)


def test_steps_end_evaluation_and_prediction_of_arrays():
    model = classifier()
    assert model.evaluate(X, LABELS, batch_size=10, steps=2, verbose=0) == pytest.approx(
        model.evaluate(X[:20], LABELS[:20], batch_size=10, verbose=0)
    )
    assert model.predict(X, batch_size=10, steps=2).shape == (20, 3)


@pytest.fixture
def _interruptible():
    """What was started in the background of a shell ignores the interrupt key."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("_interruptible")
def test_the_interrupt_key_works_while_training_waits_for_a_batch():
    class Slow(Batches):
        def __getitem__(self, index):
            if index == 2:
                os.kill(os.getpid(), signal.SIGINT)
                time.sleep(0.2)
            return super().__getitem__(index)

    with pytest.raises(KeyboardInterrupt):
        classifier().fit_generator(Slow(X, LABELS), shuffle=False, workers=2, verbose=0)


def test_a_model_without_an_input_shape_is_built_by_the_first_batch():
    model = Sequential([layers.Dense(3), layers.Dense(1)])
    model.compile("sgd", "mse", metrics=["mae"])
    history = model.fit(Batches(X, LABELS), epochs=2, verbose=0).history
    assert model.output_shape == (None, 1)
    assert len(history["loss"]) == len(history["mean_absolute_error"]) == 2

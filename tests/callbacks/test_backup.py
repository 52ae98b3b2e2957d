"""A training that was broken off and begun again ends as one that never was, to the last bit."""

from __future__ import annotations

import itertools
import random
from contextlib import suppress

import numpy as np
import pytest

import minikeras
from minikeras import Sequential, layers, metrics
from minikeras import backend as K
from minikeras.callbacks import (
    BackupAndRestore,
    Callback,
    CSVLogger,
    EarlyStopping,
    LambdaCallback,
    LearningRateScheduler,
    ModelCheckpoint,
    ReduceLROnPlateau,
    TensorBoard,
    TerminateOnNaN,
)
from minikeras.optimizers import ScipyOptimizer
from minikeras.preprocessing.image import ImageDataGenerator
from minikeras.preprocessing.sequence import TimeseriesGenerator
from minikeras.saving import ModelFileError
from minikeras.saving.states import read_state, write_state

X = np.random.default_rng(0).normal(size=(40, 4))
Y = (X.sum(1, keepdims=True) > 0) * 1.0


class Break(Callback):
    """The interrupt key, when so many batches have begun in this process."""

    def __init__(self, after):
        self.left = after

    def get_state(self):
        return {}

    def on_batch_begin(self, batch, logs=None):
        self.left -= 1
        if self.left < 0:
            raise KeyboardInterrupt


class Steps(layers.Layer):
    """A stateful metric: how many batches there were since the epoch began, plus their mean loss."""

    stateful = True

    def __init__(self):
        super().__init__(name="steps")
        self.total = K.variable(0.0)

    def reset_states(self):
        K.set_value(self.total, 0.0)

    def __call__(self, y_true, y_pred):
        self.total.assign(self.total.numpy() + 1.0 + K.mean(K.square(y_true - y_pred)).numpy())
        return self.total * 1.0


class Batches(minikeras.utils.Sequence):
    """Batches of 8 that change in one of the ways that Sequences of users do."""

    def __init__(self, way):
        self.way, self.order, self.rng = way, np.arange(40), np.random.default_rng(3)
        self.deck = np.arange(2000) / 2000

    def __len__(self):
        return 5

    def __getitem__(self, index):
        rows = self.order[8 * index : 8 * index + 8]
        noise = {"its stream": self.rng.random, "NumPy": np.random.rand, "Python": random.random}.get(self.way)
        return X[rows] + (noise() if noise else self.deck[index]), Y[rows]

    def on_epoch_end(self):
        if self.way == "order":
            self.rng.shuffle(self.order)
        elif self.way == "order by NumPy":
            np.random.shuffle(self.order)
        elif self.way == "a large deck":
            self.rng.shuffle(self.deck)


def network():
    """Dropout, noise, moving statistics, numbers from the stream of a seed, and from new streams."""
    noise = layers.Lambda(lambda x: x + K.random_normal((1,), 0.0, 0.01, seed=5) + K.random_normal((1,), 0.0, 0.01))
    parts = [layers.Dense(6, "tanh", input_dim=4), layers.BatchNormalization(), layers.Dropout(0.3), noise]
    return Sequential([*parts, layers.GaussianNoise(0.1), layers.Dense(1, "sigmoid")])


def train(folder, feed=None, after=10**9, save_freq=1, optimizer="adam", seed=1, own=(), epochs=3, **arguments):
    """One run of a script: all is made anew, and given the same seeds."""
    minikeras.set_seed(seed)
    K.clear_session()
    np.random.seed(2)
    random.seed(2)
    model = network()
    model.compile(optimizer, "binary_crossentropy", metrics=["acc", Steps()])
    folder.mkdir(exist_ok=True)
    callbacks = [
        EarlyStopping("loss", patience=9, restore_best_weights=True),
        ReduceLROnPlateau("loss", patience=0, factor=0.7, min_delta=0.5),
        LearningRateScheduler(lambda epoch, rate: rate * 0.9),
        ModelCheckpoint(folder / "best.npz", "loss", save_best_only=True, save_weights_only=True),
        CSVLogger(folder / "log.csv"),
        TerminateOnNaN(),
        *own,
        BackupAndRestore(folder / "backup", save_freq),
        Break(after),
    ]
    arguments = {"epochs": epochs, "verbose": 0, "callbacks": callbacks, **arguments}
    if feed is None:
        history = model.fit(X, Y, batch_size=8, **arguments)
    else:
        history = model.fit_generator(feed(), **arguments)
    with np.load(folder / "best.npz") as best:
        kept = [best[name] for name in best.files]
    return {
        "weights": [*model.get_weights(), *kept],
        "optimizer": model.optimizer.get_weights(),
        "rest": [float(model.optimizer.lr), history.history, history.epoch, (folder / "log.csv").read_text()],
        "random": [np.random.rand(), random.random()] if feed is None else [],
    }


def broken_off(tmp_path, stops, **arguments):
    """The same run in several pieces."""
    for stop in stops:
        with pytest.raises(KeyboardInterrupt):
            train(tmp_path / "pieces", after=stop, **arguments)
    return train(tmp_path / "pieces", **arguments)


def assert_same(one, other):
    for kind in ("weights", "optimizer"):
        assert len(one[kind]) == len(other[kind])
        assert all(map(np.array_equal, one[kind], other[kind])), kind
    assert one["rest"] == other["rest"]
    assert one["random"] == other["random"]


def images():
    pictures = np.random.default_rng(0).random((40, 2, 2, 1))
    flow = ImageDataGenerator(horizontal_flip=True, width_shift_range=1.0).flow(pictures, Y, batch_size=8, seed=4)

    class Flat(type(flow)):
        def __getitem__(self, index):
            x, y = super().__getitem__(index)
            return x.reshape(len(x), 4), y

    flow.__class__ = Flat
    return flow


def series():
    stretches = TimeseriesGenerator(np.arange(44.0), np.arange(44.0) % 2, 4, batch_size=8, shuffle=True)
    stretches.targets = stretches.targets[:, None]
    return stretches


CASES = {
    "arrays": {},
    "arrays, a share for validation": {"validation_split": 0.2},
    "arrays, weights of classes, Nadam": {"class_weight": {0: 1.0, 1: 3.0}, "optimizer": "nadam"},
    "arrays, batches shuffled, part of them": {"shuffle": "batch", "steps_per_epoch": 3},
    "arrays without a seed": {"seed": None},
    "arrays, every second batch": {"save_freq": 2, "sample_weight": np.linspace(0, 1, 40)},
    "arrays, after each epoch": {"save_freq": "epoch", "validation_data": (X[:9], Y[:9])},
    "a Sequence": {"feed": lambda: Batches("no way")},
    "a Sequence, after each epoch": {"feed": lambda: Batches("order"), "save_freq": "epoch"},
    "a Sequence that shuffles": {"feed": lambda: Batches("order"), "workers": 3, "class_weight": {0: 1.0, 1: 2.0}},
    "a Sequence that shuffles by NumPy": {"feed": lambda: Batches("order by NumPy"), "shuffle": False},
    "a Sequence with a stream of its own": {"feed": lambda: Batches("its stream"), "steps_per_epoch": 3},
    "a Sequence that draws from NumPy": {"feed": lambda: Batches("NumPy"), "max_queue_size": 3},
    "a Sequence that draws from Python": {"feed": lambda: Batches("Python"), "steps_per_epoch": 7},
    "a Sequence that shuffles something large": {"feed": lambda: Batches("a large deck")},
    "a Sequence in this thread": {"feed": lambda: Batches("order by NumPy"), "workers": 0, "steps_per_epoch": 4},
    "a Sequence to validate": {"validation_data": Batches("no way"), "validation_steps": 2},
    "images": {"feed": images, "workers": 2},
    "time series": {"feed": series},
}


@pytest.mark.parametrize("case", CASES)
def test_the_rest_of_a_training_is_bit_identical(case, tmp_path):
    whole = train(tmp_path / "whole", **CASES[case])
    steps = 3 * CASES[case].get("steps_per_epoch", 5) - 3 * ("share" in case)
    each = 3 if CASES[case].get("save_freq") != "epoch" else steps // 3 + 1
    pieces = broken_off(tmp_path, [each, each], **CASES[case])
    assert_same(pieces, whole)
    assert not (tmp_path / "pieces" / "backup").exists()


@pytest.mark.parametrize("stop", [0, 1, 4, 5, 6, 9, 10, 14])
def test_wherever_it_is_broken_off(stop, tmp_path):
    assert_same(broken_off(tmp_path, [stop]), train(tmp_path / "whole"))


def test_processes_makes_no_difference(tmp_path):
    arguments = {"feed": lambda: Batches("order"), "use_multiprocessing": True}
    with pytest.warns(UserWarning, match="use_multiprocessing=True"):
        assert_same(broken_off(tmp_path, [7], **arguments), train(tmp_path / "whole", **arguments))


def test_a_training_that_was_stopped_is_not_gone_on_with(tmp_path):
    class Stop(Callback):
        def on_epoch_end(self, epoch, logs=None):
            self.model.stop_training = epoch == 1

    def run():
        minikeras.set_seed(0)
        model = Sequential([layers.Dense(1, input_dim=4)])
        model.compile("sgd", "mse")
        keep = BackupAndRestore(tmp_path / "b", delete_checkpoint=False)
        return model.fit(X, Y, epochs=5, verbose=0, callbacks=[Stop(), keep]).epoch

    assert run() == run() == [0, 1]


def test_callbacks_of_users_keep_what_they_count_and_what_they_say(tmp_path):
    class Counts(Callback):
        def __init__(self):
            self.batches, self.seen, self.rng, self.weight = 0, [], np.random.default_rng(1), K.variable(1.0)

        def on_epoch_begin(self, epoch, logs=None):
            self.begun = self.batches

        def on_batch_end(self, batch, logs=None):
            self.batches += 1
            self.seen.append((self.begun, self.rng.random()))
            K.set_value(self.weight, self.rng.random())

    class Says(Callback):
        def __init__(self):
            self.lock, self.inner = object(), 0

        def on_batch_end(self, batch, logs=None):
            self.lock, self.inner = object(), self.inner + 1

        def get_state(self):
            return {"inner": self.inner}

        def set_state(self, state):
            self.inner = state["inner"]

    found = []
    for folder, stops in (("whole", []), ("pieces", [4, 7])):
        for stop in [*stops, 10**9]:
            own = [Counts(), Says()]
            try:
                train(tmp_path / folder, own=own, after=stop)
            except KeyboardInterrupt:
                continue
            found.append((own[0].batches, own[0].seen, K.get_value(own[0].weight).tolist(), own[1].inner))
    assert found[0] == found[1]
    assert found[0][0] == 15


def test_a_callback_that_changes_in_a_way_no_file_can_hold_is_named(tmp_path):
    class Opens(Callback):
        def on_epoch_begin(self, epoch, logs=None):
            self.handle = object()

    with pytest.raises(TypeError, match=r"Opens: its attribute 'handle' has changed.*Define get_state\(\) and"):
        train(tmp_path, own=[Opens()])


def test_resumed_is_told_before_training_begins(tmp_path):
    told = []
    note = LambdaCallback(on_train_begin=lambda logs: told.append(bool(note.params.get("resumed"))))
    note.get_state = dict
    for stop in (2, 10**9):
        with suppress(KeyboardInterrupt):
            train(tmp_path, own=[note], after=stop)
    assert told == [False, True]


def test_tensorboard_goes_on(tmp_path):
    pytest.importorskip("tensorboardX")
    own = {"own": [TensorBoard(str(tmp_path / "logs"), update_freq="batch")]}
    assert_same(broken_off(tmp_path, [7], **own), train(tmp_path / "whole", **own))


def test_a_longer_training_goes_on_where_a_kept_one_ended(tmp_path):
    def run(epochs):
        minikeras.set_seed(0)
        model = Sequential([layers.Dense(2, input_dim=4), layers.Dropout(0.5), layers.Dense(1)])
        model.compile("adam", "mse")
        keep = BackupAndRestore(tmp_path / "b", delete_checkpoint=False)
        return model.fit(X, Y, epochs=epochs, verbose=0, callbacks=[keep]).history["loss"]

    first, again, longer = run(2), run(2), run(4)
    assert first == again == longer[:2]
    assert len(longer) == 4


DIFFERENT = {
    "the batch size": ({"batch_size": 4}, "fit: batch_size: 8 then, 4 now"),
    "the order": ({"shuffle": False}, "training data: shuffle: True then, False now"),
    "the data": ({"x": X + 1}, r"training data: inputs: \['\(40, 4\) float64, hash"),
    "the weights of classes": ({"class_weight": {0: 1.0, 1: 2.0}}, "training data: weights: "),
    "the number of samples": ({"x": X[:32], "y": Y[:32]}, "fit: samples: 40 then, 32 now"),
    "the validation": ({"validation_split": 0.5}, "fit: do_validation: False then, True now"),
    "the layers": ({"units": 3}, "model: layer 1, Dense: units: 2 then, 3 now"),
    "the optimizer": ({"optimizer": "sgd"}, "compile: optimizer: 'Adam' then, 'SGD' now"),
    "the loss": ({"loss": "mae"}, "compile: loss: 'mse' then, 'mae' now"),
    "the callbacks": ({"own": [EarlyStopping("loss")]}, r"fit: callbacks: \['BaseLogger', 'BackupAndRestore', "),
    "the first epoch": ({"initial_epoch": 1}, "fit: initial_epoch: 0 then, 1 now"),
}


def short(folder, units=2, optimizer="adam", loss="mse", own=(), **arguments):
    model = Sequential([layers.Dense(units, input_dim=4), layers.Dense(1)])
    model.compile(optimizer, loss, metrics=[metrics.mean_absolute_error])
    arguments = {"x": X, "y": Y, "batch_size": 8, "epochs": 2, "verbose": 0, **arguments}
    keep = BackupAndRestore(folder / "b", delete_checkpoint=False)
    return model.fit(callbacks=[keep, *own], **arguments)


@pytest.mark.parametrize("case", DIFFERENT)
def test_what_differs_from_the_training_in_the_file_is_named(case, tmp_path):
    short(tmp_path)
    changes, message = DIFFERENT[case]
    with pytest.raises(ValueError, match=rf"training.npz was begun under other conditions(.|\n)*{message}"):
        short(tmp_path, **changes)


def test_a_model_made_again_in_the_same_process_has_other_names_and_is_the_same(tmp_path):
    short(tmp_path)
    assert len(short(tmp_path, epochs=3).epoch) == 3


def test_a_generator_that_cant_go_back_is_warned_of(tmp_path):
    model = Sequential([layers.Dense(1, input_dim=4)])
    model.compile("sgd", "mse")
    with pytest.warns(RuntimeWarning, match="the training data come from a generator, which can't go back"):
        model.fit_generator(itertools.repeat((X, Y)), 2, verbose=0, callbacks=[BackupAndRestore(tmp_path / "b")])


@pytest.mark.parametrize("workers", [0, 1])
def test_an_iterator_that_says_where_it_stands_is_gone_on_with(workers, tmp_path):
    class Rows:
        def __init__(self):
            self.rng = np.random.default_rng(0)

        def __iter__(self):
            return self

        def __next__(self):
            rows = self.rng.integers(0, 40, 8)
            return X[rows], Y[rows]

        def get_state(self):
            return dict(self.rng.bit_generator.state)

        def set_state(self, state):
            self.rng.bit_generator.state = state

    arguments = {"feed": Rows, "steps_per_epoch": 4, "workers": workers}
    assert_same(broken_off(tmp_path, [5, 3], **arguments), train(tmp_path / "whole", **arguments))


def test_rows_of_the_log_that_are_lost_are_warned_of(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path, after=12)
    (tmp_path / "log.csv").write_text("")
    with pytest.warns(RuntimeWarning, match=r"log.csv' has 0 bytes, and had \d+ when the training was broken off"):
        train(tmp_path)


def test_a_damaged_file_is_named_and_the_one_before_is_taken_where_it_was_kept(tmp_path):
    short(tmp_path)
    path = tmp_path / "b" / "training.npz"
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(ModelFileError, match=r"training.npz is damaged.*Remove it to begin anew"):
        short(tmp_path)


def test_the_file_before_the_last_is_kept_on_demand(tmp_path):
    def run(epochs):
        minikeras.set_seed(0)
        model = Sequential([layers.Dense(1, input_dim=4)])
        model.compile("adam", "mse")
        keep = BackupAndRestore(tmp_path / "b", double_checkpoint=True, delete_checkpoint=False)
        return model.fit(X, Y, epochs=epochs, verbose=0, callbacks=[keep]).history["loss"]

    whole = run(4)
    path = tmp_path / "b" / "training.npz"
    path.write_bytes(b"PK nothing")
    with pytest.warns(RuntimeWarning, match="The one before is taken"):
        assert run(4) == whole


def test_an_optimizer_of_all_samples_at_once_is_refused(tmp_path):
    model = Sequential([layers.Dense(1, input_dim=4)])
    model.compile(ScipyOptimizer("L-BFGS-B"), "mse")
    with pytest.raises(ValueError, match="ScipyOptimizer takes all samples at once"):
        model.fit(X, Y, verbose=0, callbacks=[BackupAndRestore(tmp_path / "b")])


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"backup_dir": ""}, ValueError, "backup_dir must be the path of a folder. Received: ''"),
        ({"backup_dir": None}, TypeError, "backup_dir must be a path, as a str or an os.PathLike. Received: None"),
        ({"save_freq": "batch"}, ValueError, "save_freq must be 'epoch' or a number of batches. Received: 'batch'"),
        ({"save_freq": 0}, ValueError, "save_freq must be a positive integer. Received: 0"),
        ({"save_freq": 1.5}, ValueError, "save_freq must be a positive integer. Received: 1.5"),
        ({"delete_checkpoint": "no"}, TypeError, "delete_checkpoint must be"),
    ],
)
def test_a_wrong_argument_is_named(arguments, error, message):
    with pytest.raises(error, match=f"BackupAndRestore: {message}"):
        BackupAndRestore(**{"backup_dir": "b", **arguments})


def test_a_file_is_no_folder_for_backups(tmp_path):
    (tmp_path / "b").write_text("mine", encoding="utf-8")
    with pytest.raises(NotADirectoryError, match=r"BackupAndRestore: backup_dir must be a folder. Received: '.*b'"):
        short(tmp_path)
    assert (tmp_path / "b").read_text(encoding="utf-8") == "mine"


def test_a_file_whose_content_makes_no_sense_is_refused_with_its_name(tmp_path):
    short(tmp_path)
    path = tmp_path / "b" / "training.npz"
    kept = read_state(path, 1)
    for change in (
        {"weights": kept["run"]["weights"][:-1]},
        {"epoch": "soon"},
        {"random": {}},
        {"callbacks": {"History 1": {"on_epoch_end": 3}}},
        {"callbacks": {"History 1": {"__class__": 3}}},
    ):
        write_state(path, {**kept, "run": {**kept["run"], **change}}, 1)
        with pytest.raises(ModelFileError, match=r"training.npz"):
            short(tmp_path, epochs=3)


def test_a_model_that_its_first_batch_builds_is_taken_up_too(tmp_path):
    def run(folder, after):
        minikeras.set_seed(1)
        model = Sequential([layers.Dense(3), layers.Dropout(0.5), layers.Dense(1)])
        model.compile("adam", "mse", metrics=["mae"])
        keep = BackupAndRestore(tmp_path / folder, save_freq=1)
        model.fit(Batches("order"), epochs=2, verbose=0, callbacks=[keep, Break(after)])
        return model.get_weights()

    with pytest.raises(KeyboardInterrupt):
        run("pieces", 3)
    assert all(map(np.array_equal, run("pieces", 99), run("whole", 99)))

from __future__ import annotations

import numpy as np
import pytest

from minikeras import Sequential, callbacks, layers
from minikeras.callbacks import Averages, Callback, CallbackList, History


class Journal(Callback):
    """Writes down every hook."""

    def __init__(self):
        self.entries = []

    def on_train_begin(self, logs=None):
        self.entries.append(("train begins", dict(logs)))

    def on_train_end(self, logs=None):
        self.entries.append(("train ends", dict(logs)))

    def on_epoch_begin(self, epoch, logs=None):
        self.entries.append((f"epoch {epoch} begins", dict(logs)))

    def on_epoch_end(self, epoch, logs=None):
        self.entries.append((f"epoch {epoch} ends", dict(logs)))

    def on_batch_begin(self, batch, logs=None):
        self.entries.append((f"batch {batch} begins", dict(logs)))

    def on_batch_end(self, batch, logs=None):
        self.entries.append((f"batch {batch} ends", dict(logs)))


def train(*own, epochs=1, samples=6, **arguments):
    model = Sequential([layers.Dense(1, input_dim=1)])
    model.compile("sgd", "mse", metrics=["mae"])
    x = np.arange(float(samples))
    arguments = {"verbose": 0, "batch_size": 4, **arguments}
    return model, model.fit(x, x, epochs=epochs, callbacks=list(own), **arguments)


def test_hooks_are_called_in_order():
    journal = Journal()
    train(journal, epochs=2)
    epoch = ["batch 0 begins", "batch 0 ends", "batch 1 begins", "batch 1 ends"]
    assert [name for name, _ in journal.entries] == [
        "train begins",
        "epoch 0 begins",
        *epoch,
        "epoch 0 ends",
        "epoch 1 begins",
        *epoch,
        "epoch 1 ends",
        "train ends",
    ]


def test_logs_of_batches_have_their_number_size_and_values():
    journal = Journal()
    train(journal)
    logs = dict(journal.entries)
    assert logs["batch 1 begins"] == {"batch": 1, "size": 2}
    assert list(logs["batch 1 ends"]) == ["batch", "size", "loss", "mean_absolute_error"]


def test_logs_of_epochs_are_means_over_samples_and_validation_comes_last():
    journal = Journal()
    train(journal, validation_split=0.2, samples=10)
    logs = dict(journal.entries)
    epoch = logs["epoch 0 ends"]
    assert list(epoch) == ["loss", "mean_absolute_error", "val_loss", "val_mean_absolute_error"]
    batches = [logs["batch 0 ends"], logs["batch 1 ends"]]
    assert [batch["size"] for batch in batches] == [4, 4]
    assert epoch["loss"] == pytest.approx(sum(batch["loss"] for batch in batches) / 2)


def test_callbacks_know_model_parameters_and_validation_data():
    class Look(Callback):
        def on_train_begin(self, logs=None):
            self.found = (self.model, self.params["samples"], self.validation_data[0].shape)

    look = Look()
    model, _ = train(look, validation_split=0.5, samples=10)
    assert look.found == (model, 5, (5, 1))


def test_stop_training_ends_the_epoch_without_validation():
    class Stop(Callback):
        def on_batch_end(self, batch, logs=None):
            self.model.stop_training = True

    journal = Journal()
    _, history = train(Stop(), journal, epochs=3, samples=10, validation_split=0.1)
    assert history.epoch == [0]
    assert list(history.history) == ["loss", "mean_absolute_error"]
    assert [name for name, _ in journal.entries][-3:] == ["batch 0 ends", "epoch 0 ends", "train ends"]


def test_stop_training_at_the_end_of_an_epoch_ends_the_training():
    class Stop(Callback):
        def on_epoch_end(self, epoch, logs=None):
            self.model.stop_training = epoch == 1

    _, history = train(Stop(), epochs=5)
    assert history.epoch == [0, 1]
    assert len(train(epochs=2)[1].epoch) == 2  # the next fit is not stopped


def test_what_a_callback_adds_to_the_logs_is_kept():
    class Rate(Callback):
        def on_epoch_end(self, epoch, logs=None):
            logs["lr"] = self.model.optimizer.lr / (epoch + 1)

    _, history = train(Rate(), epochs=2)
    assert [float(value) for value in history.history["lr"]] == [0.01, 0.005]


def test_a_history_starts_anew_with_each_training():
    history = History()
    for _ in range(2):
        history.on_train_begin()
        history.on_epoch_end(4, {"loss": 1.0})
    assert (history.epoch, history.history) == ([4], {"loss": [1.0]})


def test_a_list_calls_all_and_can_grow():
    one, other = Journal(), Journal()
    both = CallbackList([one])
    both.append(other)
    both.on_epoch_begin(3, {"a": 1})
    assert one.entries == other.entries == [("epoch 3 begins", {"a": 1})]


def test_a_list_takes_callbacks_only():
    with pytest.raises(TypeError, match=r"callbacks must be a list of Callback objects. Received: 'x'"):
        CallbackList(["x"])


def test_fit_takes_a_list_of_callbacks_only():
    model = Sequential([layers.Dense(1, input_dim=2)])
    model.compile("sgd", "mse")
    with pytest.raises(TypeError, match=r"callbacks must be a list of Callback objects. Received: <.*History"):
        model.fit(np.zeros((2, 2)), np.zeros(2), verbose=0, callbacks=History())


def test_a_callback_of_functions_knows_its_hooks_and_keeps_other_attributes():
    assert callbacks.LambdaCallback(path="x.csv", on_batch_end=print).path == "x.csv"
    with pytest.raises(TypeError, match="no hook 'on_epoch', only on_epoch_begin, on_epoch_end"):
        callbacks.LambdaCallback(on_epoch=print)


def test_averages_count_samples():
    averages = Averages()
    assert averages.means() == {}
    averages.add({"a": 1.0, "b": 2.0}, 1)
    averages.add({"a": 4.0, "b": 2.0}, 2)
    assert averages.means() == {"a": 3.0, "b": 2.0}


@pytest.mark.parametrize("verbose", [1, 2, True])
def test_each_epoch_prints_a_line_with_all_values(verbose, capsys):
    train(epochs=2, samples=10, validation_split=0.2, verbose=verbose)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2
    assert lines[1].startswith("Epoch 2/2  2/2  loss ")
    positions = [lines[1].index(f"  {name} ") for name in ("loss", "mean_absolute_error", "val_loss")]
    assert positions == sorted(positions)


def test_verbose_0_prints_nothing(capsys):
    model, _ = train(epochs=2, validation_split=0.5)
    model.evaluate([1.0], [1.0], verbose=0)
    model.predict([1.0])
    assert capsys.readouterr() == ("", "")


def test_the_logger_can_be_given_by_the_user(capsys):
    train(callbacks.ProgbarLogger(), epochs=1)
    assert capsys.readouterr() == ("", "")  # as verbose is 0

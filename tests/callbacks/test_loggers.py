from __future__ import annotations

import numpy as np
import pytest

from minikeras import callbacks
from minikeras.callbacks import Averages, Callback, CSVLogger, LambdaCallback, ProgbarLogger
from tests.models.small import blobs, classifier, linear


def fit(*own, epochs=2, initial_epoch=0, **arguments):
    model = linear(weights=(1.0,), bias=0.0, metrics=["mae"])
    x = np.arange(10.0)
    arguments = {"verbose": 0, "batch_size": 4, **arguments}
    return model.fit(x, x, epochs=epochs, initial_epoch=initial_epoch, callbacks=list(own), **arguments)


def test_functions_are_called_as_hooks_and_keywords_become_attributes():
    seen = []
    hooks = {
        name: (lambda *a, name=name: seen.append(name))
        for name in (
            "on_train_begin",
            "on_epoch_begin",
            "on_batch_begin",
            "on_batch_end",
            "on_epoch_end",
            "on_train_end",
        )
    }
    callback = LambdaCallback(**hooks, note="mine")
    fit(callback, epochs=1, batch_size=10)
    assert seen == list(hooks)
    assert callback.note == "mine"


def test_a_hook_must_be_a_function():
    with pytest.raises(TypeError, match=r"LambdaCallback: on_epoch_end must be a function. Received: 3"):
        LambdaCallback(on_epoch_end=3)


def test_a_csv_file_has_a_row_for_each_epoch_with_names_in_order(tmp_path):
    path = tmp_path / "log.csv"
    history = fit(CSVLogger(path, separator=";"), validation_split=0.2).history
    header, *rows = path.read_text().splitlines()
    assert header == "epoch;loss;mean_absolute_error;val_loss;val_mean_absolute_error"
    assert [row.split(";")[0] for row in rows] == ["0", "1"]
    assert [float(row.split(";")[1]) for row in rows] == history["loss"]


def test_appending_resumes_under_the_same_header(tmp_path):
    path = tmp_path / "log.csv"
    fit(CSVLogger(path, append=True))
    path.write_text(path.read_text().rstrip("\n"))  # as if the last write had been cut off
    fit(CSVLogger(path, append=True), epochs=4, initial_epoch=2)
    lines = path.read_text().splitlines()
    assert [line.split(",")[0] for line in lines] == ["epoch", "0", "1", "2", "3"]
    fit(CSVLogger(path))
    assert len(path.read_text().splitlines()) == 3  # begun anew


def test_columns_of_a_resumed_file_stay_where_they_are(tmp_path):
    path = tmp_path / "log.csv"
    path.write_text("epoch,gone,loss\n")
    history = fit(CSVLogger(path, append=True), epochs=1).history
    assert path.read_text().splitlines()[1] == f"0,NA,{history['loss'][0]}"


def test_an_epoch_without_validation_has_na(tmp_path):
    class Stop(Callback):
        def on_batch_end(self, batch, logs=None):
            self.model.stop_training = len(self.model.history.epoch) == 1

    path = tmp_path / "log.csv"
    fit(CSVLogger(path), Stop(), validation_split=0.2)
    assert path.read_text().splitlines()[2].endswith(",NA,NA")


def test_several_numbers_are_written_in_brackets(tmp_path):
    path = tmp_path / "log.csv"
    add = LambdaCallback(on_epoch_end=lambda epoch, logs: logs.update(a=np.array([1, 2]), b="x", c=np.array(3)))
    fit(add, CSVLogger(path, separator=";"), epochs=1)
    assert path.read_text().splitlines()[1].split(";")[1:4] == ['"""[1, 2]"""', "x", "3"]


def test_a_file_that_is_no_log_is_not_resumed(tmp_path):
    path = tmp_path / "log.csv"
    path.write_text("name,age\nTim,3\n")
    with pytest.raises(ValueError, match=r"whose header begins with 'epoch,'. Received: .*'name,age'"):
        fit(CSVLogger(path, append=True))
    assert path.read_text() == "name,age\nTim,3\n"


def test_a_separator_is_one_character():
    with pytest.raises(ValueError, match=r"CSVLogger: separator must be one character. Received: ', '"):
        CSVLogger("log.csv", ", ")


def test_the_bar_counts_samples_or_steps(capsys):
    fit(ProgbarLogger(), verbose=2, epochs=1)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("Epoch 1/1  3/3  ")
    assert lines[1].startswith("Epoch 1/1  10/10  ")
    with pytest.raises(ValueError, match="count_mode must be one of 'samples', 'steps'"):
        ProgbarLogger("epochs")


def test_of_a_total_the_last_value_counts():
    averages = Averages(["total"])
    averages.add({"total": 1, "loss": 1.0}, 1)
    averages.add({"total": 5, "loss": 3.0}, 1)
    assert averages.means() == {"total": 5, "loss": 2.0}


def test_the_remote_monitor_says_what_to_use():
    with pytest.raises(ImportError, match=r"RemoteMonitor isn't part of minikeras: send the logs .* LambdaCallback"):
        from minikeras.callbacks import RemoteMonitor  # noqa: F401
    with pytest.raises(AttributeError, match="no attribute 'RemoteMonitors'"):
        callbacks.RemoteMonitors  # noqa: B018


def test_callbacks_are_closed_however_training_ends():
    class Closing(Callback):
        closed = 0

        def close(self):
            self.closed += 1

        def on_epoch_end(self, epoch, logs=None):
            if epoch == 1:
                raise KeyboardInterrupt

    callback = Closing()
    fit(callback, epochs=1)
    assert callback.closed == 1
    with pytest.raises(KeyboardInterrupt):
        fit(callback, epochs=3)
    assert callback.closed == 2


def test_validation_data_are_inputs_targets_and_weights():
    x, labels = blobs(samples=10)
    seen = []
    look = LambdaCallback(on_train_begin=lambda logs: seen.extend(look.validation_data))
    classifier().fit(x, labels, validation_data=(x[:4], labels[:4]), callbacks=[look], verbose=0)
    assert [array.shape for array in seen] == [(4, 2), (4, 1), (4,)]
    np.testing.assert_array_equal(seen[2], 1.0)

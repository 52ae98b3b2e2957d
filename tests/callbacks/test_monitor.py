"""EarlyStopping and ModelCheckpoint, against simulations by hand."""

from __future__ import annotations

import errno
import math

import numpy as np
import pytest

from minikeras.callbacks import Callback, EarlyStopping, ModelCheckpoint
from minikeras.models import load_model
from tests.models.small import linear


class Play(Callback):
    """Puts given values into the logs, epoch by epoch, and makes the weights tell the epoch."""

    def __init__(self, name, values):
        self.name, self.values = name, values

    def on_epoch_end(self, epoch, logs=None):
        self.model.set_weights([np.full((1, 1), float(epoch)), np.zeros(1)])
        if self.values[epoch] is not None:
            logs[self.name] = self.values[epoch]


def play(values, *callbacks, name="val_loss"):
    model = linear(weights=(0.0,), bias=0.0)
    history = model.fit([0.0], [0.0], epochs=len(values), callbacks=[Play(name, values), *callbacks], verbose=0)
    return model, history


def stops_at(values, patience=0, min_delta=0.0, best=math.inf, sign=1):
    """The number of the last epoch, simulated: best so far, and a count of epochs without improvement."""
    waited = 0
    for epoch, value in enumerate(values):
        if sign * value + min_delta < best:
            best, waited = sign * value, 0
        else:
            waited += 1
            if waited >= patience:
                return epoch
    return len(values) - 1


WALK = [5.0, 4.0, 4.5, 4.4, 3.0, 3.0, 2.95, 3.1, 3.2, 3.3, 1.0, 1.1]


@pytest.mark.parametrize("patience", [0, 1, 2, 3, 5, 20])
@pytest.mark.parametrize("min_delta", [0.0, 0.1, 2.0])
def test_early_stopping_stops_where_a_simulation_does(patience, min_delta):
    stopping = EarlyStopping(patience=patience, min_delta=min_delta)
    _, history = play(WALK, stopping)
    assert history.epoch[-1] == stops_at(WALK, patience, min_delta)


@pytest.mark.parametrize(("monitor", "mode"), [("val_acc", "auto"), ("fmeasure", "auto"), ("score", "max")])
def test_what_should_rise_stops_when_it_falls(monitor, mode):
    rising = [-value for value in WALK]
    _, history = play(rising, EarlyStopping(monitor, patience=2, mode=mode), name=monitor)
    assert history.epoch[-1] == stops_at(WALK, 2)


def test_a_baseline_must_be_improved_on():
    _, history = play([5.0, 4.0, 3.0, 2.0], EarlyStopping(patience=2, baseline=3.5))
    assert history.epoch[-1] == 1 == stops_at([5.0, 4.0, 3.0, 2.0], 2, best=3.5)


def test_nan_is_no_improvement():
    _, history = play([3.0, math.nan, math.nan, 1.0], EarlyStopping(patience=2))
    assert history.epoch[-1] == 2


@pytest.mark.parametrize(("values", "patience"), [([3.0, 1.0, 2.0, 2.5], 2), ([3.0, 1.0, 2.0], 5)])
def test_the_best_weights_come_back_also_when_epochs_run_out(values, patience, capsys):
    stopping = EarlyStopping(patience=patience, restore_best_weights=True, verbose=1)
    model, history = play(values, stopping)
    assert len(history.epoch) == len(values)
    assert model.get_weights()[0].item() == 1.0
    out = capsys.readouterr().out
    assert "Restoring model weights from the end of the best epoch" in out
    assert ("Epoch 00004: early stopping" in out) == (patience == 2)


def test_without_restoring_the_last_weights_stay():
    assert play([3.0, 1.0, 2.0], EarlyStopping(patience=1))[0].get_weights()[0].item() == 2.0


def test_an_early_stopping_can_be_used_again():
    stopping = EarlyStopping(patience=1, restore_best_weights=True)
    play([1.0, 2.0], stopping)
    model, history = play([9.0, 8.0, 8.5], stopping)
    assert history.epoch == [0, 1, 2]
    assert model.get_weights()[0].item() == 1.0


def test_a_value_that_is_not_there_is_warned_of_and_changes_nothing():
    with pytest.warns(RuntimeWarning, match=r"EarlyStopping: 'val_loss' is not among the values .* \['loss'\]"):
        _, history = play([None, None], EarlyStopping())
    assert len(history.epoch) == 2


def test_a_checkpoint_of_every_epoch_has_its_number_and_values_in_its_name(tmp_path):
    play([0.5, 0.25], ModelCheckpoint(tmp_path / "m.{epoch:02d}-{val_loss:.2f}.npz"))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["m.01-0.50.npz", "m.02-0.25.npz"]
    assert load_model(tmp_path / "m.02-0.25.npz").get_weights()[0].item() == 1.0


def test_only_the_best_is_kept(tmp_path, capsys):
    path = tmp_path / "best.npz"
    play([3.0, 1.0, 2.0], ModelCheckpoint(path, save_best_only=True, verbose=1))
    assert load_model(path).get_weights()[0].item() == 1.0
    assert capsys.readouterr().out.splitlines() == [
        f"Epoch 00001: val_loss improved from inf to 3.00000, saving model to {path}",
        f"Epoch 00002: val_loss improved from 3.00000 to 1.00000, saving model to {path}",
        "Epoch 00003: val_loss did not improve from 1.00000",
    ]


def test_the_best_accuracy_is_the_largest(tmp_path):
    path = tmp_path / "best.npz"
    play([0.3, 0.9, 0.5], ModelCheckpoint(path, "val_acc", save_best_only=True), name="val_acc")
    assert load_model(path).get_weights()[0].item() == 1.0


def test_the_best_of_what_is_not_there_is_not_saved(tmp_path):
    with pytest.warns(RuntimeWarning, match="ModelCheckpoint: 'val_loss' is not among"):
        play([None], ModelCheckpoint(tmp_path / "best.npz", save_best_only=True))
    assert list(tmp_path.iterdir()) == []


def test_weights_alone_are_saved_every_second_epoch(tmp_path):
    play([1.0] * 5, ModelCheckpoint(str(tmp_path / "{epoch}.npz"), save_weights_only=True, period=2))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["2.npz", "4.npz"]
    model = linear(weights=(7.0,))
    model.load_weights(tmp_path / "4.npz")
    assert model.get_weights()[0].item() == 3.0
    with pytest.raises(ValueError, match="holds no model"):
        load_model(tmp_path / "4.npz")


def test_every_few_batches_are_counted_on_from_epoch_to_epoch(tmp_path):
    checkpoint = ModelCheckpoint(tmp_path / "{epoch}-{batch}.npz", save_freq=2)
    linear(weights=(1.0,)).fit(np.zeros(3), np.zeros(3), batch_size=1, epochs=3, callbacks=[checkpoint], verbose=0)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["1-2.npz", "2-1.npz", "2-3.npz", "3-2.npz"]


def test_only_what_is_better_than_the_threshold_is_saved(tmp_path):
    checkpoint = ModelCheckpoint(tmp_path / "{epoch}.npz", save_best_only=True, initial_value_threshold=2.0)
    play([3.0, 2.0, 1.0, 1.5, 0.5], checkpoint)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["3.npz", "5.npz"]


def test_folders_on_the_way_are_made(tmp_path):
    play([1.0], ModelCheckpoint(tmp_path / "runs" / "{epoch}" / "m.npz"))
    assert (tmp_path / "runs" / "1" / "m.npz").exists()


@pytest.mark.parametrize(
    ("name", "weights"),
    [("m.h5", False), ("m.keras", False), ("m.h5", True), ("m.weights.h5", True), ("m.safetensors", True)],
)
def test_a_checkpoint_of_any_format_is_written_whole_or_not_at_all(name, weights, tmp_path, monkeypatch):
    pytest.importorskip("h5py")
    path = tmp_path / name
    play([1.0], ModelCheckpoint(path, save_weights_only=weights))
    before = path.read_bytes()

    def broken(descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.fsync", broken)
    with pytest.raises(OSError, match=rf"No space left on device: it could not be written.*{name}"):
        play([1.0], ModelCheckpoint(path, save_weights_only=weights))
    assert path.read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir()] == [name]


WRONG = {
    "a mode": (ValueError, lambda: EarlyStopping(mode="up"), "EarlyStopping: mode must be one of 'auto', 'min', 'max'"),
    "a patience": (ValueError, lambda: EarlyStopping(patience=-1), "patience must be an integer of at least 0"),
    "a baseline": (TypeError, lambda: EarlyStopping(baseline="low"), "EarlyStopping: baseline must be a number"),
    "a delta": (TypeError, lambda: EarlyStopping(min_delta=None), "EarlyStopping: min_delta must be a number"),
    "a period": (ValueError, lambda: ModelCheckpoint("a.npz", period=0), "ModelCheckpoint: period must be a positive"),
    "a frequency": (
        ValueError,
        lambda: ModelCheckpoint("a.npz", save_freq="batch"),
        "ModelCheckpoint: save_freq must be 'epoch' or a number of batches. Received: 'batch'",
    ),
    "no batches": (ValueError, lambda: ModelCheckpoint("a.npz", save_freq=0), "ModelCheckpoint: save_freq must be a"),
    "two frequencies": (
        ValueError,
        lambda: ModelCheckpoint("a.npz", save_freq=3, period=2),
        "period counts epochs and save_freq batches: give one of them. Received: period=2, save_freq=3",
    ),
    "a threshold": (
        TypeError,
        lambda: ModelCheckpoint("a.npz", initial_value_threshold="low"),
        "ModelCheckpoint: initial_value_threshold must be a number",
    ),
    "a suffix": (
        ValueError,
        lambda: ModelCheckpoint("weights.{epoch}.txt"),
        "the path must end in '.npz', '.keras', '.h5' or '.hdf5'. Received: 'weights.{epoch}.txt'",
    ),
    "weights to a file of whole models": (
        ValueError,
        lambda: ModelCheckpoint("{epoch}.keras", save_weights_only=True),
        "ModelCheckpoint: a .keras file holds a whole model: model.save writes it.",
    ),
    "no path": (
        TypeError,
        lambda: ModelCheckpoint(None),
        "ModelCheckpoint: filepath must be a path, as a str or an os.PathLike. Received: None",
    ),
    "an unknown value": (
        ValueError,
        lambda: play([1.0], ModelCheckpoint("{val_acc}.npz")),
        "filepath may name epoch and the values of this epoch, ['loss', 'val_loss']. Received: '{val_acc}.npz'",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_the_message_of(case):
    error, call, message = WRONG[case]
    with pytest.raises(error) as caught:
        call()
    assert message in str(caught.value)

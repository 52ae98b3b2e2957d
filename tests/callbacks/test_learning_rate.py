from __future__ import annotations

import numpy as np
import pytest

from minikeras import backend
from minikeras.callbacks import Callback, LearningRateScheduler, ReduceLROnPlateau
from tests.callbacks.test_monitor import WALK, play
from tests.models.small import linear


def rates(values, *callbacks, **keywords):
    return play(values, *callbacks, **keywords)[1].history["lr"]


def test_a_schedule_of_the_epoch_sets_the_rate_before_it():
    class Look(Callback):
        def on_batch_begin(self, batch, logs=None):
            seen.append(float(self.model.optimizer.lr))

    seen = []
    assert rates([1.0] * 3, LearningRateScheduler(lambda epoch: 0.1 / (epoch + 1)), Look()) == seen
    assert seen == [0.1, 0.05, 0.1 / 3]


def test_a_schedule_may_go_by_the_rate_so_far(capsys):
    schedule = LearningRateScheduler(lambda epoch, lr: lr / 2 if epoch else np.float32(1.0), verbose=1)
    assert rates([1.0] * 3, schedule) == [1.0, 0.5, 0.25]
    last = capsys.readouterr().out.splitlines()[-1]
    assert last == "Epoch 00003: LearningRateScheduler setting learning rate to 0.25."


def test_the_rate_is_a_variable_of_the_backend():
    class Halve(Callback):
        def on_epoch_end(self, epoch, logs=None):
            rate = backend.get_value(self.model.optimizer.lr)
            backend.set_value(self.model.optimizer.lr, rate / 2)
            seen.append(float(rate))

    seen = []
    play([1.0] * 3, Halve())
    assert seen == [0.01, 0.005, 0.0025]


def reduced(values, factor, patience, min_delta, cooldown, min_lr, lr=0.01):
    """The rates after each epoch, simulated after the documentation."""
    best, waited, resting, found = float("inf"), 0, 0, []
    for value in values:
        found.append(lr)
        if resting:
            resting -= 1
            waited = 0
        if value < best - min_delta:
            best, waited = value, 0
        elif not resting:
            waited += 1
            if waited >= patience and lr > min_lr:
                lr = max(lr * factor, min_lr)
                resting, waited = cooldown, 0
    return found


@pytest.mark.parametrize("patience", [0, 1, 2])
@pytest.mark.parametrize("cooldown", [0, 1, 3])
@pytest.mark.parametrize("min_delta", [0.0, 0.3])
def test_the_rate_on_a_plateau_is_that_of_a_simulation(patience, cooldown, min_delta):
    arguments = {"factor": 0.5, "patience": patience, "min_delta": min_delta, "cooldown": cooldown, "min_lr": 0.001}
    assert rates(WALK, ReduceLROnPlateau(**arguments)) == pytest.approx(reduced(WALK, **arguments))


def test_a_plateau_of_accuracies_is_where_they_do_not_rise(capsys):
    values = [0.5, 0.6, 0.6, 0.7]
    assert rates(values, ReduceLROnPlateau("acc", patience=1, verbose=1), name="acc") == pytest.approx(
        [0.01] * 3 + [0.001]
    )
    assert capsys.readouterr().out == "Epoch 00003: ReduceLROnPlateau reducing learning rate to 0.001.\n"


def test_epsilon_is_min_delta_with_a_warning():
    with pytest.warns(UserWarning, match="epsilon is called min_delta now"):
        assert ReduceLROnPlateau(epsilon=0.5).min_delta == 0.5


def test_a_plateau_of_what_is_not_there_is_warned_of():
    with pytest.warns(RuntimeWarning, match="ReduceLROnPlateau: 'val_loss' is not among"):
        assert rates([None] * 3, ReduceLROnPlateau(patience=0)) == [0.01] * 3


@pytest.mark.parametrize(
    ("error", "make", "message"),
    [
        (ValueError, lambda: ReduceLROnPlateau(factor=1.0), r"ReduceLROnPlateau: factor must be a number in \(0, 1\)"),
        (ValueError, lambda: ReduceLROnPlateau(cooldown=-1), "ReduceLROnPlateau: cooldown must be an integer of"),
        (ValueError, lambda: ReduceLROnPlateau(min_lr=-1.0), "ReduceLROnPlateau: min_lr must be a number"),
        (TypeError, lambda: LearningRateScheduler(0.1), "schedule must be a function of the epoch. Received: 0.1"),
    ],
)
def test_wrong_arguments_are_refused(error, make, message):
    with pytest.raises(error, match=message):
        make()


def test_a_schedule_must_give_a_number():
    with pytest.raises(TypeError, match=r"the schedule must give a number. Received: None"):
        linear().fit(np.eye(2), [0.0, 1.0], callbacks=[LearningRateScheduler(lambda epoch: None)], verbose=0)

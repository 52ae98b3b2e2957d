from __future__ import annotations

import io
import sys

import pytest

from minikeras.utils import Progbar, progbar


class Clock:
    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 100.0
        monkeypatch.setattr(progbar.time, "perf_counter", lambda: self.now)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


def test_the_bar_grows_with_the_steps_and_shows_mean_values(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    bar = Progbar(10, width=10)
    for step, loss in ((2, 4.0), (5, 2.0), (10, 1.0)):
        clock.now += 2.0
        bar.update(step, [("loss", loss)])
    assert capsys.readouterr().out.splitlines() == [
        " 2/10 [=>........] - ETA: 8s - loss: 4.0000",
        " 5/10 [====>.....] - ETA: 4s - loss: 2.8000",  # (2·4 + 3·2) / 5
        "10/10 [==========] - 6s 600ms/step - loss: 1.9000",  # (2·4 + 3·2 + 5·1) / 10
    ]


def test_add_goes_on_from_the_last_step(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    bar = Progbar(4, width=4)
    bar.add(1)
    clock.now += 1
    bar.add(3)
    assert capsys.readouterr().out == "1/4 [>...] - ETA: 0s\n4/4 [====] - 1s 250ms/step\n"


def test_stateful_values_are_shown_as_they_are(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    bar = Progbar(2, verbose=2, stateful_metrics=["auc"])
    bar.update(1, [("auc", 0.5), ("acc", 0.5)])
    bar.update(2, [("auc", 0.75), ("acc", 1.0)])
    assert capsys.readouterr().out == " - 0s - auc: 0.7500 - acc: 0.7500\n"


def test_states_come_at_the_interval_only_and_the_last_in_any_case(
    clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    bar = Progbar(100, interval=1.0)
    for step in range(1, 101):
        clock.now += 0.03
        bar.update(step)
    assert [line.split("/")[0].strip() for line in capsys.readouterr().out.splitlines()] == ["1", "35", "69", "100"]


def test_without_a_target_the_steps_done_are_shown(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    bar = Progbar(None)
    clock.now += 6
    bar.update(3, [("loss", 0.0001)])
    assert capsys.readouterr().out == "      3/Unknown - 6s 2s/step - loss: 1.0000e-04\n"


@pytest.mark.parametrize(
    ("seconds", "shown"), [(0.5, "ETA: 49s"), (10, "ETA: 16:30"), (100, "ETA: 2:45:00"), (0, "ETA: 0s")]
)
def test_the_time_that_is_left(seconds: float, shown: str, clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    bar = Progbar(100)
    clock.now += seconds
    bar.update(1)
    assert capsys.readouterr().out.rstrip().endswith(shown)


def test_quick_steps_are_shown_in_microseconds(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    bar = Progbar(1000)
    clock.now += 0.25
    bar.update(1000)
    assert capsys.readouterr().out.endswith("] - 0s 250us/step\n")


def test_on_a_terminal_the_bar_is_drawn_over_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    clock = Clock(monkeypatch)
    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    bar = Progbar(2, width=4, interval=0)
    bar.update(1, [("loss", 1.0)])
    clock.now += 1
    bar.update(2)
    first, second = "\r1/2 [=>..] - ETA: 0s - loss: 1.0000", "\r2/2 [====] - 1s 500ms/step - loss: 1.0000\n"
    assert terminal.getvalue() == first + second


def test_verbose_0_is_silent(capsys: pytest.CaptureFixture[str]) -> None:
    Progbar(1, verbose=0).update(1, [("loss", 1)])
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("keywords", "error", "message"),
    [
        ({"target": 1.5}, ValueError, "Progbar: target must be an integer of at least 0. Received: 1.5"),
        ({"target": -1}, ValueError, "target must be an integer of at least 0. Received: -1"),
        ({"target": 1, "width": 0}, ValueError, "width must be a positive integer. Received: 0"),
        ({"target": 1, "verbose": 3}, ValueError, "verbose must be 0, 1 or 2. Received: 3"),
        ({"target": 1, "interval": "1"}, TypeError, "interval must be a number"),
    ],
)
def test_wrong_arguments_are_refused(keywords: dict[str, object], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        Progbar(**keywords)

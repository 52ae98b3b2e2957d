from __future__ import annotations

import io
import re
import sys
import time
from types import SimpleNamespace

import pytest

from minikeras.utils import progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def open_terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """Put a terminal in the place of stderr (not in a fixture: pytest sets its own stderr again before the test)."""
    stderr = Terminal()
    monkeypatch.setattr(sys, "stderr", stderr)
    monkeypatch.setattr(progress, "_SECONDS_BETWEEN_FRAMES", 0)
    return stderr


def run_epoch(verbose: int, total: int | None = 3) -> None:
    with progress.Bar(total, "Epoch 2/5", verbose) as bar:
        for loss in (3.0, 2.0, 1.0):
            bar.update(1, {"loss": loss})
        bar.close({"loss": 1.0, "val_acc": 0.98765})


@pytest.mark.parametrize("verbose", [1, 2])
def test_an_epoch_ends_in_one_line_with_its_steps_metrics_and_time(
    verbose: int, capsys: pytest.CaptureFixture[str]
) -> None:
    run_epoch(verbose)
    out, err = capsys.readouterr()
    assert re.fullmatch(r"Epoch 2/5  3/3  loss 1\.0000  val_acc 0\.9877  \(0\.\d s\)\n", out)
    assert err == ""


def test_verbose_0_is_silent(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    terminal = open_terminal(monkeypatch)
    run_epoch(0)
    assert capsys.readouterr().out + terminal.getvalue() == ""


def test_an_unknown_total_shows_the_steps_done(capsys: pytest.CaptureFixture[str]) -> None:
    run_epoch(2, total=None)
    assert capsys.readouterr().out.startswith("Epoch 2/5  3  loss 1.0000")


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0.5, "0.5000"), (0, "0.0000"), (1234.56789, "1234.5679"), (-0.00012345, "-1.2345e-04"), (float("nan"), "nan")],
)
def test_small_numbers_keep_their_digits(value: float, shown: str, capsys: pytest.CaptureFixture[str]) -> None:
    progress.Bar(1, verbose=2).close({"loss": value})
    assert f"0/1  loss {shown}  (" in capsys.readouterr().out


def test_closing_without_logs_writes_no_line_and_with_empty_logs_the_steps(capsys: pytest.CaptureFixture[str]) -> None:
    progress.Bar(1, verbose=2).close()
    assert capsys.readouterr().out == ""
    progress.Bar(1, verbose=2).close({})
    assert re.fullmatch(r"0/1  \(0\.\d s\)\n", capsys.readouterr().out)


def test_in_a_terminal_a_bar_runs_with_the_metrics_so_far_and_is_gone_at_the_end(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    terminal = open_terminal(monkeypatch)
    pytest.importorskip("tqdm")
    run_epoch(1)
    frames = terminal.getvalue().split("\r")
    assert any("Epoch 2/5" in frame and "2/3" in frame and "loss 2.0000" in frame for frame in frames)
    assert frames[-1].strip() == ""
    assert frames[-2].strip() == ""
    assert capsys.readouterr().out.startswith("Epoch 2/5  3/3  loss 1.0000")


def test_a_bar_that_is_broken_off_is_removed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    terminal = open_terminal(monkeypatch)
    pytest.importorskip("tqdm")
    with pytest.raises(KeyboardInterrupt), progress.Bar(3, "Epoch 1/1") as bar:  # noqa: PT012
        bar.update(1, {})
        raise KeyboardInterrupt
    assert "1/3" in terminal.getvalue()
    assert terminal.getvalue().split("\r")[-2].strip() == ""
    assert capsys.readouterr().out == ""


def test_frames_are_far_apart_however_fast_the_steps_are(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = open_terminal(monkeypatch)
    pytest.importorskip("tqdm")
    monkeypatch.setattr(progress, "_SECONDS_BETWEEN_FRAMES", 3600)
    with progress.Bar(1000) as bar:
        before = len(terminal.getvalue())
        for _ in range(1000):
            bar.update(1, {"loss": 0.0})
        assert len(terminal.getvalue()) == before


def test_without_tqdm_there_is_only_the_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    terminal = open_terminal(monkeypatch)
    monkeypatch.setitem(sys.modules, "tqdm", None)
    run_epoch(1)
    assert terminal.getvalue() == ""
    assert capsys.readouterr().out.startswith("Epoch 2/5  3/3")


def test_a_notebook_without_widgets_gets_only_the_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    terminal = open_terminal(monkeypatch)

    class ZMQInteractiveShell:
        pass

    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=ZMQInteractiveShell))
    monkeypatch.setattr(progress.importlib.util, "find_spec", lambda name: None)
    run_epoch(1)
    assert terminal.getvalue() == ""
    assert capsys.readouterr().out.startswith("Epoch 2/5  3/3")


def test_a_process_without_stderr_gets_only_the_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stderr", None)
    run_epoch(1)
    assert capsys.readouterr().out.startswith("Epoch 2/5  3/3")


@pytest.mark.parametrize("verbose", [3, -1, "auto", None])
def test_a_wrong_verbose_is_refused(verbose: object) -> None:
    with pytest.raises(ValueError, match=f"verbose must be 0 .*Received: {verbose!r}"):
        progress.Bar(1, verbose=verbose)


def test_an_update_nobody_watches_costs_little() -> None:
    bar = progress.Bar(None)
    start = time.thread_time()  # others may be busy
    for _ in range(10_000):
        bar.update(1, {"loss": 0.0})
    assert (time.thread_time() - start) / 10_000 < 20e-6

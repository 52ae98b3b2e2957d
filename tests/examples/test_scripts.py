"""The example scripts as a person runs them: in a process of their own, judged by what they print."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PNG = b"\x89PNG\r\n\x1a\n"


def run(script: str, *arguments: str, cwd: Path) -> str:
    """Run an example in the folder cwd, return what it prints."""
    home = cwd / "keras"
    home.mkdir()
    result = subprocess.run(
        [sys.executable, str(ROOT / "examples" / script), *arguments],
        cwd=cwd,
        env={**os.environ, "KERAS_HOME": str(home), "MPLBACKEND": "Agg", "PYTHONPATH": str(ROOT), "PYTHONUTF8": "1"},
        capture_output=True,
        encoding="utf-8",
        timeout=900,  # far more than they need, but machines can be busy
    )
    assert result.returncode == 0, result.stderr
    assert "Warning" not in result.stderr
    return result.stdout


def number(pattern: str, text: str) -> float:
    """Return the number that the group of the pattern matches."""
    match = re.search(pattern, text)
    assert match, text
    return float(match[1])


def test_one_epoch_over_the_digits_gives_an_accuracy_and_a_picture(tmp_path):
    pytest.importorskip("matplotlib")
    text = run("train_digits.py", "--epochs", "1", "--seed", "3", "--output", "curves.png", cwd=tmp_path)
    assert len(re.findall(r"^Epoch ", text, re.MULTILINE)) == 1
    assert number(r"Test accuracy: ([\d.]+)%", text) > 85
    assert f"Learning curves: {tmp_path / 'curves.png'}" in text
    assert (tmp_path / "curves.png").read_bytes().startswith(PNG)


@pytest.mark.slow
def test_the_digits_are_learned(tmp_path):
    pytest.importorskip("matplotlib")
    text = run("train_digits.py", "--verbose", "0", cwd=tmp_path)
    assert number(r"^Test accuracy: ([\d.]+)%", text) >= 97.5
    assert (tmp_path / "digits.png").exists()


def test_the_forecast_of_the_signal_beats_the_naive_one(tmp_path):
    text = run("conv1d_signal.py", "--signals", "800", "--epochs", "5", cwd=tmp_path)
    naive = number(r"naive +([\d.]+)", text)
    network = number(r"network +([\d.]+)", text)
    noise = number(r"noise +([\d.]+)", text)
    assert noise < network < 0.6 * naive


def test_the_solids_are_told_apart(tmp_path):
    text = run("conv3d_shapes.py", "--solids", "500", "--epochs", "3", cwd=tmp_path)
    assert all(re.search(rf"^{kind} +[\d.]+%$", text, re.MULTILINE) for kind in ("sphere", "cube", "cylinder", "ring"))
    assert number(r"Test accuracy: ([\d.]+)%", text) > 50  # guessing gives 25

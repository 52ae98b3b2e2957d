"""The scripts of layers and training, judged by what they print."""

from __future__ import annotations

import re

import pytest

from tests.examples.running import number, run

PNG = b"\x89PNG\r\n\x1a\n"


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

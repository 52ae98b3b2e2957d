"""The forgeries of wgan_gp.py, and what holds its critic's slope."""

from __future__ import annotations

import re

import pytest

from tests.examples.running import number, run


def results(text):
    """Of each seed: distance at most and in the end, slope, scores of untrained, forged and real digits."""
    return [[float(value) for value in re.findall(r"\d+\.\d+", line)] for line in re.findall("seed .*", text)]


def test_a_short_training_lowers_the_distance_with_a_slope_of_about_one(tmp_path):
    pytest.importorskip("matplotlib")
    text = run("wgan_gp.py", "--epochs", "6", "--output", "forged.png", cwd=tmp_path)
    ((most, last, slope, untrained, forged, real),) = results(text)
    assert last < 0.75 * most
    assert 0.9 < slope < 1.15
    assert untrained < forged < real
    assert number(r"Epoch 6/6 - distance ([\d.]+)", text) == pytest.approx(last, abs=0.01)
    assert (tmp_path / "forged.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.slow
def test_every_seed_makes_digits_that_the_judge_tells_apart(tmp_path):
    text = run("wgan_gp.py", "--seeds", "2", "--epochs", "25", cwd=tmp_path)
    for most, last, slope, untrained, forged, real in results(text):
        assert last < most / 3
        assert slope == pytest.approx(1.0, abs=0.05)
        assert max(3.0, untrained) < forged < real

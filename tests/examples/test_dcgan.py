"""The forgeries of dcgan.py, as its judge sees them."""

from __future__ import annotations

import pytest

from tests.examples.running import number, run


@pytest.mark.slow
def test_forged_digits_look_more_like_digits_than_noise_does(tmp_path):
    text = run("dcgan.py", cwd=tmp_path)
    assert number(r"forged digits +([\d.]+)%", text) > number(r"noise +([\d.]+)%", text)
    score = number(r"forged digits +[\d.]+% +([\d.]+)", text)
    assert number(r"noise +[\d.]+% +([\d.]+)", text) < score < number(r"real digits +[\d.]+% +([\d.]+)", text)


def test_a_short_training_leaves_the_untrained_generator_behind(tmp_path):
    text = run("dcgan.py", "--epochs", "6", cwd=tmp_path)
    untrained = number(r"untrained +[\d.]+% +([\d.]+)", text)
    assert number(r"forged digits +[\d.]+% +([\d.]+)", text) > 1.2 * untrained

"""The denoising autoencoder of digits."""

from __future__ import annotations

from tests.examples.running import number, run


def test_the_cleaned_digits_are_nearer_to_the_true_ones(tmp_path):
    text = run("denoising_autoencoder.py", "--copies", "2", "--epochs", "7", cwd=tmp_path)
    noisy, linear, network = (number(rf"{name} +([\d.]+)", text) for name in ("noisy", "linear", "network"))
    assert linear < noisy
    assert network < 0.75 * noisy  # a grey mean of all digits has about the noise's error

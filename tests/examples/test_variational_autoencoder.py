"""The deconvolutional variational autoencoder of variational_autoencoder.py."""

from __future__ import annotations

import pytest

from tests.examples.running import number, run


def test_the_autoencoder_tells_digits_more_briefly_than_pixel_by_pixel(tmp_path):
    text = run("variational_autoencoder.py", "--epochs", "14", cwd=tmp_path)
    assert number(r"autoencoder +([\d.]+)", text) < 0.91 * number(r"pixel by pixel +([\d.]+)", text)


def test_invented_digits_are_drawn(tmp_path):
    pytest.importorskip("PIL")
    text = run("variational_autoencoder.py", "--epochs", "1", "--output", "digits.png", cwd=tmp_path)
    assert f"Invented digits: {tmp_path / 'digits.png'}" in text
    assert (tmp_path / "digits.png").read_bytes().startswith(b"\x89PNG")

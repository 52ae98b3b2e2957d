"""The Siamese network of siamese.py."""

from __future__ import annotations

from tests.examples.running import number, run


def test_the_distance_of_the_network_tells_more_than_that_of_pixels(tmp_path):
    text = run("siamese.py", "--pairs", "4000", "--epochs", "4", cwd=tmp_path)
    assert number(r"network ([\d.]+)%", text) > 90 > number(r"pixels +([\d.]+)%", text) > 50

"""The maps of grad_cam.py."""

from __future__ import annotations

from tests.examples.running import number, run


def test_the_maps_lie_on_the_strokes_that_the_network_needs(tmp_path):
    text = run("grad_cam.py", "--epochs", "4", cwd=tmp_path)
    assert number(r"([\d.]+)% of the maps", text) > 3 * number(r"strokes fill ([\d.]+)%", text)
    at_random = number(r"at random +([\d.]+)%", text)
    assert number(r"where the map says +([\d.]+)%", text) < at_random - 8 < number(r"sees in them: ([\d.]+)%", text)

"""The residual network, beside one without shortcuts."""

from __future__ import annotations

from tests.examples.running import number, run


def test_shortcuts_make_a_deep_network_learn_more(tmp_path):
    text = run("residual_network.py", "--blocks", "4", "--epochs", "2", cwd=tmp_path)
    plain = number(r"Test accuracy of the plain network: ([\d.]+)%", text)
    residual = number(r"Test accuracy of the residual network: ([\d.]+)%", text)
    assert residual > max(plain, 80)

"""L-BFGS and Adam in lbfgs.py."""

from __future__ import annotations

import pytest

from tests.examples.running import number, run


def test_lbfgs_goes_far_below_adam_with_the_same_number_of_steps(tmp_path):
    pytest.importorskip("matplotlib")
    text = run("lbfgs.py", "--iterations", "25", "--output", "losses.png", cwd=tmp_path)
    at_once = number(r"L-BFGS +loss ([\d.]+)", text)
    assert at_once < 0.3 < number(r"Adam, all at once +loss ([\d.]+)", text)
    assert number(r"L-BFGS .*unseen digits +([\d.]+)%", text) > 90
    assert number(r"L-BFGS .* (\d+) passes", text) == number(r"Adam, batches .* (\d+) passes", text) >= 25
    assert (tmp_path / "losses.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.slow
def test_lbfgs_ends_below_adam_on_batches_after_as_many_passes(tmp_path):
    text = run("lbfgs.py", cwd=tmp_path)
    assert number(r"L-BFGS +loss ([\d.]+)", text) < number(r"Adam, batches +loss ([\d.]+)", text)
    assert number(r"L-BFGS .*unseen digits +([\d.]+)%", text) > 97

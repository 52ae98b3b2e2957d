"""The pictures of filter_visualization.py."""

from __future__ import annotations

import pytest

from tests.examples.running import number, run

pytest.importorskip("PIL")


def test_filters_answer_to_the_pictures_made_of_them(tmp_path):
    text = run("filter_visualization.py", "--epochs", "3", "--steps", "25", cwd=tmp_path)
    to_pictures = number(r"to the picture made of it ([\d.]+)", text)
    assert to_pictures > 1.5 * number(r"to noise +([\d.]+)", text)
    assert to_pictures > number(r"to the digit it likes +([\d.]+)", text)
    assert (tmp_path / "filters.png").read_bytes().startswith(b"\x89PNG")

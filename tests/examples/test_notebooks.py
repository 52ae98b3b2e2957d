"""The notebooks: stored with their results, and running from the first cell to the last."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

nbformat = pytest.importorskip("nbformat")

ROOT = Path(__file__).resolve().parents[2]
FIRST_CNN = ROOT / "examples" / "notebooks" / "first_cnn.ipynb"


def text_of(notebook) -> str:
    """Return what its cells have printed."""
    return "".join(out.text for cell in code_of(notebook) for out in cell.outputs if out.output_type == "stream")


def pictures_of(notebook) -> int:
    """Return how many pictures its cells have drawn."""
    return sum("image/png" in out.get("data", {}) for cell in code_of(notebook) for out in cell.outputs)


def code_of(notebook) -> list:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def test_the_notebook_is_stored_as_it_was_executed():
    notebook = nbformat.read(FIRST_CNN, as_version=4)
    nbformat.validate(notebook)
    code = code_of(notebook)
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    assert "Test accuracy: 9" in text_of(notebook)
    assert pictures_of(notebook) == 5
    assert FIRST_CNN.stat().st_size < 200_000


@pytest.mark.slow
def test_the_notebook_runs_and_reads_the_digits(tmp_path, monkeypatch):
    nbclient = pytest.importorskip("nbclient")
    pytest.importorskip("ipykernel")
    pytest.importorskip("matplotlib")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    notebook = nbformat.read(FIRST_CNN, as_version=4)
    for cell in code_of(notebook):
        cell.outputs = []
    resources = {"metadata": {"path": str(tmp_path)}}
    nbclient.NotebookClient(notebook, timeout=900, kernel_name="python3", resources=resources).execute()
    accuracy = re.search(r"Test accuracy: ([\d.]+)%", text_of(notebook))
    assert accuracy is not None
    assert float(accuracy[1]) > 95
    assert pictures_of(notebook) >= 4  # five, unless it makes no mistake that could be shown

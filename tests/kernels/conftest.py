from __future__ import annotations

import pytest

from minikeras.kernels import blocks


@pytest.fixture(params=["blocks of the usual size", "blocks of a few rows"])
def block_size(request, monkeypatch):
    """Run a test also with blocks so small that images and rows are cut."""
    if request.param == "blocks of a few rows":
        monkeypatch.setattr(blocks, "BLOCK_BYTES", 600)

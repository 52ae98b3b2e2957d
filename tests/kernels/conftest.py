from __future__ import annotations

import pytest

from minikeras.kernels import blocks, lowering


@pytest.fixture(params=["usual blocks", "blocks of a few rows", "row by row"])
def block_size(request, monkeypatch):
    """Run a test also with blocks so small that images and rows are cut, and with GEMMs of single images."""
    if request.param == "blocks of a few rows":
        monkeypatch.setattr(blocks, "BLOCK_BYTES", 200)
    if request.param == "row by row":
        monkeypatch.setattr(lowering, "ROWWISE_POSITIONS", 1)

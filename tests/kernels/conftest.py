from __future__ import annotations

import importlib.util
import sys

import pytest

from minikeras.core import tiers
from minikeras.kernels import blocks, lowering

needs_numba = pytest.mark.skipif(importlib.util.find_spec("numba") is None, reason="needs numba")


@pytest.fixture(autouse=True)
def _nothing_prepared():
    """What a test changes isn't hidden by what was found out before, nor seen by the next one."""
    _forget()
    yield
    _forget()


def _forget():
    for name in ("conv", "indirect"):
        for value in vars(sys.modules[f"minikeras.kernels.compiled.{name}"]).values():
            if hasattr(value, "cache_clear"):
                value.cache_clear()


@pytest.fixture(autouse=True)
def _numpy_tier():
    """NumPy's kernels, whatever is installed."""
    with tiers.kernels_scope("numpy"):
        yield


@pytest.fixture(params=["numpy", pytest.param("numba", marks=needs_numba)])
def tier(request, _numpy_tier, monkeypatch):
    """Run a test with NumPy's kernels, and with the compiled ones: small results go the ways of larger ones too."""
    monkeypatch.setattr(sys.modules["minikeras.kernels.conv"], "FEW_OUTPUTS", 12)
    compiled_conv = sys.modules["minikeras.kernels.compiled.conv"]
    monkeypatch.setattr(compiled_conv, "KERNEL_RESULTS", 0)
    monkeypatch.setattr(compiled_conv, "EVEN_CHANNELS", 1)
    monkeypatch.setattr(compiled_conv, "MOST_GAIN", 100)
    monkeypatch.setattr(sys.modules["minikeras.kernels.winograd"], "LEAST_PRODUCTS", 1 << 17)
    with tiers.kernels_scope(request.param):
        yield request.param


@pytest.fixture(params=["usual blocks", "blocks of a few rows", "row by row"])
def block_size(request, monkeypatch):
    """Run a test also with blocks so small that images and rows are cut, and with GEMMs of single images."""
    if request.param == "blocks of a few rows":
        monkeypatch.setattr(blocks, "BLOCK_BYTES", 200)
    if request.param == "row by row":
        monkeypatch.setattr(lowering, "ROWWISE_POSITIONS", 1)

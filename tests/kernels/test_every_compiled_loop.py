"""No compiled loop is forgotten: the cases of `paths.py`, which `test_every_path.py` checks, call them all."""

from __future__ import annotations

import importlib
import pkgutil
import sys

import numpy as np
import pytest

from minikeras import Tensor, kernels
from minikeras.kernels import compiled
from minikeras.kernels.compiled import jit, packing, sharing, vectors
from tests.kernels.paths import cases
from tests.kernels.test_entropy import every_entropy
from tests.kernels.test_few_rows import every_product
from tests.kernels.test_reduction import every_sum
from tests.kernels.test_steps import every_step


def test_together_the_cases_call_every_compiled_loop(tier, monkeypatch):
    if tier != "numba":
        pytest.skip("NumPy's kernels have no compiled loops")
    called = set()
    real = jit.Loop.__call__

    def spy(loop, *args):
        called.update(_with_those_it_calls(loop))
        return real(loop, *args)

    def spy_on_packing(loop, args):
        called.update(_with_those_it_calls(loop))
        return pack(loop, args)

    pack = packing.pack
    monkeypatch.setattr(jit.Loop, "__call__", spy)
    monkeypatch.setattr(sharing, "pack", spy_on_packing)
    call_every_loop(monkeypatch)
    missed = {f"{loop.function.__module__}.{loop.function.__name__}" for loop in _loops() - called}
    assert not missed, f"no case in tests/kernels/paths.py calls {sorted(missed)}"


def call_every_loop(monkeypatch):
    for case in cases():
        leaves = [Tensor(array, requires_grad=True) for array in case.arrays]
        case.f(*leaves).sum().backward()
        case.f(*map(Tensor, case.arrays))  # where nothing is recorded, some compute less
    every_chunk(monkeypatch)
    every_step("float32")
    every_entropy("float32")
    every_product("float32")
    every_sum("float32")
    sharing._helpers()._turns(0.0)  # what idle threads do: they may have been made before
    kernels.sigmoid(np.zeros(3, "float32"))  # that of float64 is NumPy's
    kernels.dropout(np.zeros(3, "float32"), np.ones(3, bool), scale=2.0)


def every_chunk(monkeypatch):
    """Gradients of some images after the other, as those of many images are computed."""
    conv = sys.modules[compiled.conv.__module__]
    monkeypatch.setattr(conv, "CHUNK_BYTES", 1)
    x, w = np.ones((4, 5, 2), "float32"), np.ones((3, 2, 3), "float32")
    steps = {"window": (3,), "strides": (1,), "padding": ((1, 1),), "dilation": (1,)}
    kernels.conv_gradients(
        np.ones((4, 5, 3), "float32"), x, w, np.ones((4, 5, 3), "float32"), needs=(True,) * 3, input_size=(5,), **steps
    )


def _loops():
    names = [module.name for module in pkgutil.iter_modules(compiled.__path__)]
    modules = [importlib.import_module(f"{compiled.__name__}.{name}") for name in names]
    return {value for module in modules for value in vars(module).values() if isinstance(value, jit.Loop)}


def _with_those_it_calls(loop):
    found, waiting = set(), [loop]
    while waiting:
        loop = waiting.pop()
        if loop not in found:
            found.add(loop)
            names = (loop.function.__globals__.get(name) for name in loop.function.__code__.co_names)
            called = (value.loop if isinstance(value, vectors.ByAddress) else value for value in names)
            waiting += [value for value in called if isinstance(value, jit.Loop)]
    return found

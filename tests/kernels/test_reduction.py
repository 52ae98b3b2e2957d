"""Sums over all axes but the last, and over those between: those of float64, whoever adds which part."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from minikeras import config, kernels
from minikeras.kernels import compiled, reduction

SHAPES = [(1, 7), (5, 3), (40, 1), (3, 100, 3), (2, 33, 9, 5), (7, 11, 12, 64), (4, 30, 300), (3, 17, 257), (600, 255)]


@pytest.fixture(params=[1, 2, 3])
def number(request, tier, monkeypatch):
    monkeypatch.setattr(sys.modules[compiled.channel_sum.__module__], "WORTHWHILE", 0)
    monkeypatch.setattr(sys.modules["minikeras.kernels.compiled.sharing"], "WORTHWHILE", 0)
    before = config.num_threads()
    config.set_num_threads(request.param)
    yield request.param
    config.set_num_threads(before)


def every_sum(dtype):
    """All that is compiled for sums."""
    x = np.ones((3, 300, 200), dtype)
    np.testing.assert_array_equal(kernels.channel_sum(x), 900)
    np.testing.assert_array_equal(kernels.middle_sum(x, 1), 300)


def random(shape, dtype="float64"):
    return (np.random.default_rng(0).standard_normal(shape) + 0.5).astype(dtype)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shape", SHAPES)
def test_sums_are_those_of_float64(shape, dtype, number):
    x = random(shape, dtype)
    rows = x.reshape(-1, shape[-1]).astype(np.longdouble)
    tolerance = {"rtol": 0, "atol": 4 * np.finfo(dtype).eps * np.abs(rows).sum(axis=0).max()}
    result = kernels.channel_sum(x)
    assert result.dtype == dtype
    np.testing.assert_allclose(result, rows.sum(axis=0), **tolerance)
    np.testing.assert_array_equal(kernels.channel_sum(x), result)
    for first in range(1, x.ndim):
        result = kernels.middle_sum(x, first)
        assert result.dtype == dtype
        np.testing.assert_allclose(
            result, x.astype(np.longdouble).sum(axis=tuple(range(first, x.ndim - 1))), **tolerance
        )


def test_other_arrays_are_numpys(number):
    for x in (np.ones((4, 9), "float16"), np.ones((0, 5)), np.ones((2, 0, 5))):
        np.testing.assert_array_equal(kernels.channel_sum(x), x.reshape(-1, x.shape[-1]).sum(axis=0))
    x = random((4, 6, 5))
    x.flags.writeable = False
    np.testing.assert_allclose(kernels.channel_sum(x), x.sum(axis=(0, 1)), rtol=1e-14)
    np.testing.assert_allclose(kernels.middle_sum(x, 1), x.sum(axis=1), rtol=1e-14)


def test_what_is_not_finite_stays_in_its_channel(number):
    x = random((30, 40, 20), "float32")
    x[3, 5, 7], x[4, 5, 8], x[0, 0, 9], x[29, 39, 9] = np.nan, np.inf, np.inf, -np.inf
    with np.errstate(invalid="ignore"):
        result = kernels.channel_sum(x)
    assert np.flatnonzero(~np.isfinite(result)).tolist() == [7, 8, 9]
    assert np.isnan(result[[7, 9]]).all()
    assert result[8] == np.inf


@pytest.mark.parametrize("first", [0, 1])
def test_compiled_sums_are_no_less_exact_than_blas(first, number, tier):
    if tier == "numpy":
        pytest.skip("they are BLAS's")
    x = random((8, 60, 60, 24), "float32")
    expected = x.astype(float).sum(axis=(1, 2) if first else (0, 1, 2))
    error, of_blas = (
        np.sqrt(np.mean((result - expected) ** 2))
        for result in (
            (kernels.middle_sum(x, 1), reduction.middle_sum(x, 1))
            if first
            else (kernels.channel_sum(x), reduction.channel_sum(x))
        )
    )
    assert error <= of_blas

"""Products that are cut into small ones: the same numbers, wherever they are cut and however the factors lie."""

from __future__ import annotations

import numpy as np
import pytest

from minikeras import kernels
from minikeras.core import tiers
from minikeras.kernels import product
from minikeras.kernels.product import product_of_columns, product_of_rows, rows_apart, sum_of_outer_products

pytestmark = pytest.mark.usefixtures("_small")


@pytest.fixture
def _small(monkeypatch):
    """Limits so low that a few rows are cut."""
    monkeypatch.setattr(product, "SMALL", 400)
    monkeypatch.setattr(product, "FEWEST_ROWS", 3)
    monkeypatch.setattr(product, "OUTER_ROWS", 8)


@pytest.fixture
def products(monkeypatch):
    """The numbers of products per GEMM that NumPy is asked for."""
    found = []
    matmul = np.matmul

    def spy(x, y, out=None):
        found.append(x.shape[-2] * x.shape[-1] * y.shape[-1])
        return matmul(x, y, out=out)

    monkeypatch.setattr(np, "matmul", spy)
    return found


def random(*shape, dtype="float64"):
    return np.random.default_rng(0).standard_normal(shape).astype(dtype)


@pytest.mark.parametrize("rows", [0, 1, 19, 20, 21, 40, 53])
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_a_product_of_rows_is_the_product(rows, dtype):
    x, y = random(rows, 5, dtype=dtype), random(5, 4, dtype=dtype)
    np.testing.assert_array_equal(product_of_rows(x, y).shape, (rows, 4))
    np.testing.assert_allclose(product_of_rows(x, y), x @ y, rtol=0, atol=20 * np.finfo(dtype).eps)


def test_many_rows_are_cut_into_products_that_are_small_and_even(products):
    product_of_rows(random(53, 5), random(5, 4))
    assert products == [18 * 5 * 4, 17 * 5 * 4]  # two of 18 rows in one call, and the rest
    del products[:]
    product_of_rows(random(53, 20), random(20, 10))  # the second factor isn't small
    assert products == [53 * 20 * 10]


def test_a_product_of_rows_may_be_stacked_turned_and_written_between_other_numbers():
    x, y = random(3, 5, 47).swapaxes(1, 2), random(3, 5, 4)
    out = np.zeros((47, 3, 9))
    target = out.swapaxes(0, 1)[..., 2:6]
    assert product_of_rows(x, y, out=target) is target
    np.testing.assert_allclose(target, x @ y, atol=1e-13)
    assert not out[..., :2].any()
    assert not out[..., 6:].any()
    np.testing.assert_allclose(product_of_rows(x, y[0]), x @ y[0], atol=1e-13)  # the same one for all of a stack


def test_a_product_of_columns_is_the_product():
    x, y = random(4, 5), random(5, 61)
    np.testing.assert_allclose(product_of_columns(x, y), x @ y, atol=1e-13)
    out = rows_apart(4, 61, np.dtype("float64"))
    product_of_columns(x, y, out=out)
    np.testing.assert_allclose(out, x @ y, atol=1e-13)


@pytest.mark.parametrize("length", [0, 1, 15, 16, 24, 29])
@pytest.mark.parametrize("width", [1, 8, 31, 64])
def test_a_sum_of_outer_products_is_the_product(length, width):
    x, y = random(2, length, width), random(2, length, 3)
    expected = x.swapaxes(1, 2) @ y
    np.testing.assert_allclose(sum_of_outer_products(x, y), expected, atol=1e-13)
    np.testing.assert_allclose(sum_of_outer_products(x[0], y[0]), expected[0], atol=1e-13)


def test_outer_products_are_cut_in_rows_and_in_columns(products, monkeypatch):
    monkeypatch.setattr(product, "SMALL", 8 * 3 * 40)
    sum_of_outer_products(random(19, 64), random(19, 3))
    assert products == [32 * 8 * 3, 64 * 3 * 3]  # columns in halves, then the rows that are left
    del products[:]
    sum_of_outer_products(random(19, 41), random(19, 3))  # no part of so many columns is small
    assert products == [41 * 19 * 3]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("length", [1, 16, 1024, 4096, 4097])
def test_rows_that_lie_apart_never_start_at_the_same_place_in_cache(dtype, length):
    matrix = rows_apart(36, length, np.dtype(dtype))
    assert matrix.shape == (36, length)
    starts = {row.ctypes.data % 4096 for row in matrix}
    assert len(starts) == 36


@pytest.mark.parametrize(
    ("lengths", "window", "channels", "filters", "dilation"),
    [
        ((300,), (2,), 8, 8, 3),
        ((17, 17), (3, 3), 4, 6, 1),
        ((9, 10), (3, 3), 16, 32, 1),
        ((5, 6, 7), (3, 3, 3), 2, 4, 1),
    ],
)
def test_convolutions_of_small_products_are_what_they_are_in_one(
    lengths, window, channels, filters, dilation, monkeypatch
):
    rank = len(lengths)
    steps = {"strides": (1,) * rank, "padding": ((1, 1),) * rank, "dilation": (dilation,) * rank}
    x, w = random(3, *lengths, channels), random(*window, channels, filters)

    def all_three():
        with tiers.kernels_scope("numpy"):
            y = kernels.conv(x, w, None, **steps)
            return (
                y,
                kernels.conv_input_grad(y, w, input_size=lengths, **steps),
                kernels.conv_kernel_grad(x, y, window=window, **steps),
            )

    found = all_three()
    monkeypatch.setattr(product, "SMALL", 0)
    for cut, whole in zip(found, all_three(), strict=True):
        np.testing.assert_allclose(cut, whole, rtol=0, atol=1e-12 * np.abs(whole).max())

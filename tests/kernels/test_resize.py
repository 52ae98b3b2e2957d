from __future__ import annotations

import numpy as np
import pytest

from minikeras import kernels

pytestmark = pytest.mark.usefixtures("tier")

SHAPES = [((5,), (3,)), ((1,), (4,)), ((4, 3), (2, 3)), ((3, 5), (1, 4)), ((2, 3, 4), (2, 1, 3))]


def make(lengths, size, seed=0, dtype=np.float64):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((3, *lengths, 2)).astype(dtype)
    g = rng.standard_normal((3, *(n * s for n, s in zip(lengths, size, strict=True)), 2)).astype(dtype)
    return x, g


@pytest.mark.parametrize(("lengths", "size"), SHAPES)
def test_nearest_upsampling_reads_the_cell_it_stands_in(lengths, size, block_size):
    x, g = make(lengths, size)
    y = kernels.upsample_nearest(x, size=size)
    assert y.shape == g.shape
    for o in np.ndindex(*g.shape[1:-1]):
        i = tuple(p // s for p, s in zip(o, size, strict=True))
        np.testing.assert_array_equal(y[(slice(None), *o)], x[(slice(None), *i)])


@pytest.mark.parametrize(("lengths", "size"), SHAPES)
def test_linear_upsampling_interpolates_between_half_pixel_centres(lengths, size):
    x, g = make(lengths, size)
    expected = x
    for axis, (n, s) in enumerate(zip(lengths, size, strict=True), start=1):
        places = (np.arange(n * s) + 0.5) / s - 0.5
        expected = np.apply_along_axis(lambda line: np.interp(places, np.arange(n), line), axis, expected)  # noqa: B023
    y = kernels.upsample_linear(x, size=size)
    assert y.shape == g.shape
    np.testing.assert_allclose(y, expected, atol=1e-12)


@pytest.mark.parametrize(
    ("forward", "adjoint"),
    [(kernels.upsample_nearest, kernels.block_sum), (kernels.upsample_linear, kernels.upsample_linear_grad)],
    ids=["nearest", "linear"],
)
@pytest.mark.parametrize(("lengths", "size"), SHAPES)
def test_each_gradient_is_the_adjoint(forward, adjoint, lengths, size, block_size):
    x, g = make(lengths, size)
    np.testing.assert_allclose(np.vdot(forward(x, size=size), g), np.vdot(x, adjoint(g, size=size)))


@pytest.mark.parametrize(
    "kernel", [kernels.upsample_nearest, kernels.block_sum, kernels.upsample_linear, kernels.upsample_linear_grad]
)
@pytest.mark.parametrize("size", [(1, 1), (2, 3)])
def test_results_are_owned_contiguous_and_of_the_same_dtype(kernel, size):
    x = np.random.default_rng(0).standard_normal((2, 5, 4, 6)).astype(np.float32)
    view = x.transpose(0, 2, 3, 1)  # channels last, of an array that has them first
    y = kernel(view, size=size)
    assert y.dtype == np.float32
    assert y.flags.c_contiguous
    assert not np.shares_memory(x, y)
    np.testing.assert_allclose(y, kernel(view.copy(), size=size), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("size", [(2, 3)])
def test_an_empty_batch_stays_empty(size):
    x, g = np.zeros((0, 4, 6, 2)), np.zeros((0, 8, 18, 2))
    assert kernels.upsample_nearest(x, size=size).shape == kernels.upsample_linear(x, size=size).shape == g.shape
    assert kernels.block_sum(g, size=size).shape == kernels.upsample_linear_grad(g, size=size).shape == x.shape

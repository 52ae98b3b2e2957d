from __future__ import annotations

import numpy as np
import pytest

from minikeras import kernels
from minikeras.kernels import blocks
from tests.kernels import oracles

pytestmark = pytest.mark.usefixtures("tier")

CASES = range(60)


def make(seed, dtype=np.float64, images=3, values=None):
    """A random pooling in which every window holds at least one real element."""
    rng = np.random.default_rng(seed)
    while True:
        case = oracles.random_window_case(rng, with_dilation=False, with_groups=False)
        case = {name: case[name] for name in ("lengths", "window", "strides", "padding")}
        lengths = case.pop("lengths")
        sizes = oracles.output_sizes(lengths, case["window"], case["strides"], (1,) * len(lengths), case["padding"])
        cells = oracles.windows_inside(lengths, **case)
        if len(cells) == np.prod(sizes):
            break
    shape = (images, *lengths, int(rng.integers(1, 5)))
    x = (rng.standard_normal(shape) if values is None else rng.choice(values, shape)).astype(dtype)
    g = rng.standard_normal((images, *sizes, shape[-1])).astype(dtype)
    return x, g, case, cells


def naive_max(x, g, cells):
    y, index, dx = np.zeros(g.shape), np.zeros(g.shape, int), np.zeros(x.shape)
    for o, cell in cells.items():
        for n, c in np.ndindex(len(x), x.shape[-1]):
            values = [x[(n, *i, c)] for _, i in cell]
            best = int(np.argmax(values))
            y[(n, *o, c)], index[(n, *o, c)] = values[best], cell[best][0]
            dx[(n, *cell[best][1], c)] += g[(n, *o, c)]
    return y, index, dx


@pytest.mark.parametrize("values", [None, [0.0, 1.0], [-np.inf, -1.0]], ids=["distinct", "ties", "minus infinity"])
@pytest.mark.parametrize("seed", CASES)
def test_max_pooling_finds_the_first_largest_element_and_routes_the_gradient_there(seed, values, block_size):
    x, g, case, cells = make(seed, values=values)
    y, index = kernels.max_pool(x, **case)
    expected_y, expected_index, expected_dx = naive_max(x, g, cells)
    np.testing.assert_array_equal(y, expected_y)
    np.testing.assert_array_equal(kernels.max_pool_values(x, **case), expected_y)
    np.testing.assert_array_equal(index, expected_index)
    np.testing.assert_array_equal(kernels.pool_gather(x, index, **case), expected_y)
    dx = kernels.pool_scatter(g, index, input_size=x.shape[1:-1], **case)
    np.testing.assert_allclose(dx, expected_dx, atol=1e-12)


@pytest.mark.parametrize("seed", CASES)
def test_average_pooling_divides_by_the_number_of_real_elements(seed, block_size):
    x, g, case, cells = make(seed)
    y, dx = np.zeros(g.shape), np.zeros(x.shape)
    for o, cell in cells.items():
        for _, i in cell:
            y[(slice(None), *o)] += x[(slice(None), *i)] / len(cell)
            dx[(slice(None), *i)] += g[(slice(None), *o)] / len(cell)
    np.testing.assert_allclose(kernels.average_pool(x, **case), y, atol=1e-12)
    np.testing.assert_allclose(kernels.average_pool_grad(g, input_size=x.shape[1:-1], **case), dx, atol=1e-12)


@pytest.mark.parametrize("channels", [1, 5, 8, 16, 21, 40])
@pytest.mark.parametrize("steps", [(2, 2), (3, 3), (3, 2), (3, 1), (2, 3)], ids=str)
def test_vectors_of_channels_and_what_is_left_of_them_give_what_single_channels_give(channels, steps):
    k, stride = steps
    case = {"window": (k, k), "strides": (stride, stride), "padding": ((1, 0), (k - 1, 1))}
    rng = np.random.default_rng(channels)
    x = rng.choice(np.arange(9), (2, 9, 11, channels)).astype(np.float32)
    y, index = kernels.max_pool(x, **case)
    g = rng.standard_normal(y.shape).astype(np.float32)

    def every(x, g, index):
        size = x.shape[1:-1]
        values = kernels.max_pool_values(x, **case), kernels.average_pool(x, **case)
        gradient = kernels.average_pool_grad(g, input_size=size, **case)
        return *kernels.max_pool(x, **case), *values, kernels.pool_scatter(g, index, input_size=size, **case), gradient

    single = [every(*(np.ascontiguousarray(a[..., [c]]) for a in (x, g, index))) for c in range(channels)]
    for together, apart in zip(every(x, g, index), zip(*single, strict=True), strict=True):
        np.testing.assert_allclose(together, np.concatenate(apart, axis=-1), atol=1e-6)


@pytest.mark.parametrize("seed", range(20))
def test_a_nan_makes_its_windows_nan_and_no_others(seed, block_size):
    x, _, case, cells = make(seed)
    x[(0, *np.array(x.shape[1:-1]) // 2, 0)] = np.nan
    y, _ = kernels.max_pool(x, **case)
    for o, cell in cells.items():
        values = np.array([x[(slice(None), *i)] for _, i in cell])
        np.testing.assert_array_equal(y[(slice(None), *o)], values.max(axis=0))


@pytest.mark.parametrize("seed", range(20))
def test_the_gradient_of_a_window_with_a_nan_stays_in_the_window(seed):
    x, _, case, cells = make(seed)
    x[...] = np.nan
    _, index = kernels.max_pool(x, **case)
    for o, cell in cells.items():
        assert np.isin(index[(slice(None), *o)], [tap for tap, _ in cell]).all()


@pytest.mark.parametrize("seed", range(20))
def test_gather_and_scatter_are_adjoint_for_any_index(seed, block_size):
    x, g, case, cells = make(seed)
    rng = np.random.default_rng(seed)
    index = np.zeros(g.shape, np.uint8)
    for o, cell in cells.items():
        index[(slice(None), *o)] = rng.choice([tap for tap, _ in cell], (len(x), x.shape[-1]))
    gathered = kernels.pool_gather(x, index, **case)
    scattered = kernels.pool_scatter(g, index, input_size=x.shape[1:-1], **case)
    np.testing.assert_allclose(np.vdot(gathered, g), np.vdot(x, scattered))


def test_the_index_is_as_small_as_the_window_allows():
    x = np.arange(600.0).reshape(1, 600, 1)
    for window, dtype in ((2, np.uint8), (256, np.uint8), (257, np.uint16)):
        y, index = kernels.max_pool(x, window=(window,), strides=(window,), padding=((0, 0),))
        assert index.dtype == dtype
        assert (index == window - 1).all()
        np.testing.assert_array_equal(y.ravel()[:2], [window - 1, 2 * window - 1])


@pytest.mark.parametrize("seed", range(10))
def test_pooling_takes_any_layout_keeps_float32_and_returns_owned_arrays(seed, block_size):
    x, g, case, _ = make(seed, np.float32)
    views = [np.moveaxis(np.moveaxis(a, -1, 1).copy(), 1, -1) for a in (x, g)]
    for a in views:
        a.setflags(write=False)
    size = x.shape[1:-1]
    y, index = kernels.max_pool(views[0], **case)
    np.testing.assert_array_equal(y, kernels.max_pool(x, **case)[0])
    results = [
        (y, kernels.max_pool(x, **case)[0]),
        (kernels.pool_gather(views[0], index, **case), kernels.pool_gather(x, index, **case)),
        (
            kernels.pool_scatter(views[1], index, input_size=size, **case),
            kernels.pool_scatter(g, index, input_size=size, **case),
        ),
        (kernels.average_pool(views[0], **case), kernels.average_pool(x, **case)),
        (
            kernels.average_pool_grad(views[1], input_size=size, **case),
            kernels.average_pool_grad(g, input_size=size, **case),
        ),
    ]
    for viewed, plain in results:
        np.testing.assert_allclose(viewed, plain, rtol=1e-6)
        assert viewed.dtype == np.float32
        assert viewed.flags.c_contiguous


def test_windows_that_do_not_fit_leave_no_positions_and_gradients_of_zero():
    case = {"window": (3, 3), "strides": (2, 2), "padding": ((0, 0), (0, 0))}
    for lengths in ((2, 5), (5, 2), (2, 2)):
        kept = np.full((2, *lengths, 3), np.nan)  # what memory may hold that isn't written
        y, index = kernels.max_pool(np.ones_like(kept), **case)
        assert y.size == kernels.average_pool(np.ones_like(kept), **case).size == 0
        del kept
        assert not kernels.pool_scatter(y, index, input_size=lengths, **case).any()
        assert not kernels.average_pool_grad(y, input_size=lengths, **case).any()


def test_an_empty_batch_pools_to_an_empty_batch():
    x, g, case, _ = make(1, images=0)
    y, index = kernels.max_pool(x, **case)
    assert y.shape == index.shape == kernels.average_pool(x, **case).shape == g.shape
    assert kernels.pool_scatter(g, index, input_size=x.shape[1:-1], **case).shape == x.shape
    assert kernels.average_pool_grad(g, input_size=x.shape[1:-1], **case).shape == x.shape


def test_numpys_buffer_is_what_it_was_also_after_an_error():
    x = np.ones((4, 64, 64, 3), np.float32)
    with np.errstate():  # whatever happens, it ends here
        np.setbufsize(4096)
        kernels.average_pool(x, window=(3, 3), strides=(1, 1), padding=((0, 0), (0, 0)))
        assert np.getbufsize() == 4096
        with pytest.raises(ZeroDivisionError):
            blocks.over_blocks(lambda images: 1 // 0, x, strided=True)
        assert np.getbufsize() == 4096


def test_rows_in_place_tells_numpy_while_it_works():
    before = np.getbufsize()
    assert blocks.rows_in_place(lambda: np.getbufsize())() == blocks.BUFFER != before == np.getbufsize()

"""Compiled kernels beside NumPy's: the same to rounding, for every shape, type and layout, from several threads."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from minikeras import config, kernels
from minikeras.core import tiers
from tests.kernels import oracles

pytest.importorskip("numba")


def both(kernel, *args, **options):
    """What NumPy's version gives, and the compiled one's."""
    results = []
    for name in ("numpy", "numba"):
        with tiers.kernels_scope(name):
            results.append(kernel(*args, **options))
    return results


def assert_same(results, tolerance):
    plain, compiled = results
    assert compiled.dtype == plain.dtype
    assert compiled.shape == plain.shape
    assert compiled.flags.c_contiguous
    if plain.size:
        np.testing.assert_allclose(compiled, plain, rtol=0, atol=tolerance * max(np.abs(plain).max(), 1e-30))


TOLERANCES = [("float32", 1e-5), ("float64", 1e-9)]


@pytest.mark.parametrize(("dtype", "tolerance"), TOLERANCES)
@pytest.mark.parametrize("seed", range(25))
def test_convolutions_of_random_shapes_agree(seed, dtype, tolerance):
    rng = np.random.default_rng(seed)
    case = oracles.random_window_case(rng, with_groups=seed % 5 == 0)
    lengths, window, groups = case.pop("lengths"), case.pop("window"), case["groups"]
    images, inputs, filters = (int(n) for n in (rng.integers(1, 5), rng.choice([1, 3, 16, 33]), rng.choice([1, 4, 16])))
    x = rng.standard_normal((images, *lengths, inputs * groups)).astype(dtype)
    w = rng.standard_normal((*window, inputs, filters * groups)).astype(dtype)
    bias = rng.standard_normal(filters * groups).astype(dtype)
    activation = [None, "relu", "tanh", "sigmoid"][seed % 4]
    results = both(kernels.conv, x, w, bias, activation=activation, **case)
    assert_same(results, tolerance)
    g = rng.standard_normal(results[0].shape).astype(dtype)
    assert_same(both(kernels.conv_input_grad, g, w, input_size=lengths, **case), tolerance)
    assert_same(both(kernels.conv_kernel_grad, x, g, window=window, **case), tolerance)


@pytest.mark.parametrize(("dtype", "tolerance"), TOLERANCES)
@pytest.mark.parametrize(
    ("window", "dilation", "padding"), [((3, 2), (1, 2), ((2, 0), (0, 3))), ((1, 1), (1, 1), ((1, 0), (0, 0)))]
)
def test_a_kernels_gradient_with_few_filters_is_made_of_vectors_of_channels(
    window, dilation, padding, dtype, tolerance, monkeypatch
):
    conv, rng, seen = sys.modules["minikeras.kernels.compiled.conv"], np.random.default_rng(0), []
    sums = conv.Adder.__call__
    monkeypatch.setattr(conv.Adder, "__call__", lambda self, x, g: seen.append(g.shape[-1]) or sums(self, x, g))
    steps = {"strides": (1, 1), "padding": padding, "dilation": dilation}
    x, w = rng.standard_normal((3, 7, 6, 40)).astype(dtype), rng.standard_normal((*window, 40, 2)).astype(dtype)
    g = rng.standard_normal(kernels.conv(x, w, **steps).shape).astype(dtype)
    assert_same(both(kernels.conv_kernel_grad, x, g, window=window, **steps), tolerance)
    assert seen == [40]


@pytest.mark.parametrize(("dtype", "tolerance"), TOLERANCES)
@pytest.mark.parametrize("groups", [1, 3])
def test_a_kernels_gradient_with_fewer_filters_than_channels_moves_the_cotangent_over_the_input(
    groups, dtype, tolerance, monkeypatch
):
    conv, rng, seen = sys.modules["minikeras.kernels.compiled.conv"], np.random.default_rng(0), []
    sums = conv.Adder.__call__
    monkeypatch.setattr(conv.Adder, "__call__", lambda self, x, g: seen.append(g.shape[-1]) or sums(self, x, g))
    steps = {"strides": (1, 1), "padding": ((1, 2), (0, 1)), "dilation": (1, 2), "groups": groups}
    x = rng.standard_normal((3, 14, 15, 64 * groups)).astype(dtype)
    w = rng.standard_normal((3, 2, 64, 5 * groups)).astype(dtype)
    g = rng.standard_normal(kernels.conv(x, w, **steps).shape).astype(dtype)
    assert_same(both(kernels.conv_kernel_grad, x, g, window=(3, 2), **steps), tolerance)
    assert seen == [64 * groups]


@pytest.mark.parametrize(("dtype", "tolerance"), TOLERANCES)
@pytest.mark.parametrize("seed", range(25))
def test_depthwise_convolutions_of_random_shapes_agree(seed, dtype, tolerance):
    rng = np.random.default_rng(seed)
    case = oracles.random_window_case(rng, with_groups=False)
    del case["groups"]
    lengths, window = case.pop("lengths"), case.pop("window")
    channels, multiplier = int(rng.choice([1, 5, 16, 70])), int(rng.integers(1, 3))
    x = rng.standard_normal((3, *lengths, channels)).astype(dtype)
    w = rng.standard_normal((*window, channels, multiplier)).astype(dtype)
    results = both(kernels.depthwise_conv, x, w, activation=[None, "relu"][seed % 2], **case)
    assert_same(results, tolerance)
    g = rng.standard_normal(results[0].shape).astype(dtype)
    assert_same(both(kernels.depthwise_input_grad, g, w, input_size=lengths, **case), tolerance)
    assert_same(both(kernels.depthwise_kernel_grad, x, g, window=window, **case), tolerance)


@pytest.mark.parametrize("seed", range(25))
def test_pools_of_random_shapes_agree_also_on_nan_infinities_and_ties(seed):
    rng = np.random.default_rng(seed)
    case = oracles.random_window_case(rng, with_dilation=False, with_groups=False)
    lengths = case.pop("lengths")
    del case["groups"], case["dilation"]
    # no window without an element of the input
    case["padding"] = tuple(
        tuple(min(p, k - 1) for p in pad) for pad, k in zip(case["padding"], case["window"], strict=True)
    )
    values = [-np.inf, -1, 0, 0, 1, 2, np.inf, np.nan]
    x = rng.choice(values, (2, *lengths, 17)).astype("float32")
    (y, index), (other_y, other_index) = both(kernels.max_pool, x, **case)
    np.testing.assert_array_equal(other_y, y)
    np.testing.assert_array_equal(other_index, index)
    np.testing.assert_array_equal(both(kernels.max_pool_values, x, **case)[1], y)
    g = rng.standard_normal(y.shape).astype("float32")
    assert_same(both(kernels.pool_scatter, g, index, input_size=lengths, **case), 1e-6)
    assert_same(both(kernels.average_pool, rng.standard_normal(x.shape), **case), 1e-12)
    assert_same(both(kernels.average_pool_grad, g, input_size=lengths, **case), 1e-6)


def test_relu_and_its_gradient_keep_nan_and_drop_infinity():
    y = np.array([np.nan, 0.0, 1.0, -1.0])
    np.testing.assert_array_equal(both(kernels.relu_grad, np.full(4, np.inf), y)[1], [0, 0, np.inf, 0])
    x, w = np.full((1, 4, 4, 2), np.nan), np.ones((3, 3, 2, 1))
    for result in both(kernels.depthwise_conv, x, w, activation="relu", **SAME):
        assert np.isnan(result).all()


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16"])
def test_dropout_is_the_same_bit_for_bit(dtype):
    rng = np.random.default_rng(1)
    x = (rng.standard_normal((64, 33, 70)) * 10).astype(dtype)
    x[0, 0, :4] = np.nan, np.inf, -np.inf, np.finfo(dtype).max
    with np.errstate(over="ignore", invalid="ignore"):
        for keep in (rng.random(x.shape) > 0.3, rng.random((64, 1, 70)) > 0.3):
            results = both(kernels.dropout, x, keep, scale=1 / 0.7)
            np.testing.assert_array_equal(*results)
            np.testing.assert_array_equal(results[0], x * keep * np.asarray(1 / 0.7, dtype))


SAME = {"strides": (1, 1), "dilation": (1, 1), "padding": ((1, 1), (1, 1))}


@pytest.mark.parametrize("size", [(12, 12), (13, 7), (30, 5), (16, 11)])
@pytest.mark.parametrize(("channels", "filters"), [(16, 16), (64, 32), (16, 400)])
@pytest.mark.parametrize(("dtype", "bound"), [("float32", 5e-5), ("float64", 1e-13)])
def test_winograds_rounding_errors_are_bounded(dtype, bound, channels, filters, size, tier):
    rng = np.random.default_rng(0)
    x = rng.standard_normal((3, *size, channels)).astype(dtype)
    w = rng.standard_normal((3, 3, channels, filters)).astype(dtype)
    exact = kernels.conv(x.astype("longdouble"), w.astype("longdouble"), **SAME)
    g = rng.standard_normal(exact.shape).astype(dtype)
    wide = g.astype("longdouble")
    pairs = [
        (kernels.conv(x, w, **SAME), exact),
        (
            kernels.conv_input_grad(g, w, input_size=size, **SAME),
            kernels.conv_input_grad(wide, w.astype("longdouble"), input_size=size, **SAME),
        ),
        (
            kernels.conv_kernel_grad(x, g, window=(3, 3), **SAME),
            kernels.conv_kernel_grad(x.astype("longdouble"), wide, window=(3, 3), **SAME),
        ),
    ]
    for result, expected in pairs:
        assert np.abs(result - expected).max() <= bound * np.abs(expected).max()


def test_winograds_algorithm_can_be_switched_off(tier):
    rng = np.random.default_rng(0)
    x, w = rng.standard_normal((2, 12, 12, 16)), rng.standard_normal((3, 3, 16, 32))
    results = []
    for allowed in (True, False):
        config.set_winograd(allowed)
        results.append(kernels.conv(x, w, **SAME))
    assert not np.array_equal(*results)
    np.testing.assert_allclose(*results, atol=1e-11)


def test_other_float_types_and_mixed_ones_are_numpys():
    x, w = np.ones((1, 6, 6, 16)), np.ones((3, 3, 16, 16))
    for types in (("float16", "float16"), ("float32", "float64"), (">f4", ">f4")):
        arrays = [a.astype(t) for a, t in zip((x, w), types, strict=True)]
        plain, compiled = both(kernels.conv, *arrays, **SAME)
        assert compiled.dtype == plain.dtype
        np.testing.assert_array_equal(compiled, plain)


def test_read_only_and_strided_arrays_go_in():
    rng = np.random.default_rng(0)
    x, w = rng.standard_normal((3, 24, 12, 16)).swapaxes(0, 2)[:, ::2], rng.standard_normal((3, 3, 16, 16)).T
    for a in (x, w):
        a.setflags(write=False)
    case = {"strides": (1, 2), "dilation": (1, 1), "padding": ((1, 1), (1, 1))}
    w = np.moveaxis(w, (0, 1), (-1, -2)).reshape(3, 3, 16, 16)
    assert_same(both(kernels.conv, x, w, **case), 1e-12)


def test_kernels_run_from_several_threads_at_once_give_what_they_give_alone():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((16, 20, 20, 16)).astype("float32")
    w = rng.standard_normal((3, 3, 16, 16)).astype("float32")

    def work(_):
        y = kernels.conv(x, w, **SAME)
        return kernels.conv_kernel_grad(x, y, window=(3, 3), **SAME), kernels.max_pool(
            y, window=(2, 2), strides=(2, 2), padding=((0, 0), (0, 0))
        )[0]

    before = config.num_threads()
    config.set_num_threads(3)
    with tiers.kernels_scope("numba"):
        alone = work(0)
        with ThreadPoolExecutor(4) as pool:
            together = list(pool.map(work, range(12)))
    config.set_num_threads(before)
    for results in together:
        for result, expected in zip(results, alone, strict=True):
            np.testing.assert_array_equal(result, expected)


@pytest.mark.parametrize("lengths", [(2, 5), (5, 2), (2, 2), (5,), (2,), (2, 2, 2)])
@pytest.mark.parametrize("channels", [2, 16])
@pytest.mark.parametrize(("stride", "dilation", "first_padding"), [(1, 1, 0), (7, 1, 1), (10, 2, 0)])
def test_windows_that_do_not_fit_leave_no_positions_and_gradients_of_zero(
    lengths, channels, stride, dilation, first_padding
):
    rank = len(lengths)
    padding = ((first_padding, 0), *[(0, 0)] * (rank - 1))
    case = {"strides": (stride,) * rank, "dilation": (dilation,) * rank, "padding": padding}
    x, w, bias = np.ones((2, *lengths, channels)), np.ones((3,) * rank + (channels, 16)), np.ones(channels)
    y, compiled = both(kernels.conv, x, w, **case)
    assert compiled.shape == y.shape
    assert_same(both(kernels.conv_input_grad, y, w, bias, input_size=lengths, **case), 0)
    assert_same(both(kernels.conv_kernel_grad, x, y, window=w.shape[:-2], **case), 0)
    w = w[..., :1]
    y, compiled = both(kernels.depthwise_conv, x, w, **case)
    assert compiled.shape == y.shape
    assert_same(both(kernels.depthwise_input_grad, y, w, input_size=lengths, **case), 0)
    assert_same(both(kernels.depthwise_kernel_grad, x, y, window=w.shape[:-2], **case), 0)


@pytest.mark.parametrize("groups", [1, 2])
def test_a_stride_far_beyond_the_window_is_not_laid_out_phase_by_phase(groups, monkeypatch):
    rng = np.random.default_rng(0)
    case = {"strides": (9, 9), "dilation": (1, 1), "padding": ((1, 1), (0, 0)), "groups": groups}
    g, w = rng.standard_normal((2, 3, 2, 4)), rng.standard_normal((2, 2, 6 // groups, 4))
    monkeypatch.delattr(sys.modules["minikeras.kernels.compiled.indirect"], "way_of_adjoint")
    assert_same(both(kernels.conv_input_grad, g, w, input_size=(20, 18), **case), 1e-12)


def test_an_input_of_length_zero_has_an_empty_gradient():
    case = {"strides": (1, 1), "dilation": (1, 1), "padding": ((2, 2), (1, 1)), "input_size": (0, 5)}
    g, w = np.ones((2, 2, 5, 4)), np.ones((3, 3, 4, 4))
    assert both(kernels.conv_input_grad, g, w, **case)[1].shape == (2, 0, 5, 4)
    assert both(kernels.depthwise_input_grad, g, w[..., :1], **case)[1].shape == (2, 0, 5, 4)

"""The indirect product of the compiled tier: tiles of every width, blocks of any size, registers of other machines."""

from __future__ import annotations

import math
import os
import subprocess
import sys

import numpy as np
import pytest

from minikeras import kernels
from minikeras.core import tiers
from tests.kernels import oracles
from tests.kernels.oracles import assert_convolves

pytest.importorskip("numba")

plan = sys.modules["minikeras.kernels.compiled.plan"]


@pytest.fixture(autouse=True)
def _compiled(monkeypatch):
    with tiers.kernels_scope("numba"):
        tiers.set_winograd(False)
        yield


@pytest.mark.parametrize("filters", [4, 8, 9, 16, 17, 24, 25, 32, 33, 40, 65, 71])
def test_every_width_of_a_tile_in_float64(filters):
    assert_convolves((2, 5, 4, 5), (3, 3), filters)


@pytest.mark.parametrize("filters", [4, 16, 17, 48, 49, 63, 64, 65, 129])
def test_every_width_of_a_tile_in_float32(filters):
    assert_convolves((2, 5, 4, 5), (3, 3), filters, dtype=np.float32)


@pytest.mark.parametrize("channels", [5, 8, 9, 16, 17, 33, 40])
def test_every_width_of_a_channelwise_tile(channels):
    assert_convolves((2, 5, 6, channels), (3, 2), 2 * channels, groups=channels)


@pytest.mark.parametrize("filters", [1, 2, 3])
def test_few_filters_are_sums_over_channels(filters):
    assert_convolves((2, 5, 6, 7), (3, 2), filters, strides=2)


@pytest.mark.parametrize("positions", [1, 7, 20])
@pytest.mark.parametrize(
    ("lengths", "options"),
    [((11,), {}), ((9, 7), {"strides": 2}), ((9, 7), {"padding": 0}), ((6, 5, 4), {"dilation": 2, "padding": 2})],
)
def test_images_may_be_cut_into_slabs_of_rows(lengths, options, positions, monkeypatch):
    monkeypatch.setattr(plan, "POSITIONS", positions)
    monkeypatch.setattr(plan, "LEAST_POSITIONS", 1)
    assert_convolves((3, *lengths, 4), (3,) * len(lengths), 5, **options)


@pytest.mark.parametrize(("lengths", "padding"), [((5, 14), 2), ((2, 13), 4), ((3, 4, 5), 2)])
def test_rows_at_the_edge_leave_out_what_is_padding(lengths, padding):
    assert_convolves((3, *lengths, 4), (3,) * len(lengths), 5, padding=padding)
    assert_convolves((3, *lengths, 4), (3,) * len(lengths), 5, padding=padding, dilation=2)
    assert_convolves((3, *lengths, 4), (3,) * len(lengths), 5, padding=padding, strides=2)


def test_patches_that_do_not_overlap():
    assert_convolves((2, 8, 12, 3), (4, 4), 9, padding=0, strides=4)
    assert_convolves((2, 8, 12, 5), (4, 4), 9, padding=0, strides=4)


def test_many_channels_are_multiplied_in_several_goes():
    assert_convolves((1, 2, 2, 600), (1, 1), 9, padding=0)
    assert_convolves((1, 3, 3, 130), (3, 3), 4)


def test_groups_of_several_channels_see_only_their_own():
    assert_convolves((2, 6, 5, 12), (3, 3), 9, groups=3, strides=2)


def test_positions_beyond_the_padding_of_a_gradient_are_zero():
    steps = {"strides": (3, 3), "padding": ((0, 0), (0, 0)), "dilation": (1, 1)}
    dx = kernels.conv_input_grad(np.ones((1, 2, 2, 3)), np.ones((1, 2, 4, 3)), input_size=(6, 7), **steps)
    expected = np.zeros((1, 6, 7, 4))
    expected[:, ::3, [0, 1, 3, 4]] = 3
    np.testing.assert_array_equal(dx, expected)


def test_where_nearly_all_that_an_adjoint_reads_is_zero_numpy_adds_up_the_taps():
    conv = sys.modules["minikeras.kernels.compiled.conv"]
    for x, window, filters, dilation in (((8, 7, 7, 64), (7, 7), 64, 1), ((2, 9, 12, 10, 3), (5, 5, 5), 128, 2)):
        ones, rank = (1,) * len(window), len(window)
        sizes = [n - dilation * (k - 1) for n, k in zip(x[1:-1], window, strict=True)]
        slide = (window, ones, (dilation,) * rank, ((0, 0),) * rank, 1, np.dtype("float32"), False)
        assert conv._adjoint((x[0], *sizes, filters), x[1:], *slide) is None
        assert conv._adjoint((1, *x[1:-1], 4), (*x[1:-1], 4), ones, *slide[1:]) is not None
        assert_convolves(x, window, filters, padding=0, dilation=dilation, dtype=np.float32)


MARGIN = 256


@pytest.mark.parametrize("way", ["Winograd", "indirect", "channelwise"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_nothing_around_the_arrays_is_read_or_written(dtype, way, monkeypatch):
    memories = []

    def surrounded(shape, dtype):
        size = math.prod(shape)
        memories.append((np.full(size + 2 * MARGIN, np.nan, dtype), size))
        return memories[-1][0][MARGIN : MARGIN + size].reshape(shape)

    def random(*shape):
        array = surrounded(shape, np.dtype(dtype))
        array[...] = rng.standard_normal(shape)
        return array

    rng, module = np.random.default_rng(0), sys.modules["minikeras.kernels.compiled.conv"]
    monkeypatch.setattr(sys.modules["minikeras.kernels.compiled.prepared"], "aligned_empty", surrounded)
    monkeypatch.setattr(sys.modules["minikeras.kernels.compiled.winograd"], "aligned_empty", surrounded)
    monkeypatch.setattr(module, "KERNEL_RESULTS", -1000)
    tiers.set_winograd(way == "Winograd")
    steps = {"strides": (1, 1), "dilation": (1, 1), "padding": ((1, 0), (0, 1))}
    steps["groups"] = 17 if way == "channelwise" else 1
    x, w, g = random(2, 9, 14, 17), random(3, 3, 17 // steps["groups"], 17), random(2, 8, 13, 17)
    dx, dw = oracles.conv_gradients(x, w, g, steps)
    got = (
        (kernels.conv(x, w, random(17), **steps), None),
        (kernels.conv_input_grad(g, w, input_size=(9, 14), **steps), dx),
        (kernels.conv_kernel_grad(x, g, window=(3, 3), **steps), dw),
    )
    for result, expected in got:
        assert np.isfinite(result).all()
        if expected is not None:
            np.testing.assert_allclose(result, expected, rtol=0, atol=1e-4 * np.abs(expected).max())
    assert len(memories) >= 6
    for memory, size in memories:
        assert np.isnan(memory[:MARGIN]).all()
        assert np.isnan(memory[MARGIN + size :]).all()


@pytest.mark.slow
@pytest.mark.parametrize("size", [16, 32])
def test_registers_of_another_size_give_the_same(size, tmp_path):
    """Machines have vectors of 16, 32 or 64 bytes; code for smaller ones runs on larger ones as well."""
    script = f"""
import sys
from minikeras.kernels.compiled import vectors
import minikeras
product = sys.modules["minikeras.kernels.compiled.product"]
for module in (vectors, product):
    module.registers = lambda: ({size}, (10, 6))
from tests.kernels.test_product import assert_convolves, tiers
tiers.set_kernels("numba")
for filters in (1, 4, 7, 8, 17, 33):
    assert_convolves((2, 5, 4, 5), (3, 3), filters)
assert_convolves((1, 9, 9, 17), (3, 3), 18)
assert_convolves((2, 5, 6, 9), (3, 2), 18, groups=9)
"""
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path), "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr

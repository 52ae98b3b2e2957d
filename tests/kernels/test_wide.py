"""Some results side by side as one: chosen where vectors would be empty, and the same results."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from minikeras import kernels
from minikeras.core import tiers
from tests.kernels import oracles
from tests.kernels.oracles import assert_convolves

pytest.importorskip("numba")

conv, wide = (sys.modules[f"minikeras.kernels.compiled.{name}"] for name in ("conv", "wide"))


@pytest.fixture
def forced(monkeypatch):
    """Takes wide results wherever there are any that the vectors hold; gives a list of how many were taken as one."""
    taken = []

    def first(several, fits):
        found = next((each for each in reversed(several) if fits(each)), None)
        taken.append(found.pixels if found else 1)
        return found

    def cheapest(length, rows, filters, depth, dtype, most, several):
        return first(several, lambda each: each.pixels <= length and each.pixels * filters <= 48)

    def of_kernel_gradient(axis, rows, filters, *_):
        several = [wide._convolved(axis, pixels) for pixels in (2, 3)]
        return first(several, lambda each: each.pixels <= axis.results)

    monkeypatch.setattr(wide, "_cheapest", cheapest)
    monkeypatch.setattr(wide, "of_kernel_gradient", of_kernel_gradient)
    with tiers.kernels_scope("numba"):
        tiers.set_winograd(False)
        yield taken


@pytest.mark.parametrize(
    ("lengths", "window"), [((12,), (3,)), ((5, 8), (3, 3)), ((4, 7), (2, 3)), ((3, 4, 5), (2, 1, 3)), ((6, 9), (1, 1))]
)
@pytest.mark.parametrize("options", [{}, {"strides": 2}, {"dilation": 2, "padding": 2}, {"strides": 3, "padding": 0}])
def test_wide_results_are_the_same(lengths, window, options, forced):
    assert_convolves((2, *lengths, 3), window, 4, **options)
    assert max(forced) > 1


@pytest.mark.parametrize("strides", [1, 2])
@pytest.mark.parametrize(("lengths", "window"), [((13,), (3,)), ((5, 8), (3, 3)), ((3, 4, 5), (2, 1, 3))])
def test_wide_results_of_channelwise_products_are_the_same(lengths, window, strides, forced):
    assert_convolves((2, *lengths, 3), window, 3, groups=3, strides=strides)
    assert (max(forced, default=1) > 1) == (strides == 1)


def test_wide_results_of_some_images_after_the_other_are_the_same(forced, monkeypatch):
    monkeypatch.setattr(conv, "CHUNK_BYTES", 1)
    rng, steps = np.random.default_rng(0), {"strides": (1, 1), "dilation": (1, 1), "padding": ((1, 1), (1, 1))}
    for width in (12, 7):  # all wide results are whole, and the last one is not
        x, w, y, g = (
            rng.standard_normal(s) for s in ((5, 4, width, 3), (3, 3, 3, 4), (5, 4, width, 4), (5, 4, width, 4))
        )
        got = kernels.conv_gradients(
            g, x, w, y, needs=(True,) * 3, input_size=x.shape[1:-1], window=(3, 3), groups=1, **steps
        )
        masked = np.where(y > 0, g, 0)
        expected = oracles.conv_gradients(x, w, masked, {**steps, "groups": 1})
        for a, b in zip(got, (*expected, masked.sum(axis=(0, 1, 2))), strict=True):
            np.testing.assert_allclose(a, b, rtol=0, atol=1e-12 * np.abs(b).max())
    assert max(forced) > 1


def axis(results, window, stride=1, dilation=1):
    return wide.Axis(results * stride, results, window, stride, dilation, 0)


def chosen(found):
    return 1 if found is None else found.pixels


def test_few_filters_are_taken_together_and_many_are_not():
    number = np.dtype("float32")

    def pixels(filters, window, rows=10_000):
        alone = wide.of_product(32 * window, filters, number)
        return chosen(wide.of_convolution(axis(48, window), rows, filters, 32, number, alone))

    lanes = int(wide.tile_shapes(number)[0])
    assert pixels(lanes // 2, 5) > 1
    assert pixels(lanes // 4, 3) >= pixels(lanes // 2, 3)
    assert pixels(lanes, 3) == 1
    assert pixels(4 * lanes, 7) == 1
    assert pixels(lanes // 2, 1) == 1  # the longer window would multiply zeros alone
    assert pixels(lanes // 2, 5, rows=1) == 1  # to arrange the kernel would take longer


def test_channels_of_neighbours_fill_the_vectors_of_a_channelwise_product():
    number = np.dtype("float32")
    lanes = int(wide.tile_shapes(number)[0])
    assert chosen(wide.channelwise(axis(64, 3), 10_000, lanes // 2, 3, number)) > 1
    assert chosen(wide.channelwise(axis(64, 3), 10_000, lanes, 3, number)) == 1
    assert wide.channelwise(axis(64, 3, stride=2), 10_000, lanes // 2, 3, number) is None

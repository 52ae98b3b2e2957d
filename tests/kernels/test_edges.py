"""Positions near an edge apart from the others: what they give, and that it is done where it pays."""

from __future__ import annotations

import numpy as np
import pytest

from minikeras import config, kernels
from tests.kernels import oracles

pytest.importorskip("numba")

from minikeras.kernels.compiled import edges, indirect


@pytest.fixture
def sorted_plans(monkeypatch):
    """Sort positions wherever that makes a difference; gives the numbers of parts of the plans that were made."""
    before, found = config.kernels(), []
    config.set_kernels("numba")
    real = edges.sorted_positions
    monkeypatch.setattr(edges, "sorted_positions", lambda *args: found.append(real(*args)) or found[-1])
    monkeypatch.setattr(edges, "GAIN", np.inf)
    indirect._plan_of.cache_clear()
    yield found
    indirect._plan_of.cache_clear()
    config.set_kernels(before)


def by_numpy(kernel, *args, **options):
    config.set_kernels("numpy")
    try:
        return kernel(*args, **options)
    finally:
        config.set_kernels("numba")


@pytest.mark.parametrize("seed", range(60))
def test_results_are_those_of_the_other_tier_on_random_shapes(seed, sorted_plans):
    rng = np.random.default_rng(seed)
    case = oracles.random_window_case(rng)
    lengths, groups = case.pop("lengths"), case["groups"]
    sizes = oracles.output_sizes(lengths, case["window"], case["strides"], case["dilation"], case["padding"])
    window = case.pop("window")
    images = int(rng.integers(1, 4))
    x = rng.standard_normal((images, *lengths, 2 * groups))
    w = rng.standard_normal((*window, 2, 3 * groups))
    g = rng.standard_normal((images, *sizes, 3 * groups))
    bias = rng.standard_normal(3 * groups)
    for activation in (None, "relu"):
        given = (x, w, bias), {**case, "activation": activation}
        np.testing.assert_allclose(
            kernels.conv(*given[0], **given[1]), by_numpy(kernels.conv, *given[0], **given[1]), atol=1e-10
        )
    back = (g, w), {**case, "input_size": lengths}
    np.testing.assert_allclose(
        kernels.conv_input_grad(*back[0], **back[1]), by_numpy(kernels.conv_input_grad, *back[0], **back[1]), atol=1e-10
    )


def test_positions_in_corners_and_at_edges_see_no_padding(sorted_plans):
    x, w = np.ones((2, 9, 8, 7, 4), np.float32), np.ones((3, 3, 3, 4, 5), np.float32)
    steps = {"strides": (1, 1, 1), "padding": ((1, 1), (1, 1), (0, 0)), "dilation": (1, 1, 1)}
    y = kernels.conv(x, w, **steps)
    assert [kind.taps.size for kind in sorted_plans[0]] == [6, 9, 6]
    assert y[0, 0, 0, 0, 0] == 2 * 2 * 3 * 4
    assert y[0, 4, 4, 0, 0] == 27 * 4


def test_large_gradients_of_volumes_are_sorted_and_small_ones_are_not():
    axes = [edges.seen(-2, 1, 11, 3, 1, 9)] * 3
    assert len(edges.sorted_positions(axes, (3, 3, 3), 32, 1, 16, 12)) == 25
    assert len(edges.sorted_positions(axes, (3, 3, 3), 1, 1, 1, 12)) == 1


@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("dilation", [1, 2, 3])
@pytest.mark.parametrize("start", [-5, -1, 0, 2])
def test_what_windows_see_is_what_lies_inside(start, stride, dilation):
    taps, length = 4, 9
    for window, (low, high) in enumerate(edges.seen(start, stride, 6, taps, dilation, length).T):
        inside = [0 <= start + window * stride + tap * dilation < length for tap in range(taps)]
        assert inside == [low <= tap < high for tap in range(taps)]

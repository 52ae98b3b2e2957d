from __future__ import annotations

import numpy as np
import pytest

from minikeras import kernels
from tests.kernels import oracles

pytestmark = pytest.mark.usefixtures("tier")


def make(seed, dtype=np.float64, images=3):
    rng = np.random.default_rng(seed)
    case = oracles.random_window_case(rng, with_groups=False)
    del case["groups"]
    lengths, window = case.pop("lengths"), case.pop("window")
    channels, multiplier = (int(n) for n in rng.integers(1, 4, 2))
    sizes = oracles.output_sizes(lengths, window, case["strides"], case["dilation"], case["padding"])
    x = rng.standard_normal((images, *lengths, channels)).astype(dtype)
    w = rng.standard_normal((*window, channels, multiplier)).astype(dtype)
    g = rng.standard_normal((images, *sizes, channels * multiplier)).astype(dtype)
    return x, w, g, case


@pytest.mark.parametrize("seed", range(60))
def test_depthwise_convolution_and_both_gradients_are_their_definitions(seed, block_size):
    x, w, g, case = make(seed)
    np.testing.assert_allclose(kernels.depthwise_conv(x, w, **case), oracles.depthwise_conv(x, w, **case), atol=1e-12)
    dx, dw = oracles.depthwise_gradients(x, w, g, case)
    np.testing.assert_allclose(kernels.depthwise_input_grad(g, w, input_size=x.shape[1:-1], **case), dx, atol=1e-12)
    np.testing.assert_allclose(kernels.depthwise_kernel_grad(x, g, window=w.shape[:-2], **case), dw, atol=1e-12)


@pytest.mark.parametrize("seed", range(8))
def test_float32_stays_float32_and_layouts_do_not_matter(seed):
    x, w, g, case = make(seed, np.float32)
    dx, dw = oracles.depthwise_gradients(x, w, g, case)
    x, g = (np.moveaxis(np.moveaxis(a, -1, 1).copy(), 1, -1) for a in (x, g))
    results = (
        (kernels.depthwise_conv(x, w, **case), oracles.depthwise_conv(x, w, **case)),
        (kernels.depthwise_input_grad(g, w, input_size=x.shape[1:-1], **case), dx),
        (kernels.depthwise_kernel_grad(x, g, window=w.shape[:-2], **case), dw),
    )
    for result, expected in results:
        assert result.dtype == np.float32
        assert result.flags.c_contiguous
        np.testing.assert_allclose(result, expected, atol=2e-5)


def test_an_empty_batch_gives_empty_results_and_a_zero_kernel_gradient():
    x, w, g, case = make(3, images=0)
    assert kernels.depthwise_conv(x, w, **case).shape == g.shape
    assert kernels.depthwise_input_grad(g, w, input_size=x.shape[1:-1], **case).shape == x.shape
    assert not kernels.depthwise_kernel_grad(x, g, window=w.shape[:-2], **case).any()


@pytest.mark.parametrize("activation", [None, "relu", "tanh", "sigmoid"])
def test_bias_and_activation_follow(activation, block_size):
    x, w, _, case = make(5)
    bias = np.linspace(-1, 1, w.shape[-2] * w.shape[-1])
    plain = kernels.depthwise_conv(x, w, **case) + bias
    functions = {"relu": lambda y: np.maximum(y, 0), "tanh": np.tanh, "sigmoid": lambda y: 1 / (1 + np.exp(-y))}
    expected = functions[activation](plain) if activation else plain
    np.testing.assert_allclose(kernels.depthwise_conv(x, w, bias, activation=activation, **case), expected, atol=1e-12)

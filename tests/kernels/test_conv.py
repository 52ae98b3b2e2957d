from __future__ import annotations

import numpy as np
import pytest

from minikeras import kernels
from tests.kernels import oracles

pytestmark = pytest.mark.usefixtures("tier")

CASES = range(60)


def make(seed, dtype=np.float64, images=3):
    rng = np.random.default_rng(seed)
    case = oracles.random_window_case(rng)
    lengths, window, groups = case.pop("lengths"), case.pop("window"), case["groups"]
    inputs, filters = (int(n) for n in rng.integers(1, 4, 2))
    sizes = oracles.output_sizes(lengths, window, case["strides"], case["dilation"], case["padding"])
    x = rng.standard_normal((images, *lengths, inputs * groups)).astype(dtype)
    w = rng.standard_normal((*window, inputs, filters * groups)).astype(dtype)
    g = rng.standard_normal((images, *sizes, filters * groups)).astype(dtype)
    return x, w, g, case


@pytest.mark.parametrize("seed", CASES)
def test_convolution_is_its_definition(seed, block_size):
    x, w, _, case = make(seed)
    np.testing.assert_allclose(kernels.conv(x, w, **case), oracles.conv(x, w, **case), atol=1e-12)


@pytest.mark.parametrize("seed", CASES)
def test_both_gradients_are_their_definitions(seed, block_size):
    x, w, g, case = make(seed)
    dx, dw = oracles.conv_gradients(x, w, g, case)
    np.testing.assert_allclose(kernels.conv_input_grad(g, w, input_size=x.shape[1:-1], **case), dx, atol=1e-12)
    np.testing.assert_allclose(kernels.conv_kernel_grad(x, g, window=w.shape[:-2], **case), dw, atol=1e-12)


@pytest.mark.parametrize(("channels", "filters"), [(1, 5), (3, 5), (12, 5), (20, 5), (16, 1), (17, 2)])
@pytest.mark.parametrize("dilation", [1, 2])
@pytest.mark.parametrize("lengths", [(300,), (9, 34), (4, 4, 18)])
def test_whatever_the_number_of_channels_the_three_are_faces_of_one_form(
    lengths, dilation, channels, filters, block_size
):
    rng = np.random.default_rng(channels)
    rank = len(lengths)
    window = (3,) * (rank - 1) + (2,)
    case = {"strides": (1,) * rank, "dilation": (dilation,) * rank, "padding": ((1, 2),) * rank}
    x = rng.standard_normal((2, *lengths, channels))
    w = rng.standard_normal((*window, channels, filters))
    y = kernels.conv(x, w, **case)
    expected = oracles.conv(x, w, **case, groups=1)
    np.testing.assert_allclose(y, expected, atol=1e-11)
    g = rng.standard_normal(y.shape)
    dx = kernels.conv_input_grad(g, w, input_size=lengths, **case)
    dw = kernels.conv_kernel_grad(x, g, window=window, **case)
    # a second form, so that errors can't cancel
    other_x, other_w = rng.standard_normal(x.shape), rng.standard_normal(w.shape)
    np.testing.assert_allclose(np.vdot(other_x, dx), np.vdot(oracles.conv(other_x, w, **case, groups=1), g))
    np.testing.assert_allclose(np.vdot(other_w, dw), np.vdot(oracles.conv(x, other_w, **case, groups=1), g))


@pytest.mark.parametrize("seed", range(8))
def test_float32_stays_float32(seed):
    x, w, g, case = make(seed, np.float32)
    dx, dw = oracles.conv_gradients(x, w, g, case)
    results = (
        (kernels.conv(x, w, **case), oracles.conv(x, w, **case)),
        (kernels.conv_input_grad(g, w, input_size=x.shape[1:-1], **case), dx),
        (kernels.conv_kernel_grad(x, g, window=w.shape[:-2], **case), dw),
    )
    for result, expected in results:
        assert result.dtype == np.float32
        np.testing.assert_allclose(result, expected, atol=2e-5)


@pytest.mark.parametrize("seed", range(8))
def test_an_empty_batch_gives_empty_results_and_a_zero_kernel_gradient(seed):
    x, w, g, case = make(seed, images=0)
    assert kernels.conv(x, w, **case).shape == g.shape
    assert kernels.conv_input_grad(g, w, input_size=x.shape[1:-1], **case).shape == x.shape
    dw = kernels.conv_kernel_grad(x, g, window=w.shape[:-2], **case)
    assert dw.shape == w.shape
    assert not dw.any()


@pytest.mark.parametrize("seed", range(12))
def test_any_memory_layout_goes_in_and_owned_contiguous_arrays_come_out(seed, block_size):
    x, w, g, case = make(seed)
    views = [np.moveaxis(np.moveaxis(a, -1, 1).copy(), 1, -1) for a in (x, g)]
    strided = np.repeat(w, 2, axis=-1)[..., ::2]
    for a in (*views, strided):
        a.setflags(write=False)
    for plain, viewed in (
        (kernels.conv(x, w, **case), kernels.conv(views[0], strided, **case)),
        (
            kernels.conv_input_grad(g, w, input_size=x.shape[1:-1], **case),
            kernels.conv_input_grad(views[1], strided, input_size=x.shape[1:-1], **case),
        ),
        (
            kernels.conv_kernel_grad(x, g, window=w.shape[:-2], **case),
            kernels.conv_kernel_grad(*views, window=w.shape[:-2], **case),
        ),
    ):
        np.testing.assert_allclose(viewed, plain, atol=1e-12)
        assert viewed.flags.c_contiguous
        assert viewed.flags.writeable


@pytest.mark.parametrize(
    ("activation", "function"),
    [
        (None, lambda y: y),
        ("relu", lambda y: np.maximum(y, 0)),
        ("tanh", np.tanh),
        ("sigmoid", lambda y: 1 / (1 + np.exp(-y))),
    ],
)
@pytest.mark.parametrize("seed", range(10))
def test_bias_and_activation_are_applied_to_every_output(seed, activation, function, block_size):
    x, w, g, case = make(seed)
    rng = np.random.default_rng(seed)
    bias = rng.standard_normal(w.shape[-1])
    y = kernels.conv(x, w, bias, activation=activation, **case)
    np.testing.assert_allclose(y, function(kernels.conv(x, w, **case) + bias), atol=1e-12)
    bias = rng.standard_normal(x.shape[-1])
    y = kernels.conv_input_grad(g, w, bias, input_size=x.shape[1:-1], activation=activation, **case)
    plain = kernels.conv_input_grad(g, w, input_size=x.shape[1:-1], **case)
    np.testing.assert_allclose(y, function(plain + bias), atol=1e-12)


def test_sigmoid_is_accurate_at_both_ends_and_silent():
    x = np.array([-800.0, -30.0, 0.0, 30.0, 800.0]).reshape(1, 5, 1)
    case = {"strides": (1,), "padding": ((0, 0),), "dilation": (1,)}
    with np.errstate(all="raise", under="ignore"):
        y = kernels.conv(x, np.ones((1, 1, 1)), activation="sigmoid", **case)
    np.testing.assert_allclose(y.ravel(), [0, np.exp(-30.0), 0.5, 1, 1], rtol=1e-12)


def test_inputs_that_no_window_reads_get_no_gradient_but_the_bias():
    g, w, bias = np.ones((1, 2, 1)), np.ones((1, 1, 1)), np.array([5.0])
    case = {"input_size": (6,), "strides": (3,), "padding": ((0, 0),), "dilation": (1,)}
    np.testing.assert_array_equal(kernels.conv_input_grad(g, w, **case).ravel(), [1, 0, 0, 1, 0, 0])
    np.testing.assert_array_equal(kernels.conv_input_grad(g, w, bias, **case).ravel(), [6, 5, 5, 6, 5, 5])


@pytest.mark.parametrize("multiplier", [1, 2, 3])
def test_a_convolution_with_one_channel_per_group_is_the_depthwise_convolution(multiplier, block_size):
    rng = np.random.default_rng(multiplier)
    x = rng.standard_normal((2, 9, 8, 4))
    w = rng.standard_normal((3, 2, 1, 4 * multiplier))
    case = {"strides": (2, 1), "padding": ((1, 0), (0, 2)), "dilation": (1, 3)}
    depthwise = kernels.depthwise_conv(x, w.reshape(3, 2, 4, multiplier), **case)
    np.testing.assert_allclose(kernels.conv(x, w, **case, groups=4), depthwise, atol=1e-12)

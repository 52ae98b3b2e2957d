from __future__ import annotations

import numpy as np
import pytest

from minikeras import kernels

pytestmark = pytest.mark.usefixtures("tier")

SHAPES = [((8, 3), 1), ((8, 3), -1), ((4, 5, 6, 3), -1), ((4, 3, 5, 6), 1), ((3, 4, 5), 0), ((2, 3, 4, 5, 2), 3)]
EPSILON = 1e-3


def make(shape, axis, dtype=np.float64):
    rng = np.random.default_rng(len(shape) + axis)
    x, g = rng.standard_normal((2, *shape)).astype(dtype)
    gamma, beta = rng.standard_normal((2, shape[axis])).astype(dtype)
    return 3 * x + 1, g, gamma, beta


def definition(x, gamma, beta, axis):
    others = tuple(a for a in range(x.ndim) if a != axis % x.ndim)
    shape = [-1 if a == axis % x.ndim else 1 for a in range(x.ndim)]
    mean, variance = x.mean(axis=others), x.var(axis=others)
    y = (x - mean.reshape(shape)) / np.sqrt(variance.reshape(shape) + EPSILON)
    return y * gamma.reshape(shape) + beta.reshape(shape), mean, variance


@pytest.mark.parametrize(("shape", "axis"), SHAPES)
def test_the_output_and_the_statistics_are_the_definition(shape, axis, block_size):
    x, _, gamma, beta = make(shape, axis)
    for result, expected in zip(
        kernels.batch_norm(x, gamma, beta, axis=axis, epsilon=EPSILON), definition(x, gamma, beta, axis), strict=True
    ):
        np.testing.assert_allclose(result, expected, atol=1e-12)


@pytest.mark.parametrize(("shape", "axis"), SHAPES)
def test_the_gradients_are_the_numerical_ones(shape, axis, block_size):
    x, g, gamma, beta = make(shape, axis)
    _, mean, variance = kernels.batch_norm(x, gamma, beta, axis=axis, epsilon=EPSILON)
    gradients = kernels.batch_norm_grad(
        g, x, gamma, mean, variance, axis=axis, epsilon=EPSILON, needs=(True, True, True)
    )
    rng = np.random.default_rng(0)
    arguments = (x, gamma, beta)
    for place, gradient in enumerate(gradients):
        direction = rng.standard_normal(arguments[place].shape)

        def along(step, place=place, direction=direction):
            moved = [a + step * direction if k == place else a for k, a in enumerate(arguments)]
            return np.vdot(definition(*moved, axis)[0], g)

        np.testing.assert_allclose(np.vdot(gradient, direction), (along(1e-5) - along(-1e-5)) / 2e-5, rtol=1e-6)


@pytest.mark.parametrize(("shape", "axis"), SHAPES)
def test_without_gamma_and_beta_they_are_one_and_zero(shape, axis):
    x, g, gamma, beta = make(shape, axis)
    one, zero = np.ones_like(gamma), np.zeros_like(beta)
    plain = kernels.batch_norm(x, None, None, axis=axis, epsilon=EPSILON)
    for result, expected in zip(plain, definition(x, one, zero, axis), strict=True):
        np.testing.assert_allclose(result, expected, atol=1e-12)
    case = {"axis": axis, "epsilon": EPSILON, "needs": (True, False, False)}
    dx, dgamma, dbeta = kernels.batch_norm_grad(g, x, None, *plain[1:], **case)
    np.testing.assert_allclose(dx, kernels.batch_norm_grad(g, x, one, *plain[1:], **case)[0], atol=1e-12)
    assert dgamma is None
    assert dbeta is None


def test_only_what_is_needed_is_returned():
    x, g, gamma, beta = make((4, 5, 6, 3), -1)
    _, mean, variance = kernels.batch_norm(x, gamma, beta, axis=-1, epsilon=EPSILON)
    case = {"axis": -1, "epsilon": EPSILON}
    everything = kernels.batch_norm_grad(g, x, gamma, mean, variance, needs=(True, True, True), **case)
    for needs in np.ndindex(2, 2, 2):
        needs = tuple(map(bool, needs))
        for result, need, expected in zip(
            kernels.batch_norm_grad(g, x, gamma, mean, variance, needs=needs, **case), needs, everything, strict=True
        ):
            assert (result is not None) == need
            if need:
                np.testing.assert_allclose(result, expected, atol=1e-12)


def test_a_large_mean_costs_float32_no_accuracy(block_size):
    rng = np.random.default_rng(0)
    x = (1000 + rng.standard_normal((64, 12, 12, 3))).astype(np.float32)
    y, mean, variance = kernels.batch_norm(x, None, None, axis=-1, epsilon=EPSILON)
    exact, exact_mean, exact_variance = definition(x.astype(np.float64), np.ones(3), np.zeros(3), -1)
    np.testing.assert_allclose(mean, exact_mean, rtol=1e-7)
    np.testing.assert_allclose(variance, exact_variance, rtol=1e-5)
    np.testing.assert_allclose(y, exact, atol=2e-4)


def test_any_layout_goes_in_and_owned_float32_comes_out(block_size):
    x, g, gamma, beta = make((4, 3, 5, 6), 1, np.float32)
    expected = kernels.batch_norm(x, gamma, beta, axis=1, epsilon=EPSILON)
    x, g = (a.transpose(0, 2, 3, 1) for a in (x, g))
    y, mean, variance = kernels.batch_norm(x, gamma, beta, axis=-1, epsilon=EPSILON)
    np.testing.assert_allclose(y, expected[0].transpose(0, 2, 3, 1), atol=1e-5)
    gradients = kernels.batch_norm_grad(g, x, gamma, mean, variance, axis=-1, epsilon=EPSILON, needs=(True, True, True))
    for result in (y, mean, variance, *gradients):
        assert result.dtype == np.float32
        assert result.flags.c_contiguous


@pytest.mark.parametrize("shape", [(0, 4, 3), (4, 0), (0, 0)])
def test_an_affine_map_of_nothing_is_nothing(shape):
    vector = np.ones(shape[-1])
    assert kernels.channel_affine(np.ones(shape), vector, vector, axis=-1).shape == shape


def test_an_empty_batch_has_zero_statistics():
    y, mean, variance = kernels.batch_norm(np.zeros((0, 4, 3)), None, None, axis=-1, epsilon=EPSILON)
    assert y.shape == (0, 4, 3)
    assert not mean.any()
    assert not variance.any()

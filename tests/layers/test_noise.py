"""Noise and dropout of channels: what they do to means and deviations, and that they do nothing outside of training."""

from __future__ import annotations

import copy

import numpy as np
import pytest

from minikeras import Tensor, ops
from minikeras.core.random import set_seed
from minikeras.core.tape import gradients
from minikeras.layers import (
    AlphaDropout,
    Dropout,
    GaussianDropout,
    GaussianNoise,
    SpatialDropout1D,
    SpatialDropout2D,
    SpatialDropout3D,
)
from tests.layers.properties import check_configuration
from tests.numerical import check_gradients

MAKE = [lambda: GaussianNoise(0.5), lambda: GaussianDropout(0.4), lambda: AlphaDropout(0.3)]
SPATIAL = {1: SpatialDropout1D, 2: SpatialDropout2D, 3: SpatialDropout3D}


@pytest.mark.parametrize("make", [*MAKE, lambda: SpatialDropout1D(0.5)])
def test_nothing_happens_outside_of_training(make):
    x = np.random.default_rng(0).normal(size=(2, 3, 4)).astype("float32")
    np.testing.assert_array_equal(make()(x).numpy(), x)


@pytest.mark.parametrize("make", MAKE)
def test_the_dtype_and_the_mask_stay_and_draws_differ(make):
    layer = make()
    for dtype in ("float16", "float32", "float64"):
        y = layer(np.ones((2, 30, 1), dtype), training=True, mask=np.ones((2, 30), bool))
        assert y.dtype == dtype
        assert y.mask.shape == (2, 30)
    one, other = (layer(np.ones((2, 30)), training=True).numpy() for _ in range(2))
    assert not np.array_equal(one, other)


@pytest.mark.parametrize("make", MAKE)
def test_a_seed_of_the_run_repeats_the_draws(make):
    found = []
    for _ in range(2):
        set_seed(3)
        found.append(make()(np.ones((4, 5)), training=True).numpy())
    np.testing.assert_array_equal(*found)


def test_gaussian_noise_has_mean_0_and_its_deviation():
    set_seed(0)
    noise = GaussianNoise(0.5)(np.full((400, 500), 3.0), training=True).numpy() - 3.0
    assert abs(noise.mean()) < 0.01
    assert abs(noise.std() - 0.5) < 0.01


def test_gaussian_dropout_has_mean_1_and_the_deviation_of_dropout():
    set_seed(0)
    factors = GaussianDropout(0.2)(np.full((400, 500), 2.0), training=True).numpy() / 2.0
    assert abs(factors.mean() - 1.0) < 0.01
    assert abs(factors.std() - 0.5) < 0.01  # sqrt(0.2 / 0.8)


@pytest.mark.parametrize("rate", [0.1, 0.5])
def test_alpha_dropout_keeps_mean_0_and_variance_1(rate):
    set_seed(0)
    x = np.random.default_rng(0).normal(size=(400, 500))
    y = AlphaDropout(rate)(x, training=True).numpy()
    assert abs(y.mean()) < 0.01
    assert abs(y.std() - 1.0) < 0.01
    values, counts = np.unique(y, return_counts=True)
    dropped = values[counts.argmax()]  # the one value that is taken more than once
    limit = -1.7580993408473766
    scale = ((1 - rate) * (1 + rate * limit**2)) ** -0.5
    assert dropped == pytest.approx(scale * limit - scale * limit * rate)
    assert abs(counts.max() / x.size - rate) < 0.01


def test_alpha_dropout_shares_its_choice_along_the_noise_shape():
    y = AlphaDropout(0.5, noise_shape=(None, 1), seed=1)(np.ones((50, 3)), training=True).numpy()
    assert (y == y[:, :1]).all()
    assert len(np.unique(y)) == 2


@pytest.mark.parametrize("rank", [1, 2, 3])
@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
def test_spatial_dropout_drops_whole_channels_and_scales_the_others(rank, data_format):
    layer = SPATIAL[rank](0.25, data_format, seed=2)
    shape = (40, *(2,) * rank, 50) if data_format == "channels_last" else (40, 50, *(2,) * rank)
    y = layer(np.ones(shape, "float32"), training=True).numpy()
    y = np.moveaxis(y, -1, 1) if data_format == "channels_last" else y
    y = y.reshape(40, 50, -1)
    assert (y == y[:, :, :1]).all()
    assert set(np.unique(y)) == {0.0, np.float32(1 / 0.75)}
    assert abs((y == 0).mean() - 0.25) < 0.03
    assert layer.compute_output_shape(shape) == shape


@pytest.mark.parametrize("make", MAKE)
def test_gradients_are_those_of_the_draw(make):
    x = Tensor(np.random.default_rng(0).normal(size=(3, 4)), requires_grad=True)
    step = 1e-6
    values = []
    for moved in (x.numpy(), x.numpy() + step):
        set_seed(1)
        values.append(make()(moved, training=True).numpy())
    set_seed(1)
    (dx,) = gradients(ops.sum(make()(x, training=True)), [x])
    np.testing.assert_allclose(dx.numpy(), (values[1] - values[0]) / step, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize(
    "layer",
    [
        GaussianNoise(0.1),
        GaussianDropout(0.2),
        AlphaDropout(0.1, (None, 1), 3),
        SpatialDropout2D(0.1, "channels_first"),
    ],
    ids=str,
)
def test_the_configuration_round_trips(layer):
    check_configuration(layer)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: GaussianNoise(-1, name="g"),
            r"GaussianNoise 'g': stddev must be a number in \[0, inf\). Received: -1",
        ),
        (lambda: GaussianDropout(1.0), r"rate must be a number in \[0, 1\). Received: 1.0"),
        (
            lambda: AlphaDropout(0.1, (1,))(np.ones((2, 2)), training=True),
            r"noise_shape must have a size for each axis",
        ),
        (lambda: SpatialDropout1D(0.1, noise_shape=(1, 2)), r"noise_shape follows from the input"),
        (lambda: SpatialDropout2D(0.1, "first"), r"data_format must be one of .* Received: 'first'"),
        (lambda: SpatialDropout2D(0.1)(np.ones((2, 2))), r"must have 4 axes"),
    ],
)
def test_wrong_calls_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        *[(make(), (2, 3, 4)) for make in (lambda: Dropout(0.4), *MAKE)],
        *[(SPATIAL[rank](0.4), (2, *(2,) * rank, 3)) for rank in SPATIAL],
    ],
    ids=str,
)
def test_first_and_second_derivatives_in_training_agree_with_differences(layer, shape):
    x = np.random.default_rng(0).normal(size=shape)

    def call(t):
        again = copy.deepcopy(layer)  # so that each call draws the same
        return again(ops.square(t), training=True)

    assert not np.array_equal(call(Tensor(x)).numpy(), x**2)
    check_gradients(call, [x])

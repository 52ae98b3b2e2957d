"""UpSampling1D, UpSampling2D and UpSampling3D against Keras, and what the documentation promises of them."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from minikeras.layers import AveragePooling2D, UpSampling1D, UpSampling2D, UpSampling3D
from tests.layers.properties import check_configuration, check_data_formats, check_output_shape
from tests.layers.reference import check, reference_cases
from tests.numerical import check_gradients

LAYERS = {1: UpSampling1D, 2: UpSampling2D, 3: UpSampling3D}


@pytest.mark.parametrize("case", reference_cases("UpSampling1D", "UpSampling2D", "UpSampling3D"))
def test_agrees_with_keras(case):
    check(case)


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_foretells_its_output_shape(rank):
    for size in itertools.product([1, 2, 3], repeat=rank):
        check_output_shape(LAYERS[rank](size), (2, *(3, 1, 2)[:rank], 2))
    check_output_shape(LAYERS[rank](3, "channels_first"), (2, 3, *(3, 1, 2)[:rank]))


@pytest.mark.parametrize("size", [(1, 1), (2, 3), (4, 1)])
def test_foretells_its_output_shape_when_interpolating(size):
    check_output_shape(UpSampling2D(size, interpolation="bilinear"), (2, 3, 2, 2))
    check_output_shape(UpSampling2D(size, "channels_first", "bilinear"), (2, 3, 1, 2))


def test_every_element_is_repeated():
    x = np.random.default_rng(0).normal(size=(2, 3, 4, 2))
    expected = x.repeat(2, axis=1).repeat(3, axis=2)
    np.testing.assert_array_equal(UpSampling2D((2, 3))(x).numpy(), expected)


def test_bilinear_samples_at_half_pixel_centres():
    x = np.array([0.0, 4.0]).reshape(1, 1, 2, 1)
    y = UpSampling2D((1, 4), interpolation="bilinear")(x)
    # output j lies at (j + 0.5) / 4 - 0.5 of the input; beyond the outer centres the border is repeated
    assert y.numpy().ravel().tolist() == [0.0, 0.0, 0.5, 1.5, 2.5, 3.5, 4.0, 4.0]


def test_bilinear_keeps_a_plane_but_for_its_border():
    rows, columns = np.mgrid[:4, :5]
    x = (2.0 * rows - columns)[None, ..., None]
    y = UpSampling2D(2, interpolation="bilinear")(x)
    np.testing.assert_allclose(AveragePooling2D(2)(y).numpy()[:, 1:-1, 1:-1], x[:, 1:-1, 1:-1])


def test_integers_are_interpolated_as_numbers():
    x = np.array([0, 1], np.uint8).reshape(1, 2, 1, 1)
    y = UpSampling2D((2, 1), interpolation="bilinear")(x)
    assert (y.dtype, y.numpy().ravel().tolist()) == ("float32", [0.0, 0.25, 0.75, 1.0])
    assert UpSampling2D()(x).dtype == np.uint8


def test_defaults_are_keras_s():
    assert UpSampling1D().size == (2,)
    assert UpSampling2D().size == (2, 2)
    assert UpSampling2D().interpolation == "nearest"
    assert UpSampling3D().size == (2, 2, 2)
    layer = UpSampling2D(3, "channels_first", "Bilinear")
    assert (layer.data_format, layer.interpolation) == ("channels_first", "bilinear")


def test_the_configuration_has_keras_s_forms():
    assert UpSampling1D(3).get_config()["size"] == 3
    assert UpSampling2D(3).get_config()["size"] == (3, 3)
    assert "interpolation" not in UpSampling3D().get_config()


@pytest.mark.parametrize(
    "layer",
    [
        UpSampling1D(3, name="u"),
        UpSampling2D((2, 3), "channels_first", "bilinear"),
        UpSampling3D((1, 2, 3), input_shape=(2, 2, 2, 1)),
    ],
    ids=str,
)
def test_the_configuration_round_trips(layer):
    check_configuration(layer)


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_channels_first_is_channels_last_transposed(rank):
    check_data_formats(LAYERS[rank], (2, *(2, 3, 4)[:rank], 3), size=(2, 1, 3)[:rank])


def test_channels_first_is_channels_last_transposed_when_interpolating():
    check_data_formats(UpSampling2D, (2, 2, 3, 3), size=(2, 3), interpolation="bilinear")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: UpSampling2D(0, name="u"), r"UpSampling2D 'u': size must be a positive integer. Received: 0"),
        (lambda: UpSampling1D(2.0), r"size must be a positive integer. Received: 2.0"),
        (lambda: UpSampling3D((2, 2)), r"size must be an integer or a tuple of 3, one for each axis. .*\(2, 2\)"),
        (lambda: UpSampling2D((2, -1)), r"each item of size must be a positive integer. Received: -1"),
        (
            lambda: UpSampling2D(2, interpolation="cubic", name="u"),
            r"UpSampling2D 'u': interpolation must be one of 'nearest', 'bilinear'. Received: 'cubic'",
        ),
    ],
)
def test_wrong_arguments_are_named(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_only_images_are_interpolated():
    with pytest.raises(TypeError, match=r"UpSampling1D got an unexpected keyword argument 'interpolation'"):
        UpSampling1D(2, interpolation="bilinear")


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (UpSampling1D(3), (2, 3, 2)),
        (UpSampling2D((2, 3)), (1, 2, 3, 2)),
        (UpSampling2D((2, 3), "channels_first", "bilinear"), (1, 2, 2, 3)),
        (UpSampling3D((2, 1, 2)), (1, 2, 1, 2, 2)),
    ],
    ids=str,
)
def test_first_and_second_derivatives_agree_with_differences(layer, shape):
    check_gradients(layer, [np.random.default_rng(0).normal(size=shape)])

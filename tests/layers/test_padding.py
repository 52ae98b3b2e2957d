"""ZeroPadding1D, ZeroPadding2D and ZeroPadding3D against Keras, and what the documentation promises of them."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from minikeras.layers import Cropping2D, ZeroPadding1D, ZeroPadding2D, ZeroPadding3D
from tests.layers.properties import check_configuration, check_data_formats, check_output_shape
from tests.layers.reference import check, reference_cases
from tests.numerical import check_gradients

LAYERS = {1: ZeroPadding1D, 2: ZeroPadding2D, 3: ZeroPadding3D}


@pytest.mark.parametrize("case", reference_cases("ZeroPadding1D", "ZeroPadding2D", "ZeroPadding3D"))
def test_agrees_with_keras(case):
    check(case)


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_foretells_its_output_shape(rank):
    for pair in itertools.product([0, 1, 3], [0, 2]):
        layer = LAYERS[rank]([pair, (0, 1), (2, 0)][:rank])
        check_output_shape(layer, (2, *(3, 1, 2)[:rank], 3))
    check_output_shape(LAYERS[rank](1, data_format="channels_first"), (2, 3, *(3, 1, 2)[:rank]))


def test_the_three_forms_say_the_same():
    x = np.ones((1, 2, 3, 1))
    for padding in (1, (1, 1), [1, 1], ((1, 1), (1, 1))):
        y = ZeroPadding2D(padding)(x).numpy()
        assert y.shape == (1, 4, 5, 1)
        np.testing.assert_array_equal(y[:, 1:-1, 1:-1], x)
        assert y.sum() == x.sum()


def test_one_axis_takes_before_and_after():
    assert ZeroPadding1D((1, 2))(np.ones((1, 2, 1))).numpy().ravel().tolist() == [0.0, 1.0, 1.0, 0.0, 0.0]


def test_cropping_undoes_padding():
    x = np.random.default_rng(0).normal(size=(2, 3, 4, 2))
    pairs = ((1, 2), (0, 3))
    np.testing.assert_array_equal(Cropping2D(pairs)(ZeroPadding2D(pairs)(x)).numpy(), x)


def test_defaults_are_keras_s():
    assert ZeroPadding1D().padding == ((1, 1),)
    assert ZeroPadding2D().padding == ((1, 1), (1, 1))
    assert ZeroPadding3D().padding == ((1, 1), (1, 1), (1, 1))
    assert ZeroPadding2D(1, "channels_first").data_format == "channels_first"


def test_the_configuration_has_keras_s_forms():
    assert ZeroPadding1D(2).get_config()["padding"] == (2, 2)
    assert ZeroPadding3D((1, 0, 2)).get_config()["padding"] == ((1, 1), (0, 0), (2, 2))


@pytest.mark.parametrize(
    "layer",
    [ZeroPadding1D((0, 2), name="p"), ZeroPadding2D(((1, 2), (3, 4)), "channels_first"), ZeroPadding3D(2)],
    ids=str,
)
def test_the_configuration_round_trips(layer):
    check_configuration(layer)


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_channels_first_is_channels_last_transposed(rank):
    check_data_formats(LAYERS[rank], (2, *(2, 3, 4)[:rank], 3), padding=((1, 0), (2, 1), (0, 3))[:rank])


def test_the_dtype_stays():
    for dtype in (np.float16, np.float32, np.float64, np.uint8):
        assert ZeroPadding1D()(np.ones((1, 2, 1), dtype)).dtype == dtype


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ZeroPadding2D(-1, name="p"), r"ZeroPadding2D 'p': padding must be an integer of at least 0. .*: -1"),
        (lambda: ZeroPadding1D((1, 2, 3)), r"padding must be an integer, or a pair of them. Received: \(1, 2, 3\)"),
        (lambda: ZeroPadding3D((1, 2)), r"padding must be an integer, a tuple of 3 integers or a tuple of 3 pairs"),
        (lambda: ZeroPadding2D(((1, 2), (3, 4, 5))), r"each item of padding must .* pair of them. Received: \(3, 4, 5"),
        (lambda: ZeroPadding2D("same"), r"padding must be an integer of at least 0. Received: 'same'"),
    ],
)
def test_wrong_arguments_are_named(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (ZeroPadding1D((2, 1)), (2, 3, 2)),
        (ZeroPadding2D(((1, 0), (0, 2)), "channels_first"), (1, 2, 2, 3)),
        (ZeroPadding3D((1, 0, 1)), (1, 2, 1, 2, 2)),
    ],
    ids=str,
)
def test_first_and_second_derivatives_agree_with_differences(layer, shape):
    check_gradients(layer, [np.random.default_rng(0).normal(size=shape)])

"""Cropping1D, Cropping2D and Cropping3D against Keras, and what the documentation promises of them."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from minikeras.layers import Cropping1D, Cropping2D, Cropping3D
from tests.layers.properties import check_configuration, check_data_formats, check_output_shape
from tests.layers.reference import check, reference_cases
from tests.numerical import check_gradients

LAYERS = {1: Cropping1D, 2: Cropping2D, 3: Cropping3D}


@pytest.mark.parametrize("case", reference_cases("Cropping1D", "Cropping2D", "Cropping3D"))
def test_agrees_with_keras(case):
    check(case)


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_foretells_its_output_shape(rank):
    pairs = itertools.product([0, 1, 3], [0, 2])
    for pair in pairs:
        layer = LAYERS[rank]([pair, (0, 1), (2, 0)][:rank])
        check_output_shape(layer, (2, *(7, 6, 5)[:rank], 3))
    check_output_shape(LAYERS[rank](1, data_format="channels_first"), (2, 3, *(7, 6, 5)[:rank]))


def test_the_three_forms_say_the_same():
    x = np.random.default_rng(0).normal(size=(1, 8, 7, 2))
    expected = x[:, 2:-2, 2:-2]
    for cropping in (2, (2, 2), [2, 2], ((2, 2), (2, 2)), np.array([[2, 2], [2, 2]])):
        np.testing.assert_array_equal(Cropping2D(cropping)(x).numpy(), expected)
    np.testing.assert_array_equal(Cropping2D(((1, 2), (3, 0)))(x).numpy(), x[:, 1:-2, 3:])
    np.testing.assert_array_equal(Cropping2D((1, 3))(x).numpy(), x[:, 1:-1, 3:-3])


def test_one_axis_takes_before_and_after():
    x = np.arange(7.0).reshape(1, 7, 1)
    assert Cropping1D((1, 3))(x).numpy().ravel().tolist() == [1.0, 2.0, 3.0]
    assert Cropping1D(2)(x).numpy().ravel().tolist() == [2.0, 3.0, 4.0]


def test_defaults_are_keras_s():
    assert Cropping1D().cropping == ((1, 1),)
    assert Cropping2D().cropping == ((0, 0), (0, 0))
    assert Cropping3D().cropping == ((1, 1), (1, 1), (1, 1))
    assert Cropping3D(1, "channels_first").data_format == "channels_first"
    assert Cropping2D(1, "channels_first").data_format == "channels_first"


def test_the_configuration_has_keras_s_forms():
    assert Cropping1D((1, 2)).get_config()["cropping"] == (1, 2)
    assert Cropping2D(1).get_config()["cropping"] == ((1, 1), (1, 1))


@pytest.mark.parametrize(
    "layer",
    [Cropping1D((0, 2), name="c"), Cropping2D(((1, 2), (3, 4)), "channels_first"), Cropping3D(2, trainable=False)],
    ids=str,
)
def test_the_configuration_round_trips(layer):
    check_configuration(layer)


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_channels_first_is_channels_last_transposed(rank):
    check_data_formats(LAYERS[rank], (2, *(4, 5, 6)[:rank], 3), cropping=((1, 0), (2, 1), (0, 3))[:rank])


def test_nothing_is_copied():
    x = np.zeros((1, 8, 8, 2), np.float32)
    assert np.shares_memory(Cropping2D(1)(x).numpy(), x)


def test_a_free_dimension_takes_any_length_that_leaves_something():
    layer = Cropping1D((2, 3), name="c")
    layer.build((None, None, 1))
    assert [layer(np.ones((1, n, 1))).shape for n in (6, 10)] == [(1, 1, 1), (1, 5, 1)]
    with pytest.raises(ValueError, match=r"Cropping1D 'c': cropping 2 \+ 3 of 5 steps leaves nothing"):
        layer(np.ones((1, 5, 1)))


@pytest.mark.parametrize(
    ("layer", "shape", "message"),
    [
        (
            Cropping2D(2, name="c"),
            (None, 4, 5, 1),
            r"^Cropping2D 'c': cropping 2 \+ 2 of 4 rows leaves nothing. Receiv",
        ),
        (
            Cropping2D(((1, 2), (3, 4)), "channels_first", name="c"),
            (None, 1, None, 6),
            r"cropping 3 \+ 4 of 6 columns leaves nothing. Received: .* space \(None, 6\), cropping=\(\(1, 2\), ",
        ),
        (Cropping3D(1), (None, 2, 8, 8, 1), r"cropping 1 \+ 1 of 2 planes leaves nothing"),
        (Cropping2D(1), (None, 8, 8), r"the input must have 4 axes, the batch included, and has 3"),
    ],
)
def test_an_input_of_which_nothing_is_left_is_refused_when_the_layer_is_built(layer, shape, message):
    with pytest.raises(ValueError, match=message):
        layer.build(shape)
    with pytest.raises(ValueError, match=message):
        layer.compute_output_shape(shape)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Cropping1D(-1, name="c"), r"Cropping1D 'c': cropping must be an integer of at least 0. Received: -1"),
        (lambda: Cropping1D((1, 2, 3)), r"cropping must be an integer, or a pair of them. Received: \(1, 2, 3\)"),
        (lambda: Cropping2D((1, 2, 3)), r"cropping must be an integer, a tuple of 2 integers or a tuple of 2 pairs"),
        (lambda: Cropping2D("2"), r"cropping must be an integer of at least 0. Received: '2'"),
        (lambda: Cropping2D(True), r"cropping must be an integer of at least 0. Received: True"),
        (lambda: Cropping3D((1, 2, 0.5)), r"each item of cropping must be an integer .* Received: 0.5"),
        (lambda: Cropping1D(1, "first"), r"data_format must be one of 'channels_last', .* Received: 'first'"),
    ],
)
def test_wrong_arguments_are_named(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (Cropping1D((2, 1)), (2, 5, 2)),
        (Cropping2D(((1, 0), (0, 2)), "channels_first"), (1, 2, 3, 4)),
        (Cropping3D((1, 0, 1)), (1, 3, 2, 4, 1)),
    ],
    ids=str,
)
def test_first_and_second_derivatives_agree_with_differences(layer, shape):
    check_gradients(layer, [np.random.default_rng(0).normal(size=shape)])

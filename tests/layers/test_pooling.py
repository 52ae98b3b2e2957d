"""Pooling over windows and over all of space against Keras, and what the documentation promises."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from minikeras import layers
from minikeras.core.tape import gradients
from minikeras.core.tensor import Tensor
from minikeras.layers import (
    AveragePooling1D,
    AveragePooling2D,
    AveragePooling3D,
    GlobalAveragePooling1D,
    GlobalAveragePooling2D,
    GlobalAveragePooling3D,
    GlobalMaxPooling1D,
    GlobalMaxPooling2D,
    GlobalMaxPooling3D,
    MaxPooling1D,
    MaxPooling2D,
    MaxPooling3D,
)
from tests.layers.properties import check_configuration, check_data_formats, check_output_shape
from tests.layers.reference import check, reference_cases
from tests.numerical import check_gradients

MAX = {1: MaxPooling1D, 2: MaxPooling2D, 3: MaxPooling3D}
AVERAGE = {1: AveragePooling1D, 2: AveragePooling2D, 3: AveragePooling3D}
GLOBAL_MAX = {1: GlobalMaxPooling1D, 2: GlobalMaxPooling2D, 3: GlobalMaxPooling3D}
GLOBAL_AVERAGE = {1: GlobalAveragePooling1D, 2: GlobalAveragePooling2D, 3: GlobalAveragePooling3D}
NAMES = [layer.__name__ for family in (MAX, AVERAGE, GLOBAL_MAX, GLOBAL_AVERAGE) for layer in family.values()]


@pytest.mark.parametrize("case", reference_cases(*NAMES))
def test_agrees_with_keras(case):
    check(case)


def distinct(shape):
    """Values far enough from each other that small steps leave the order of all of them."""
    return np.random.default_rng(0).permutation(int(np.prod(shape))).reshape(shape) / 10.0


# ---------------------------------------------------------------------- shapes


@pytest.mark.parametrize("family", [MAX, AVERAGE], ids=["max", "average"])
@pytest.mark.parametrize(("rank", "padding"), list(itertools.product((1, 2, 3), ("valid", "same"))))
def test_foretells_its_output_shape(family, rank, padding):
    for window, strides in itertools.product((1, 2, 3), (None, 1, 2, 4)):
        check_output_shape(family[rank](window, strides, padding), (2, *(9, 7, 6)[:rank], 3))
    layer = family[rank]((3, 2, 1)[:rank], (1, 2, 3)[:rank], padding, "channels_first")
    check_output_shape(layer, (2, 3, *(9, 7, 6)[:rank]))


@pytest.mark.parametrize("family", [GLOBAL_MAX, GLOBAL_AVERAGE], ids=["max", "average"])
@pytest.mark.parametrize("rank", [1, 2, 3])
def test_global_pooling_leaves_batch_and_channels(family, rank):
    space = (4, 1, 3)[:rank]
    last, first = family[rank](data_format="channels_last"), family[rank]("channels_first")
    assert last.compute_output_shape((None, *[None] * rank, 5)) == (None, 5)
    assert first.compute_output_shape((8, 5, *[None] * rank)) == (8, 5)
    assert last(np.ones((2, *space, 5))).shape == (2, 5)
    assert first(np.ones((2, 5, *space))).shape == (2, 5)


@pytest.mark.parametrize("family", [GLOBAL_MAX, GLOBAL_AVERAGE], ids=["max", "average"])
@pytest.mark.parametrize("rank", [1, 2, 3])
@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
def test_global_pooling_keeps_axes_of_length_one_if_told(family, rank, data_format):
    shape = (2, *(4, 3, 5)[:rank], 6)
    axes = tuple(range(1, rank + 1))
    if data_format == "channels_first":
        shape, axes = (2, 6, *shape[1:-1]), tuple(range(2, rank + 2))
    layer, x = family[rank](data_format, keepdims=True), distinct(shape)
    check_configuration(layer)
    assert layer.compute_output_shape(shape) == layer(x).shape
    expected = (np.max if family is GLOBAL_MAX else np.mean)(x, axis=axes, keepdims=True)
    np.testing.assert_allclose(layer(x).numpy(), expected, rtol=1e-6)
    check_gradients(family[rank](data_format, keepdims=True, dtype="float64"), [x])


def test_an_average_over_a_mask_keeps_its_axis_if_told():
    mask, x = np.array([[True, False, True]]), np.arange(6.0).reshape(1, 3, 2)
    np.testing.assert_array_equal(GlobalAveragePooling1D(keepdims=True)(x, mask=mask).numpy(), [[[2.0, 3.0]]])
    first = GlobalAveragePooling1D("channels_first", keepdims=True)
    np.testing.assert_array_equal(first(x.transpose(0, 2, 1), mask=mask).numpy(), [[[2.0], [3.0]]])


def test_keepdims_is_true_or_false():
    with pytest.raises(TypeError, match=r"GlobalMaxPooling2D.*keepdims must be .*Received: 'yes'"):
        GlobalMaxPooling2D(keepdims="yes")


def test_a_free_dimension_takes_any_length_that_the_window_fits():
    layer = MaxPooling1D(3, input_shape=(None, 4), name="p")
    layer.build((None, None, 4))
    assert [layer(np.ones((1, n, 4))).shape for n in (3, 10)] == [(1, 1, 4), (1, 3, 4)]
    with pytest.raises(ValueError, match=r"MaxPooling1D 'p': the window 3 spans 3 steps, the input has 2"):
        layer(np.ones((1, 2, 4)))


# ---------------------------------------------------------------------- values


def test_each_channel_is_pooled_by_itself():
    x = np.arange(16.0).reshape(1, 2, 4, 2)
    assert MaxPooling2D()(x).tolist() == [[[[10.0, 11.0], [14.0, 15.0]]]]
    assert AveragePooling2D()(x).tolist() == [[[[5.0, 6.0], [9.0, 10.0]]]]
    assert GlobalMaxPooling2D()(x).tolist() == [[14.0, 15.0]]
    assert GlobalAveragePooling2D()(x).tolist() == [[7.0, 8.0]]


def test_what_same_adds_is_no_maximum_and_does_not_count_in_an_average():
    x = -np.ones((1, 3, 1))
    for layer in (MaxPooling1D(2, padding="same"), AveragePooling1D(2, padding="same")):
        assert layer(x).numpy().ravel().tolist() == [-1.0, -1.0]


def test_among_equals_the_first_of_a_window_gets_the_gradient():
    x = Tensor(np.ones((1, 2, 2, 1)), requires_grad=True)
    (dx,) = gradients(MaxPooling2D()(x), [x])
    assert dx.numpy().ravel().tolist() == [1.0, 0.0, 0.0, 0.0]
    (dx,) = gradients(GlobalMaxPooling2D()(x), [x])
    assert dx.numpy().ravel().tolist() == [0.25, 0.25, 0.25, 0.25]


def test_averages_of_integers_are_not_rounded():
    x = np.array([1, 2], np.uint8).reshape(1, 2, 1)
    for layer in (AveragePooling1D(), GlobalAveragePooling1D()):
        y = layer(x)
        assert (y.dtype, y.item()) == ("float32", 1.5)
    assert MaxPooling1D()(x).dtype == np.uint8


# ---------------------------------------------------------------------- arguments


def test_the_strides_are_the_window_unless_given():
    layer = MaxPooling2D((3, 2))
    assert (layer.strides, layer.get_config()["strides"]) == ((3, 2), (3, 2))
    assert AveragePooling3D(2, 1).strides == (1, 1, 1)


def test_defaults_are_keras_s():
    config = AveragePooling2D(name="p").get_config()
    assert config == {
        "name": "p", "trainable": True, "dtype": "float32", "pool_size": (2, 2), "strides": (2, 2), "padding": "valid",
        "data_format": "channels_last",
    }  # fmt: skip
    assert MaxPooling1D().pool_size == (2,)
    assert MaxPooling3D().pool_size == (2, 2, 2)


@pytest.mark.parametrize(
    "layer",
    [
        MaxPooling1D(3, 2, "same", name="p"),
        MaxPooling2D((3, 2), data_format="channels_first"),
        MaxPooling3D([1, 2, 3], input_shape=(8, 8, 8, 1)),
        AveragePooling1D(3, data_format="channels_first"),
        AveragePooling2D(2, (1, 2), "SAME"),
        AveragePooling3D(),
        *(getattr(layers, name)() for name in NAMES if name.startswith("Global")),
        GlobalMaxPooling2D("channels_first", name="g"),
    ],
    ids=str,
)
def test_the_configuration_round_trips(layer):
    check_configuration(layer)


@pytest.mark.parametrize("padding", ["valid", "same"])
@pytest.mark.parametrize("family", [MAX, AVERAGE], ids=["max", "average"])
@pytest.mark.parametrize("rank", [1, 2, 3])
def test_channels_first_is_channels_last_transposed(family, rank, padding):
    check_data_formats(family[rank], (2, *(6, 5, 4)[:rank], 3), pool_size=3, strides=2, padding=padding)


@pytest.mark.parametrize("family", [GLOBAL_MAX, GLOBAL_AVERAGE], ids=["max", "average"])
@pytest.mark.parametrize("rank", [1, 2, 3])
def test_global_pooling_with_channels_first_is_that_with_channels_last(family, rank):
    check_data_formats(family[rank], (2, *(2, 3, 4)[:rank], 3))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: MaxPooling2D(0, name="p"), r"MaxPooling2D 'p': pool_size must be a positive integer. Received: 0"),
        (lambda: MaxPooling2D((2, 2, 2)), r"pool_size must be an integer or a tuple of 2.* Received: \(2, 2, 2\)"),
        (lambda: AveragePooling1D(2, 0.5), r"strides must be a positive integer. Received: 0.5"),
        (lambda: AveragePooling3D(2, "2"), r"strides must be a positive integer. Received: '2'"),
        (lambda: MaxPooling1D(padding="causal"), r"padding must be one of 'valid', 'same'. Received: 'causal'"),
        (lambda: MaxPooling2D(data_format="NHWC"), r"data_format must be one of 'channels_last'.* Received: 'NHWC'"),
        (lambda: GlobalMaxPooling1D("last"), r"GlobalMaxPooling1D '.*': data_format must be one of .*: 'last'"),
    ],
)
def test_wrong_arguments_are_named(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize(
    ("layer", "shape", "message"),
    [
        (
            MaxPooling2D(3, name="p"),
            (None, 8, 2, 1),
            r"^MaxPooling2D 'p': the window 3 spans 3 columns, the input has 2",
        ),
        (AveragePooling3D(2), (None, 1, 8, 8, 1), r"the window 2 spans 2 planes, the input has 1"),
        (MaxPooling1D(), (None, 8, 8, 1), r"the input must have 3 axes, the batch included, and has 4"),
        (
            GlobalAveragePooling2D(name="g"),
            (None, 3, 0, 1),
            r"GlobalAveragePooling2D 'g': there is nothing to pool in 0 columns. Received: .* space \(3, 0\)",
        ),
        (GlobalMaxPooling2D(name="g"), (None, 4), r"GlobalMaxPooling2D 'g': the input must have 4 axes"),
    ],
)
def test_an_input_that_does_not_fit_is_refused_when_the_layer_is_built(layer, shape, message):
    with pytest.raises(ValueError, match=message):
        layer.build(shape)


# ---------------------------------------------------------------------- gradients


@pytest.mark.parametrize("padding", ["valid", "same"])
@pytest.mark.parametrize("family", [MAX, AVERAGE], ids=["max", "average"])
@pytest.mark.parametrize("rank", [1, 2, 3])
def test_first_and_second_derivatives_agree_with_differences(family, rank, padding):
    check_gradients(family[rank](2, (1, 2, 1)[:rank], padding), [distinct((2, *(4, 3, 2)[:rank], 2))])


@pytest.mark.parametrize("family", [GLOBAL_MAX, GLOBAL_AVERAGE], ids=["max", "average"])
@pytest.mark.parametrize("rank", [1, 2, 3])
def test_derivatives_of_global_pooling_agree_with_differences(family, rank):
    check_gradients(family[rank]("channels_first"), [distinct((2, 2, *(2, 3, 2)[:rank]))])

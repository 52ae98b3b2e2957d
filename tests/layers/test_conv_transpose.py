"""Conv1DTranspose, Conv2DTranspose and Conv3DTranspose against Keras, and as adjoints of convolutions."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from minikeras.layers import Conv1D, Conv1DTranspose, Conv2D, Conv2DTranspose, Conv3D, Conv3DTranspose
from tests.layers.properties import check_configuration, check_data_formats, check_gradients, check_output_shape
from tests.layers.reference import check, reference_cases

LAYERS = {1: Conv1DTranspose, 2: Conv2DTranspose, 3: Conv3DTranspose}


@pytest.mark.parametrize("case", reference_cases("Conv1DTranspose", "Conv2DTranspose", "Conv3DTranspose"))
def test_agrees_with_keras(case):
    check(case)


# ---------------------------------------------------------------------- shapes


@pytest.mark.parametrize("padding", ["valid", "same"])
@pytest.mark.parametrize("rank", [1, 2, 3])
def test_foretells_its_output_shape(rank, padding):
    lengths = (5, 4, 3)[:rank]
    for window, (stride, dilation) in itertools.product((1, 2, 3), ((1, 1), (2, 1), (3, 1), (1, 2))):
        layer = LAYERS[rank](2, window, strides=stride, padding=padding, dilation_rate=dilation)
        check_output_shape(layer, (2, *lengths, 3))
    extra = LAYERS[rank](2, 3, 2, padding, output_padding=1, data_format="channels_first")
    check_output_shape(extra, (2, 3, *lengths))


@pytest.mark.parametrize(
    ("arguments", "length", "expected"),
    [
        ({"kernel_size": 3, "strides": 2}, 5, 11),
        ({"kernel_size": 2, "strides": 3}, 5, 15),
        ({"kernel_size": 4, "strides": 2, "padding": "same"}, 5, 10),
        ({"kernel_size": 3, "strides": 2, "padding": "same", "output_padding": 0}, 5, 9),
        ({"kernel_size": 3, "strides": 2, "padding": "same", "output_padding": 1}, 5, 10),
        ({"kernel_size": 2, "strides": 2, "padding": "same", "output_padding": 1}, 5, 9),
        ({"kernel_size": 3, "strides": 4, "output_padding": 2}, 5, 21),
        ({"kernel_size": 3, "dilation_rate": 2}, 5, 9),
    ],
)
def test_the_output_s_length_is_keras_s(arguments, length, expected):
    layer = Conv1DTranspose(1, **arguments)
    assert layer.compute_output_shape((None, length, 1)) == (None, expected, 1)
    assert layer(np.ones((1, length, 1))).shape == (1, expected, 1)


def test_the_kernel_is_that_of_the_convolution_back():
    layer = Conv2DTranspose(8, (3, 5))
    layer.ensure_built((None, 9, 9, 4))
    assert [w.shape for w in layer.weights] == [(3, 5, 8, 4), (8,)]


def test_a_free_dimension_takes_any_length():
    layer = Conv2DTranspose(2, 3, strides=2, padding="same")
    layer.ensure_built((None, None, None, 1))
    assert [layer(np.ones((1, n, 2, 1))).shape for n in (1, 4)] == [(1, 2, 4, 2), (1, 8, 4, 2)]


@pytest.mark.parametrize(
    ("rank", "arguments"),
    [
        (1, {"kernel_size": 4, "strides": 3, "padding": "same"}),
        (2, {"kernel_size": (3, 2), "strides": (2, 3), "padding": "valid"}),
        (2, {"kernel_size": 3, "dilation_rate": (2, 3), "padding": "same"}),
        (2, {"kernel_size": 3, "strides": 2, "padding": "same", "groups": 2}),
        (3, {"kernel_size": 2, "strides": (1, 2, 2), "padding": "same"}),
    ],
)
def test_is_the_adjoint_of_the_convolution_with_its_kernel(rank, arguments):
    rng = np.random.default_rng(1)
    transposed = LAYERS[rank](4, use_bias=False, dtype="float64", **arguments)
    x = rng.normal(size=(*(2, 3, 4, 5)[: rank + 1], 6))
    y = transposed(x)
    convolution = {1: Conv1D, 2: Conv2D, 3: Conv3D}[rank](6, use_bias=False, dtype="float64", **arguments)
    u = rng.normal(size=y.shape)
    convolution.ensure_built(u.shape)
    convolution.set_weights(transposed.get_weights())
    assert np.sum(y.numpy() * u) == pytest.approx(np.sum(x * convolution(u).numpy()), rel=1e-12)


# ---------------------------------------------------------------------- arguments


def test_positional_arguments_come_in_keras_s_order():
    two = Conv2DTranspose(4, 3, 2, "same", 1, "channels_first", 1, "relu", False, "ones")
    assert (two.output_padding, two.data_format, two.dilation_rate) == ((1, 1), "channels_first", (1, 1))
    three = Conv3DTranspose(4, 3, 2, "same", 1, "channels_first", "relu", False, "ones", dilation_rate=1)
    for layer in (two, three):
        config = layer.get_config()
        assert (config["activation"], config["use_bias"]) == ("relu", False)
        assert config["kernel_initializer"]["class_name"] == "Ones"


@pytest.mark.parametrize(
    "layer",
    [
        Conv1DTranspose(3, 2, 2, "same", activation="elu", name="c"),
        Conv2DTranspose(4, (3, 2), (1, 2), "same", (0, 1), "channels_first", kernel_regularizer="l2", use_bias=False),
        Conv3DTranspose(2, [1, 2, 3], dilation_rate=(1, 2, 1), bias_constraint="max_norm", groups=2),
    ],
    ids=str,
)
def test_the_configuration_round_trips(layer):
    check_configuration(layer)


@pytest.mark.parametrize("padding", ["valid", "same"])
@pytest.mark.parametrize("rank", [1, 2, 3])
def test_channels_first_is_channels_last_transposed(rank, padding):
    check_data_formats(
        LAYERS[rank], (*(2, 4, 3, 2)[: rank + 1], 2), filters=3, kernel_size=3, strides=2, padding=padding
    )


def test_a_fused_activation_is_the_function():
    x = np.random.default_rng(0).normal(size=(2, 3, 3, 2))
    fused = Conv2DTranspose(3, 2, strides=2, activation="relu", dtype="float64")
    y = fused(x)
    plain = Conv2DTranspose(3, 2, strides=2, dtype="float64", weights=fused.get_weights())
    np.testing.assert_array_equal(y.numpy(), np.maximum(plain(x).numpy(), 0))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Conv2DTranspose(1, 3, padding="causal"), r"padding must be one of 'valid', 'same'. Rec"),
        (lambda: Conv1DTranspose(1, 3, padding="causal"), r"padding must be one of 'valid', 'same'. Rec"),
        (lambda: Conv2DTranspose(1, 3, strides=2, dilation_rate=2), r"strides other than 1 and a dilation_rate"),
        (
            lambda: Conv2DTranspose(1, 3, strides=2, output_padding=-1),
            r"output_padding must be an integer of at least 0",
        ),
        (
            lambda: Conv2DTranspose(1, 3, strides=2, output_padding=(0, True)),
            r"output_padding must be .* Received: True",
        ),
        (
            lambda: Conv2DTranspose(1, 3, strides=2, output_padding=(0, 0, 0)),
            r"output_padding must be .* a tuple of 2, one",
        ),
        (
            lambda: Conv2DTranspose(1, 3, (1, 2), output_padding=(0, 2), name="c"),
            r"Conv2DTranspose 'c': output_padding must be less than the stride. Received: output_padding=\(0, 2\), str",
        ),
    ],
)
def test_wrong_arguments_are_named(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize("rows", [5, None])
@pytest.mark.parametrize(
    "arguments",
    [
        {"kernel_size": 2, "strides": 2, "output_padding": 0},
        {"kernel_size": 4, "output_padding": 0},
        {"kernel_size": (3, 4), "strides": (2, 3), "output_padding": 0},
    ],
)
def test_what_is_the_adjoint_of_no_convolution_is_refused_when_built(arguments, rows):
    layer = Conv2DTranspose(1, padding="same", name="up", **arguments)
    message = r"Conv2DTranspose 'up': this would be the adjoint of no convolution: from \d (rows|columns) it would make"
    with pytest.raises(ValueError, match=message):
        layer.build((None, rows, 5, 3))
    with pytest.raises(ValueError, match=message):
        layer.compute_output_shape((None, rows, 5, 3))
    assert layer.weights == []


def test_no_length_is_refused_with_the_arithmetic():
    layer = Conv1DTranspose(1, 2, strides=2, padding="same", output_padding=0, name="up")
    with pytest.raises(ValueError, match=r"from 5 steps it would make 8, and the convolution of these gives 4. Rec"):
        layer.build((None, 5, 1))
    with pytest.raises(ValueError, match=r"Conv1DTranspose .* from 0 steps"):
        Conv1DTranspose(1, 2)(np.ones((1, 0, 1)))


# ---------------------------------------------------------------------- gradients


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (Conv1DTranspose(2, 3, 2, "same", activation="tanh", dtype="float64"), (2, 4, 2)),
        (Conv1DTranspose(4, 2, 3, groups=2, output_padding=1, activation="softplus", dtype="float64"), (2, 3, 4)),
        (Conv2DTranspose(2, (3, 2), (1, 2), "same", activation="sigmoid", dtype="float64"), (2, 3, 3, 2)),
        (Conv2DTranspose(2, 2, dilation_rate=(2, 1), data_format="channels_first", activation="tanh", dtype="float64"),
         (1, 3, 3, 4)),
        (Conv3DTranspose(2, 2, (2, 1, 1), "same", activation="softsign", dtype="float64"), (1, 2, 2, 3, 2)),
        (Conv3DTranspose(2, (1, 2, 3), use_bias=False, dtype="float64"), (1, 2, 2, 2, 1)),
    ],
    ids=str,
)  # fmt: skip
def test_first_and_second_derivatives_agree_with_differences(layer, shape):
    check_gradients(layer, shape)

"""SeparableConv1D/2D and DepthwiseConv1D/2D against Keras, and against the convolutions they are made of."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from minikeras.core.tensor import Tensor
from minikeras.layers import Conv1D, Conv2D, DepthwiseConv1D, DepthwiseConv2D, SeparableConv1D, SeparableConv2D
from minikeras.layers.base import call_context
from tests.layers.properties import check_configuration, check_data_formats, check_gradients, check_output_shape
from tests.layers.reference import check, reference_cases

DEPTHWISE = {1: DepthwiseConv1D, 2: DepthwiseConv2D}
SEPARABLE = {1: SeparableConv1D, 2: SeparableConv2D}
NAMES = ("SeparableConv1D", "SeparableConv2D", "DepthwiseConv1D", "DepthwiseConv2D")


@pytest.mark.parametrize("case", reference_cases(*NAMES))
def test_agrees_with_keras(case):
    check(case)


# ---------------------------------------------------------------------- shapes


@pytest.mark.parametrize(("rank", "padding"), [*itertools.product((1, 2), ("valid", "same")), (1, "causal")])
def test_foretells_its_output_shape(rank, padding):
    lengths = (9, 7)[:rank]
    for window, (stride, dilation) in itertools.product((1, 2, 3), ((1, 1), (2, 1), (3, 1), (1, 2))):
        arguments = {"strides": stride, "padding": padding, "dilation_rate": dilation, "depth_multiplier": 2}
        check_output_shape(DEPTHWISE[rank](window, **arguments), (2, *lengths, 3))
        check_output_shape(SEPARABLE[rank](5, window, **arguments), (2, *lengths, 3))


def test_the_depthwise_output_s_channels_are_unknown_where_the_input_s_are():
    assert DepthwiseConv2D(3).compute_output_shape((None, 8, 8, None)) == (None, 6, 6, None)
    assert SeparableConv2D(4, 3).compute_output_shape((None, 8, 8, None)) == (None, 6, 6, 4)


def test_the_weights_are_keras_s():
    depthwise, separable = DepthwiseConv2D((3, 5), depth_multiplier=2), SeparableConv2D(7, (3, 5), depth_multiplier=2)
    for layer in (depthwise, separable):
        layer.ensure_built((None, 9, 9, 4))
    found = [[(w.name.split("/")[1], w.shape) for w in layer.weights] for layer in (depthwise, separable)]
    assert found == [
        [("depthwise_kernel", (3, 5, 4, 2)), ("bias", (8,))],
        [("depthwise_kernel", (3, 5, 4, 2)), ("pointwise_kernel", (1, 1, 8, 7)), ("bias", (7,))],
    ]


def test_unequal_strides_are_possible():
    x = np.ones((1, 7, 7, 2))
    assert DepthwiseConv2D(3, strides=(1, 2))(x).shape == (1, 5, 3, 2)
    assert SeparableConv2D(4, 3, strides=(3, 1), padding="same")(x).shape == (1, 3, 7, 4)


# ---------------------------------------------------------------------- what they compute


@pytest.mark.parametrize("rank", [1, 2])
def test_depthwise_is_one_convolution_for_each_channel(rank):
    x = np.random.default_rng(0).normal(size=(*(2, 6, 5)[: rank + 1], 3))
    layer = DEPTHWISE[rank](2, depth_multiplier=2, padding="same", dilation_rate=2, dtype="float64")
    y = layer(x).numpy()
    (kernel, bias) = layer.get_weights()
    for c in range(3):
        weights = [kernel[..., c : c + 1, :], bias[2 * c : 2 * c + 2]]
        conv = {1: Conv1D, 2: Conv2D}[rank](2, 2, padding="same", dilation_rate=2, dtype="float64", weights=weights)
        np.testing.assert_allclose(y[..., 2 * c : 2 * c + 2], conv(x[..., c : c + 1]).numpy(), atol=1e-12)


def test_separable_is_a_depthwise_and_a_pointwise_convolution():
    x = np.random.default_rng(0).normal(size=(2, 6, 5, 3))
    layer = SeparableConv2D(4, 3, (1, 2), depth_multiplier=2, activation="elu", dtype="float64")
    y = layer(x).numpy()
    depthwise, pointwise, bias = layer.get_weights()
    first = DepthwiseConv2D(3, (1, 2), depth_multiplier=2, use_bias=False, dtype="float64", weights=[depthwise])
    second = Conv2D(4, 1, activation="elu", dtype="float64", weights=[pointwise, bias])
    np.testing.assert_allclose(y, second(first(x)).numpy(), atol=1e-12)


def test_causal_outputs_do_not_see_later_inputs():
    x = np.random.default_rng(0).normal(size=(1, 9, 2)).astype(np.float32)
    changed = x.copy()
    changed[:, 6:] = 100.0
    for layer in (DepthwiseConv1D(3, padding="causal"), SeparableConv1D(2, 3, padding="causal")):
        before, after = layer(x).numpy(), layer(changed).numpy()
        np.testing.assert_array_equal(after[:, :6], before[:, :6])


# ---------------------------------------------------------------------- arguments


def test_positional_arguments_come_in_keras_s_order():
    depthwise = DepthwiseConv2D(3, 1, "same", 2, "channels_first", "relu", False, "ones", "ones", "l1", "l2")
    assert (depthwise.depth_multiplier, depthwise.data_format, depthwise.use_bias) == (2, "channels_first", False)
    config = depthwise.get_config()
    assert config["activation"] == "relu"
    assert config["depthwise_initializer"]["class_name"] == "Ones"
    assert config["bias_regularizer"]["config"]["l1"] == 0
    separable = SeparableConv1D(4, 3, 1, "same", "channels_first", 2, 3, "relu", False, "ones", "zeros")
    assert (separable.dilation_rate, separable.depth_multiplier) == ((2,), 3)
    assert separable.get_config()["depthwise_initializer"]["class_name"] == "Ones"
    assert separable.get_config()["pointwise_initializer"]["class_name"] == "Zeros"


@pytest.mark.parametrize(
    "layer",
    [
        DepthwiseConv1D(3, depth_multiplier=2, padding="causal", dilation_rate=2, name="d"),
        DepthwiseConv2D((3, 2), (1, 2), "same", depthwise_constraint="non_neg", data_format="channels_first"),
        SeparableConv1D(4, 3, activation="elu", pointwise_regularizer="l2", use_bias=False),
        SeparableConv2D(4, 3, depthwise_initializer="he_normal", pointwise_constraint="unit_norm", depth_multiplier=2),
    ],
    ids=str,
)
def test_the_configuration_round_trips(layer):
    check_configuration(layer)


@pytest.mark.parametrize("padding", ["valid", "same"])
@pytest.mark.parametrize("rank", [1, 2])
def test_channels_first_is_channels_last_transposed(rank, padding):
    arguments = {"kernel_size": 3, "strides": 2, "padding": padding, "depth_multiplier": 2}
    shape = (*(2, 6, 5)[: rank + 1], 3)
    check_data_formats(DEPTHWISE[rank], shape, **arguments)
    check_data_formats(SEPARABLE[rank], shape, filters=4, **arguments)


def test_initializers_regularizers_and_constraints_reach_their_weights():
    layer = SeparableConv2D(
        2, 1, depthwise_initializer="ones", pointwise_initializer="ones", bias_initializer="ones",
        depthwise_regularizer="l1", pointwise_regularizer="l2", bias_regularizer="l1", depthwise_constraint="non_neg",
        pointwise_constraint="unit_norm", bias_constraint="max_norm", activity_regularizer="l1",
    )  # fmt: skip
    with call_context() as context:
        y = layer(np.ones((1, 1, 1, 3), np.float32))
    assert y.numpy().ravel().tolist() == [4.0, 4.0]
    assert [float(penalty) for penalty in context.penalties] == pytest.approx([0.08])
    penalties = [float(w.regularizer(w)) for w in layer.weights]
    assert penalties == pytest.approx([0.03, 0.06, 0.02])
    assert layer.depthwise_kernel.constraint(Tensor([-1.0])).tolist() == [0.0]
    assert [type(w.constraint).__name__ for w in layer.weights] == ["NonNeg", "UnitNorm", "MaxNorm"]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: DepthwiseConv2D(3, depth_multiplier=0, name="d"), r"DepthwiseConv2D 'd': depth_multiplier must be"),
        (lambda: DepthwiseConv2D(3, depth_multiplier=1.0), r"depth_multiplier must be .* Received: 1.0"),
        (lambda: SeparableConv2D(-4, 3, name="s"), r"SeparableConv2D 's': filters must be a positive .* Received: -4"),
        (
            lambda: SeparableConv2D(4, 3, strides=2, dilation_rate=2),
            r"strides other than 1 and a dilation_rate other than 1",
        ),
        (lambda: DepthwiseConv2D(3, 2, dilation_rate=2), r"strides other than 1 and a dilation_rate other than 1"),
        (lambda: SeparableConv2D(4, 3, padding="causal"), r"padding must be one of 'valid', 'same'. Rec"),
        (
            lambda: SeparableConv1D(4, 3, padding="causal", data_format="channels_first"),
            r"padding='causal' needs data_format='channels_last'",
        ),
    ],
)
def test_wrong_arguments_are_named(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_there_is_no_kernel_initializer_but_a_depthwise_and_a_pointwise_one():
    with pytest.raises(TypeError, match=r"SeparableConv2D got an unexpected keyword argument 'kernel_initializer'"):
        SeparableConv2D(4, 3, kernel_initializer="ones")
    with pytest.raises(TypeError, match=r"DepthwiseConv2D got an unexpected keyword argument 'filters'"):
        DepthwiseConv2D(3, filters=4)


def test_an_input_that_does_not_fit_is_refused_when_the_layer_is_built():
    layer = SeparableConv2D(4, (3, 2), name="s")
    with pytest.raises(ValueError, match=r"SeparableConv2D 's': the window 2 spans 2 columns, the input has 1"):
        layer.build((None, 8, 1, 3))
    with pytest.raises(ValueError, match=r"SeparableConv2D 's': the channels of the input must be known"):
        layer.build((None, 8, 8, None))
    assert layer.weights == []


# ---------------------------------------------------------------------- gradients


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (DepthwiseConv1D(3, padding="causal", dilation_rate=2, activation="tanh", dtype="float64"), (2, 6, 2)),
        (DepthwiseConv2D((3, 2), (1, 2), "same", 2, activation="sigmoid", dtype="float64"), (2, 4, 5, 2)),
        (SeparableConv1D(3, 2, 2, data_format="channels_first", activation="softplus", dtype="float64"), (2, 2, 5)),
        (SeparableConv2D(2, 2, padding="same", depth_multiplier=2, activation="tanh", dtype="float64"), (1, 3, 4, 2)),
    ],
    ids=str,
)
def test_first_and_second_derivatives_agree_with_differences(layer, shape):
    check_gradients(layer, shape)

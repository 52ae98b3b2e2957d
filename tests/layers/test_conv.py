"""Conv1D, Conv2D and Conv3D against Keras, and what the documentation promises of them."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from minikeras import activations
from minikeras.core.tensor import Tensor
from minikeras.layers import Conv1D, Conv2D, Conv3D
from minikeras.layers.base import call_context
from minikeras.layers.conv import BaseConv
from tests.layers.properties import check_configuration, check_data_formats, check_gradients, check_output_shape
from tests.layers.reference import check, reference_cases

LAYERS = {1: Conv1D, 2: Conv2D, 3: Conv3D}


@pytest.mark.parametrize("case", reference_cases("Conv1D", "Conv2D", "Conv3D"))
def test_agrees_with_keras(case):
    check(case)


# ---------------------------------------------------------------------- shapes


@pytest.mark.parametrize(("rank", "padding"), [*itertools.product((1, 2, 3), ("valid", "same")), (1, "causal")])
def test_foretells_its_output_shape(rank, padding):
    lengths = (9, 7, 6)[:rank]
    for window, (stride, dilation) in itertools.product((1, 2, 3), ((1, 1), (2, 1), (3, 1), (1, 2))):
        layer = LAYERS[rank](2, window, strides=stride, padding=padding, dilation_rate=dilation)
        check_output_shape(layer, (2, *lengths, 3))
    if rank > 1:
        layer = LAYERS[rank](2, (3, 2, 1)[:rank], (1, 2, 3)[:rank], padding, data_format="channels_first")
        check_output_shape(layer, (2, 3, *lengths))


def test_the_weights_are_the_kernel_and_the_bias_in_keras_s_shapes():
    layer = Conv2D(8, (3, 5), groups=2)
    layer.ensure_built((None, 9, 9, 4))
    assert [(w.name.split("/")[1], w.shape) for w in layer.weights] == [("kernel", (3, 5, 2, 8)), ("bias", (8,))]
    without = Conv2D(8, (3, 5), use_bias=False)
    without.ensure_built((None, 9, 9, 4))
    assert without.bias is None
    assert [w.shape for w in without.weights] == [(3, 5, 4, 8)]


def test_a_free_dimension_takes_any_length_that_the_window_fits():
    layer = Conv1D(2, 3, input_shape=(None, 4), name="c")
    layer.ensure_built((None, None, 4))
    assert [layer(np.ones((1, n, 4))).shape for n in (3, 10)] == [(1, 1, 2), (1, 8, 2)]
    with pytest.raises(ValueError, match=r"Conv1D 'c': the window 3 spans 3 steps, the input has 2"):
        layer(np.ones((1, 2, 4)))


def test_an_empty_batch_gives_an_empty_batch():
    assert Conv2D(2, 3)(np.ones((0, 5, 5, 1), np.float32)).shape == (0, 3, 3, 2)


# ---------------------------------------------------------------------- arguments


def test_positional_arguments_come_in_keras_s_order():
    layer = Conv1D(
        4, 3, 1, "same", "channels_first", 2, "relu", False, "ones", "ones", "l1", "l2", "l1", "non_neg", "unit_norm"
    )
    config = layer.get_config()
    assert (layer.filters, layer.kernel_size, layer.strides, layer.padding) == (4, (3,), (1,), "same")
    assert (layer.data_format, layer.dilation_rate) == ("channels_first", (2,))
    assert (config["activation"], layer.use_bias) == ("relu", False)
    names = {key: value and value["class_name"] for key, value in config.items() if key.endswith(("zer", "int"))}
    assert names == {
        "kernel_initializer": "Ones",
        "bias_initializer": "Ones",
        "kernel_regularizer": "L1L2",
        "bias_regularizer": "L1L2",
        "activity_regularizer": "L1L2",
        "kernel_constraint": "NonNeg",
        "bias_constraint": "UnitNorm",
    }
    assert config["bias_regularizer"]["config"]["l2"] > 0


def test_defaults_are_keras_s():
    config = Conv2D(4, 3).get_config()
    del config["name"]
    assert config.pop("kernel_initializer")["class_name"] == "VarianceScaling"
    assert config.pop("bias_initializer")["class_name"] == "Zeros"
    assert config == {
        "trainable": True, "dtype": "float32", "filters": 4, "kernel_size": (3, 3), "strides": (1, 1),
        "padding": "valid", "data_format": "channels_last", "dilation_rate": (1, 1), "activation": "linear",
        "use_bias": True, "kernel_regularizer": None, "bias_regularizer": None, "activity_regularizer": None,
        "kernel_constraint": None, "bias_constraint": None, "groups": 1,
    }  # fmt: skip


def test_the_padding_may_be_in_any_case():
    assert Conv2D(1, 2, padding="SAME").padding == "same"
    assert Conv1D(1, 2, padding="Causal").padding == "causal"


@pytest.mark.parametrize(
    "layer",
    [
        Conv1D(3, 2, padding="causal", dilation_rate=4, activation="elu", name="c"),
        Conv2D(4, (3, 2), (1, 2), "same", "channels_first", groups=2, kernel_regularizer="l2", use_bias=False),
        Conv3D(2, [1, 2, 3], bias_constraint="max_norm", kernel_initializer="he_normal", input_shape=(8, 8, 8, 1)),
    ],
    ids=str,
)
def test_the_configuration_round_trips(layer):
    check_configuration(layer)


@pytest.mark.parametrize("padding", ["valid", "same"])
@pytest.mark.parametrize("rank", [1, 2, 3])
def test_channels_first_is_channels_last_transposed(rank, padding):
    check_data_formats(
        LAYERS[rank], (*(2, 6, 5, 4)[: rank + 1], 2), filters=4, kernel_size=2, strides=2, padding=padding, groups=2
    )


@pytest.mark.parametrize("activation", ["relu", "tanh", "sigmoid"])
def test_a_fused_activation_is_the_function(activation):
    x = np.random.default_rng(0).normal(size=(2, 5, 5, 2))
    fused = Conv2D(3, 2, activation=activation, bias_initializer="ones", dtype="float64")
    y = fused(x)
    plain = Conv2D(3, 2, dtype="float64", weights=fused.get_weights())
    np.testing.assert_allclose(y.numpy(), fused.activation(plain(x)).numpy(), rtol=1e-14)
    assert type(y.node.operation) is type(plain(x).node.operation)


def test_any_callable_is_an_activation():
    y = Conv1D(1, 1, activation=lambda x: x * 2.0, kernel_initializer="ones")(np.ones((1, 2, 1), np.float32))
    assert y.numpy().ravel().tolist() == [2.0, 2.0]


def test_the_activation_can_be_replaced():
    layer = Conv1D(1, 1, activation="relu", kernel_initializer="ones")
    x = np.full((1, 2, 1), -2.0, np.float32)
    assert layer(x).numpy().ravel().tolist() == [0.0, 0.0]
    layer.activation = activations.linear
    assert layer(x).numpy().ravel().tolist() == [-2.0, -2.0]


def test_the_base_says_what_a_subclass_must_write():
    layer = Conv1D(1, 1)
    with pytest.raises(NotImplementedError, match=r"Conv1D must write make_kernels"):
        BaseConv.make_kernels(layer, 1)
    with pytest.raises(NotImplementedError, match=r"Conv1D must write convolve"):
        BaseConv.convolve(layer, Tensor([[[1.0]]]), None)


def test_causal_outputs_do_not_see_later_inputs():
    layer = Conv1D(2, 3, padding="causal", dilation_rate=2)
    x = np.random.default_rng(0).normal(size=(1, 9, 1)).astype(np.float32)
    before = layer(x).numpy()
    x[:, 6:] = 100.0
    np.testing.assert_array_equal(layer(x).numpy()[:, :6], before[:, :6])


def test_groups_do_not_see_each_other():
    layer = Conv2D(4, 3, groups=2, kernel_initializer="ones")
    x = np.ones((1, 3, 3, 4), np.float32)
    x[..., 2:] = 10.0
    assert layer(x).numpy().ravel().tolist() == [18.0, 18.0, 180.0, 180.0]


def test_initializers_regularizers_and_constraints_reach_their_weights():
    layer = Conv2D(
        2, 1, kernel_initializer="ones", bias_initializer="ones", kernel_regularizer="l1", bias_regularizer="l2",
        kernel_constraint="non_neg", bias_constraint="unit_norm", activity_regularizer="l1",
    )  # fmt: skip
    with call_context() as context:
        y = layer(np.ones((1, 1, 1, 3), np.float32))
    assert y.numpy().ravel().tolist() == [4.0, 4.0]
    assert float(layer.kernel.regularizer(layer.kernel)) == pytest.approx(0.06)
    assert float(layer.bias.regularizer(layer.bias)) == pytest.approx(0.02)
    assert layer.kernel.constraint(Tensor([-1.0])).tolist() == [0.0]
    assert layer.bias.constraint(Tensor([3.0, 4.0])).numpy() == pytest.approx([0.6, 0.8], rel=1e-5)
    assert [float(penalty) for penalty in context.penalties] == pytest.approx([0.08])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Conv2D(0, 3, name="c"), r"Conv2D 'c': filters must be a positive integer. Received: 0"),
        (lambda: Conv2D(2.0, 3, name="c"), r"Conv2D 'c': filters must be a positive integer. Received: 2.0"),
        (lambda: Conv2D("8", 3), r"filters must be a positive integer. Received: '8'"),
        (lambda: Conv2D(True, 3), r"filters must be a positive integer. Received: True"),
        (lambda: Conv2D(1, -3), r"kernel_size must be a positive integer. Received: -3"),
        (lambda: Conv2D(1, (3, 0)), r"each item of kernel_size must be a positive integer. Received: 0"),
        (lambda: Conv2D(1, (3,)), r"kernel_size must be an integer or a tuple of 2, one for .* Received: \(3,\)"),
        (lambda: Conv3D(1, 3, strides=(1, 1)), r"strides must be an integer or a tuple of 3.* Received: \(1, 1\)"),
        (lambda: Conv1D(1, 3, dilation_rate=0), r"dilation_rate must be a positive integer. Received: 0"),
        (lambda: Conv2D(1, 3, padding="full"), r"padding must be one of 'valid', 'same'. Received: 'full'"),
        (lambda: Conv2D(1, 3, padding="causal"), r"padding must be one of 'valid', 'same'. Received: 'causal'"),
        (lambda: Conv1D(1, 3, padding=1), r"padding must be one of 'valid', 'same', 'causal'. Received: 1"),
        (
            lambda: Conv1D(1, 3, padding="causal", data_format="channels_first", name="c"),
            r"Conv1D 'c': padding='causal' needs data_format='channels_last'. Received: data_format='channels_first'",
        ),
        (lambda: Conv2D(1, 3, data_format="NHWC"), r"data_format must be one of 'channels_last'.* Received: 'NHWC'"),
        (
            lambda: Conv2D(1, 3, strides=2, dilation_rate=(1, 2), name="c"),
            r"'c': strides .* and a dilation_rate .* exclude .* Received: strides=\(2, 2\), dilation_rate=\(1, 2\)",
        ),
        (lambda: Conv2D(4, 3, groups=3), r"filters must be divisible by groups. Received: filters=4, groups=3"),
        (lambda: Conv2D(4, 3, groups=0), r"groups must be a positive integer. Received: 0"),
    ],
)
def test_wrong_arguments_are_named(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize(
    ("layer", "shape", "message"),
    [
        (
            Conv2D(1, 5, dilation_rate=2, name="conv2d_3"),
            (None, 7, None, 1),
            r"^Conv2D 'conv2d_3': the window 5 with dilation 2 spans 9 rows, the input has 7. Received: an input with",
        ),
        (Conv2D(1, 3, name="c"), (None, 8, 8, None), r"'c': the channels .* must be known .* \(None, 8, 8, None\)"),
        (Conv2D(1, 3, name="c"), (None, 8, 8), r"'c': the input must have 4 axes.* has 3. Received: shape \(None, 8"),
        (Conv2D(4, 3, groups=4, name="c"), (None, 8, 8, 6), r"'c': the channels .* divisible .* 6 channels, groups=4"),
    ],
)
def test_an_input_that_does_not_fit_is_refused_when_the_layer_is_built(layer, shape, message):
    with pytest.raises(ValueError, match=message):
        layer.build(shape)
    assert layer.weights == []


def test_other_channels_than_it_was_built_for_are_refused():
    layer = Conv2D(1, 1, name="c")
    layer(np.ones((1, 2, 2, 3)))
    with pytest.raises(ValueError, match=r"Conv2D 'c': axis -1 of the input must have size 3, and has 4. Received"):
        layer(np.ones((1, 2, 2, 4)))


# ---------------------------------------------------------------------- gradients


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (Conv1D(2, 3, padding="causal", dilation_rate=2, activation="tanh", dtype="float64"), (2, 6, 2)),
        (Conv1D(4, 2, strides=2, groups=2, activation="softplus", dtype="float64"), (2, 7, 4)),
        (Conv2D(2, (3, 2), strides=(1, 2), padding="same", activation="sigmoid", dtype="float64"), (2, 4, 5, 2)),
        (Conv2D(2, 2, dilation_rate=(2, 1), data_format="channels_first", activation="tanh", dtype="float64"),
         (1, 3, 5, 4)),
        (Conv3D(2, 2, strides=(2, 1, 1), padding="same", activation="softsign", dtype="float64"), (1, 3, 3, 4, 2)),
        (Conv3D(2, (1, 2, 3), use_bias=False, dtype="float64"), (1, 2, 3, 4, 1)),
    ],
    ids=str,
)  # fmt: skip
def test_first_and_second_derivatives_agree_with_differences(layer, shape):
    check_gradients(layer, shape)

"""LocallyConnected1D and LocallyConnected2D against Keras and against loops."""

from __future__ import annotations

import numpy as np
import pytest

from minikeras.layers import LocallyConnected1D, LocallyConnected2D
from tests.layers.properties import check_configuration, check_gradients
from tests.layers.reference import check, reference_cases


@pytest.mark.parametrize("case", reference_cases("LocallyConnected1D", "LocallyConnected2D"))
def test_agrees_with_keras(case):
    check(case)


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
def test_each_position_has_its_own_kernel_in_the_order_of_the_data_format(data_format):
    layer = LocallyConnected2D(3, (2, 3), (2, 1), data_format=data_format, bias_initializer="uniform", dtype="float64")
    shape = (2, 5, 4, 2) if data_format == "channels_last" else (2, 2, 5, 4)
    x = np.random.default_rng(0).normal(size=shape)
    y = layer(x).numpy()
    assert y.shape == layer.compute_output_shape(shape)
    kernel, bias = layer.get_weights()
    assert (kernel.shape, bias.shape) == ((4, 12, 3), (2, 2, 3))
    for row in range(2):
        for column in range(2):
            rows, columns = slice(2 * row, 2 * row + 2), slice(column, column + 3)
            last = data_format == "channels_last"
            seen = x[:, rows, columns] if last else x[:, :, rows, columns]
            expected = seen.reshape(2, -1) @ kernel[2 * row + column] + bias[row, column]
            np.testing.assert_allclose(y[:, row, column] if last else y[:, :, row, column], expected)


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (LocallyConnected1D(2, 2, 2, activation="tanh", dtype="float64"), (2, 5, 2)),
        (LocallyConnected1D(2, 3, data_format="channels_first", use_bias=False, dtype="float64"), (2, 2, 4)),
        (LocallyConnected2D(1, 2, (1, 2), data_format="channels_first", dtype="float64"), (1, 2, 3, 4)),
    ],
    ids=str,
)
def test_first_and_second_derivatives_agree_with_differences(layer, shape):
    check_gradients(layer, shape)


@pytest.mark.parametrize(
    "layer",
    [LocallyConnected1D(2, 3, 2, activation="relu"), LocallyConnected2D(1, (2, 1), kernel_regularizer="l2")],
    ids=str,
)
def test_the_configuration_round_trips(layer):
    check_configuration(layer)
    assert "dilation_rate" not in layer.get_config()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: LocallyConnected2D(1, 2, padding="same", name="l"), r"'l': padding must be one of 'valid'. Received"),
        (
            lambda: LocallyConnected2D(1, 2).build((None, None, 4, 1)),
            r"all sizes .* must be known .*\(None, None, 4, 1",
        ),
        (lambda: LocallyConnected1D(0, 2), r"filters must be a positive integer. Received: 0"),
        (lambda: LocallyConnected1D(1, 5)(np.ones((1, 4, 1))), r"the window 5 spans 5 steps, the input has 4"),
    ],
)
def test_wrong_calls_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_an_input_of_another_length_is_refused():
    layer = LocallyConnected1D(1, 2)
    layer(np.ones((1, 4, 1), "float32"))
    with pytest.raises(ValueError, match="axis 1 of the input must have size 4, and has 5"):
        layer(np.ones((1, 5, 1), "float32"))

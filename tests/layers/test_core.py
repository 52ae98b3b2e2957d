"""Dense, Activation, Dropout, Flatten, Reshape, Permute and RepeatVector against Keras and their documentation."""

from __future__ import annotations

import copy

import numpy as np
import pytest

from minikeras import ops, seed_scope, set_seed
from minikeras.core import config, threads
from minikeras.core.tape import gradients
from minikeras.core.tensor import Tensor
from minikeras.layers import Activation, Dense, Dropout, Flatten, Permute, RepeatVector, Reshape
from minikeras.layers.base import call_context
from tests.layers import properties
from tests.layers.properties import check_configuration
from tests.layers.reference import check, reference_cases
from tests.numerical import check_gradients


@pytest.mark.parametrize("case", reference_cases("Dense", "Flatten", "Permute", "RepeatVector", "Reshape"))
def test_agrees_with_keras(case):
    check(case)


# ---------------------------------------------------------------------- dense


def test_dense_works_on_the_last_axis_of_any_number():
    layer = Dense(4, activation="tanh", dtype="float64")
    for shape in ((2, 3), (2, 5, 3), (2, 5, 1, 3), (0, 3)):
        x = np.random.default_rng(0).normal(size=shape)
        y = layer(x)
        assert y.shape == layer.compute_output_shape(shape) == (*shape[:-1], 4)
        kernel, bias = layer.get_weights()
        np.testing.assert_allclose(y.numpy(), np.tanh(x @ kernel + bias), rtol=1e-12)
    assert layer.compute_output_shape((None, None, 3)) == (None, None, 4)


def test_the_weights_of_dense_are_the_kernel_and_the_bias():
    layer = Dense(4, input_dim=3)
    assert layer.batch_input_shape == (None, 3)
    layer.build((None, 3))
    assert [(w.name.split("/")[1], w.shape) for w in layer.weights] == [("kernel", (3, 4)), ("bias", (4,))]
    without = Dense(4, use_bias=False)
    without.build((None, 3))
    assert without.bias is None
    assert [w.shape for w in without.weights] == [(3, 4)]


@pytest.mark.parametrize("activation", ["relu", "tanh", "sigmoid", "elu"])
def test_a_fused_activation_is_the_function(activation):
    x = np.random.default_rng(0).normal(size=(5, 3))
    fused = Dense(4, activation=activation, bias_initializer="ones", dtype="float64")
    y = fused(x)
    plain = Dense(4, dtype="float64", weights=fused.get_weights())
    np.testing.assert_allclose(y.numpy(), fused.activation(plain(x)).numpy(), rtol=1e-14)


def test_the_activation_of_dense_may_be_changed_and_may_be_any_callable():
    layer = Dense(1, activation="relu", kernel_initializer="ones")
    x = -np.ones((1, 2), np.float32)
    assert layer(x).item() == 0.0
    layer.activation = lambda y: y * 2.0
    assert layer(x).item() == -4.0


def test_positional_arguments_of_dense_come_in_keras_s_order():
    layer = Dense(4, "relu", False, "ones", "ones", "l1", "l2", "l1", "non_neg", "unit_norm")
    config = layer.get_config()
    assert (layer.units, config["activation"], layer.use_bias) == (4, "relu", False)
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


def test_defaults_of_dense_are_keras_s():
    config = Dense(4, name="d").get_config()
    assert config.pop("kernel_initializer")["class_name"] == "VarianceScaling"
    assert config.pop("bias_initializer")["class_name"] == "Zeros"
    assert config == {
        "name": "d", "trainable": True, "dtype": "float32", "units": 4, "activation": "linear", "use_bias": True,
        "kernel_regularizer": None, "bias_regularizer": None, "activity_regularizer": None, "kernel_constraint": None,
        "bias_constraint": None,
    }  # fmt: skip


def test_initializers_regularizers_and_constraints_of_dense_reach_their_weights():
    layer = Dense(
        2, kernel_initializer="ones", bias_initializer="ones", kernel_regularizer="l1", bias_regularizer="l2",
        kernel_constraint="non_neg", bias_constraint="unit_norm", activity_regularizer="l1",
    )  # fmt: skip
    with call_context() as context:
        y = layer(np.ones((1, 3), np.float32))
    assert y.tolist() == [[4.0, 4.0]]
    assert float(layer.kernel.regularizer(layer.kernel)) == pytest.approx(0.06)
    assert float(layer.bias.regularizer(layer.bias)) == pytest.approx(0.02)
    assert layer.kernel.constraint(Tensor([-1.0])).tolist() == [0.0]
    assert type(layer.bias.constraint).__name__ == "UnitNorm"
    assert [float(penalty) for penalty in context.penalties] == pytest.approx([0.08])


def test_dense_takes_integers_as_numbers():
    y = Dense(1, kernel_initializer="ones")(np.array([[250, 250]], np.uint8))
    assert (y.dtype, y.item()) == ("float32", 500.0)


def test_dense_refuses_other_channels_than_it_was_built_for():
    layer = Dense(2, name="d")
    layer(np.ones((1, 3)))
    with pytest.raises(ValueError, match=r"Dense 'd': axis -1 of the input must have size 3, and has 4. Received"):
        layer(np.ones((1, 4)))


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((None, None), r"Dense 'd': the last axis of the input must be known .* Received: input shape \(None, None\)"),
        ((3,), r"Dense 'd': the input must have at least 2 axes, the batch included, and has 1. Received: shape \(3,"),
    ],
)
def test_an_input_that_dense_has_no_kernel_for_is_refused(shape, message):
    layer = Dense(2, name="d")
    with pytest.raises(ValueError, match=message):
        layer.ensure_built(shape)
    assert layer.weights == []


@pytest.mark.parametrize(("activation", "shape"), [("tanh", (3, 2)), ("softplus", (2, 2, 3)), (None, (1, 4))])
def test_derivatives_of_dense_agree_with_differences(activation, shape):
    properties.check_gradients(Dense(3, activation=activation, dtype="float64"), shape)


# ---------------------------------------------------------------------- activation


def test_an_activation_is_given_by_name_or_function():
    x = np.array([[-1.0, 2.0]], np.float32)
    assert Activation("relu")(x).tolist() == [[0.0, 2.0]]
    assert Activation(lambda y: y * 3.0)(x).tolist() == [[-3.0, 6.0]]
    assert Activation("linear")(x).tolist() == x.tolist()
    np.testing.assert_allclose(Activation("softmax")(x).numpy().sum(), 1.0, rtol=1e-6)


def test_an_activation_of_integers_is_a_floating_point_number():
    assert Activation("relu")(np.array([[1, -1]])).dtype == "float32"


def test_an_unknown_activation_is_refused():
    with pytest.raises(ValueError, match=r"Unknown activation: 'rellu'. Did you mean 'relu'"):
        Activation("rellu")


# ---------------------------------------------------------------------- dropout


def test_dropout_does_nothing_outside_of_training():
    x = Tensor(np.ones((4, 5), np.float32))
    layer = Dropout(0.5)
    assert layer(x) is x
    assert layer(x, training=False) is x
    assert Dropout(0.0)(x, training=True) is x


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.9])
def test_dropout_drops_at_its_rate_and_scales_the_rest(rate):
    x = np.full((200, 500), 3.0, np.float32)
    y = Dropout(rate, seed=0)(x, training=True).numpy()
    kept = y != 0
    assert y.dtype == np.float32
    np.testing.assert_allclose(y[kept], 3.0 / (1.0 - rate), rtol=1e-6)
    assert abs(kept.mean() - (1.0 - rate)) < 4 * np.sqrt(rate * (1 - rate) / x.size)
    for axis in (0, 1):  # no row or column is dropped more than chance has it
        spread = kept.mean(axis=axis).std() / np.sqrt(rate * (1 - rate) / x.shape[axis])
        assert 0.8 < spread < 1.2


def test_each_call_draws_anew_and_neighbours_are_independent():
    layer = Dropout(0.5, seed=0)
    x = np.ones((1, 100_001), np.float32)  # an odd number: half a random word is left over
    first, second = (layer(x, training=True).numpy().ravel() > 0 for _ in range(2))
    assert abs((first == second).mean() - 0.5) < 0.01
    assert abs((first[1:] == first[:-1]).mean() - 0.5) < 0.01


def test_the_gradient_flows_where_elements_were_kept():
    x = Tensor(np.ones((3, 40)), requires_grad=True)
    y = Dropout(0.75, seed=0)(x, training=True)
    (dx,) = gradients(ops.sum(y), [x])
    np.testing.assert_array_equal(dx.numpy(), y.numpy())
    assert set(np.unique(y.numpy())) == {0.0, 4.0}


def test_the_noise_shape_shares_the_choice_along_axes_of_size_one():
    x = np.ones((8, 6, 40), np.float32)
    y = Dropout(0.5, noise_shape=(None, 1, None), seed=0)(x, training=True).numpy()
    assert (y == y[:, :1]).all()
    assert not (y == y[:1]).all()
    same = Dropout(0.5, noise_shape=(8, 1, 40), seed=0)(x, training=True).numpy()
    np.testing.assert_array_equal(same, y)


def test_dropout_is_reproducible_by_its_seed_and_by_that_of_the_run():
    x = np.ones((2, 50), np.float32)

    def draw(**arguments):
        return Dropout(0.5, **arguments)(x, training=True).numpy()

    np.testing.assert_array_equal(draw(seed=7), draw(seed=7))
    assert (draw(seed=7) != draw(seed=8)).any()
    with seed_scope(0):
        first, second = draw(), draw()
        set_seed(0)
        np.testing.assert_array_equal(draw(), first)
    assert (first != second).any()


def test_a_layer_s_stream_is_its_own():
    x = np.ones((2, 50), np.float32)
    with seed_scope(0):
        one, other = Dropout(0.5), Dropout(0.5)
        expected = copy.deepcopy(other)(x, training=True)
        one(x, training=True)
        np.testing.assert_array_equal(other(x, training=True).numpy(), expected.numpy())


def test_dropout_follows_the_context():
    x = np.ones((2, 50), np.float32)
    layer = Dropout(0.5)
    with call_context(training=True):
        assert (layer(x).numpy() == 0).any()
        assert not (layer(x, training=False).numpy() == 0).any()


def test_dropped_integers_are_numbers():
    assert Dropout(0.5, seed=0)(np.ones((1, 9), int), training=True).dtype == "float32"


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: Dropout(1.0, name="d"), ValueError, r"Dropout 'd': rate must be a number in \[0, 1\). Received: 1.0"),
        (lambda: Dropout(-0.1), ValueError, r"rate must be a number in \[0, 1\). Received: -0.1"),
        (lambda: Dropout("0.5"), TypeError, r"rate must be a number in \[0, 1\). Received: '0.5'"),
        (lambda: Dropout(0.5, seed=-1), ValueError, r"seed must be an integer of at least 0. Received: -1"),
        (lambda: Dropout(0.5, seed=1.5), ValueError, r"seed must be an integer of at least 0. Received: 1.5"),
        (lambda: Dropout(0.5, noise_shape=2), ValueError, r"noise_shape must be a tuple .* Write noise_shape=\(2,\)"),
        (
            lambda: Dropout(0.5, noise_shape=(2, 3), name="d")(np.ones((2, 4)), training=True),
            ValueError,
            r"Dropout 'd': noise_shape must have .* Received: noise_shape=\(2, 3\), an input of shape \(2, 4\)",
        ),
        (
            lambda: Dropout(0.5, noise_shape=(2,))(np.ones((2, 4)), training=True),
            ValueError,
            r"Received: noise_shape=\(2,\), an input of shape \(2, 4\)",
        ),
    ],
)
def test_wrong_arguments_of_dropout_are_named(make, error, message):
    with pytest.raises(error, match=message):
        make()


def test_derivatives_of_dropout_agree_with_differences():
    keep = np.random.default_rng(0).random((3, 1, 2)) < 0.5
    x = np.random.default_rng(1).normal(size=(3, 4, 2))
    check_gradients(lambda t: ops.dropout(ops.square(t), keep=keep, scale=2.0), [x])
    np.testing.assert_array_equal(ops.dropout(x, keep=keep, scale=2.0).numpy(), np.where(keep, 2.0 * x, 0.0))


# ---------------------------------------------------------------------- shape


@pytest.mark.parametrize(
    ("layer", "shape", "expected"),
    [
        (Flatten(), (2, 3, 4), (2, 12)),
        (Flatten(), (2, 3), (2, 3)),
        (Flatten(), (0, 3, 4), (0, 12)),
        (Flatten("channels_first"), (2, 3, 4, 5), (2, 60)),
        (Flatten(), (None, 3, None), (None, None)),
        (Reshape((6, 2)), (2, 3, 4), (2, 6, 2)),
        (Reshape((6, -1)), (2, 3, 4), (2, 6, 2)),
        (Reshape([-1]), (0, 3, 4), (0, 12)),
        (Reshape(()), (2, 1), (2,)),
        (Reshape((1, -1)), (2,), (2, 1, 1)),
        (Reshape((2, -1)), (None, None, 4), (None, 2, None)),
        (Reshape((2, 8)), (None, None, 4), (None, 2, 8)),
        (Permute((2, 1)), (2, 3, 4), (2, 4, 3)),
        (Permute((3, 1, 2)), (None, 3, None, 5), (None, 5, 3, None)),
        (RepeatVector(3), (2, 4), (2, 3, 4)),
        (RepeatVector(3), (None, None), (None, 3, None)),
        (Dropout(0.5), (None, 3, None), (None, 3, None)),
        (Activation("relu"), (None, 3, None), (None, 3, None)),
    ],
)
def test_foretells_its_output_shape(layer, shape, expected):
    assert layer.compute_output_shape(shape) == expected
    if None not in shape:
        assert layer(np.ones(shape)).shape == expected


def test_flatten_orders_channels_last_whatever_the_format():
    x = np.random.default_rng(0).normal(size=(2, 3, 4, 5))
    first = Flatten("channels_first")(np.moveaxis(x, -1, 1))
    np.testing.assert_array_equal(first.numpy(), Flatten("channels_last")(x).numpy())


def test_the_format_of_flatten_is_that_of_images_unless_given():
    with config.scope(image_data_format="channels_first"):
        assert Flatten().data_format == "channels_first"
    assert Flatten().data_format == "channels_last"


def test_reshape_and_flatten_copy_nothing():
    x = np.zeros((2, 3, 4), np.float32)
    assert np.shares_memory(Flatten()(x).numpy(), x)
    assert np.shares_memory(Reshape((4, 3))(x).numpy(), x)


@pytest.mark.parametrize(
    "layer",
    [
        Dense(3, "elu", kernel_regularizer="l2", bias_constraint="max_norm", input_shape=(4,), name="d"),
        Activation("tanh", input_shape=(None, 3)),
        Dropout(0.3, noise_shape=(None, 1), seed=4),
        Dropout(0),
        Flatten("channels_first"),
        Reshape([3, -1]),
        Permute([2, 1]),
        RepeatVector(3),
    ],
    ids=str,
)
def test_the_configuration_round_trips(layer):
    check_configuration(layer)


def test_configurations_hold_tuples_and_plain_numbers():
    assert Reshape([3, np.int64(-1)]).get_config()["target_shape"] == (3, -1)
    assert Permute([2, 1]).get_config()["dims"] == (2, 1)
    assert Dropout(0.5, [None, 1]).get_config()["noise_shape"] == (None, 1)
    assert type(RepeatVector(np.int32(3)).get_config()["n"]) is int


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Dense(0, name="d"), r"Dense 'd': units must be a positive integer. Received: 0"),
        (lambda: Dense(2.0), r"units must be a positive integer. Received: 2.0"),
        (lambda: Dense(True), r"units must be a positive integer. Received: True"),
        (lambda: Reshape(5, name="r"), r"Reshape 'r': target_shape must be a tuple of integers. Received: 5"),
        (lambda: Reshape((2, 0)), r"target_shape must hold positive integers, and -1 at most once. Received: \(2, 0\)"),
        (lambda: Reshape((-1, -1)), r"and -1 at most once. Received: \(-1, -1\)"),
        (lambda: Reshape((2, -2)), r"each size of target_shape must be an integer of at least -1. Received: -2"),
        (lambda: Reshape((2, -1.0)), r"each size of target_shape must be an integer .* Received: -1.0"),
        (lambda: Permute((0, 1), name="p"), r"Permute 'p': each size of dims must be a positive integer. Received: 0"),
        (lambda: Permute((1, 3)), r"dims must hold each axis from 1 to 2 once; the batch, .* Received: \(1, 3\)"),
        (lambda: Permute((1, 1)), r"dims must hold each axis from 1 to 2 once"),
        (lambda: Permute(1), r"dims must be a tuple of integers. Received: 1"),
        (lambda: RepeatVector(0, name="r"), r"RepeatVector 'r': n must be a positive integer. Received: 0"),
        (lambda: RepeatVector(2.0), r"n must be a positive integer. Received: 2.0"),
        (lambda: Flatten("last"), r"data_format must be one of 'channels_last', .* Received: 'last'"),
    ],
)
def test_wrong_arguments_are_named(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize(
    ("layer", "shape", "message"),
    [
        (
            Reshape((5,), name="r"),
            (None, 2, 3),
            r"Reshape 'r': a sample of shape \(2, 3\) has 6 elements, which don't fit .* Received: target_shape=\(5,\)",
        ),
        (Reshape((-1, 4)), (None, 2, 3), r"has 6 elements, which don't fit .* Received: target_shape=\(-1, 4\)"),
        (Reshape((3,)), (None, 2, 3), r"has 6 elements, which don't fit"),
        (Permute((2, 1)), (None, 2), r"the input must have 3 axes, the batch included, and has 2"),
        (RepeatVector(2), (None, 2, 3), r"the input must have 2 axes, the batch included, and has 3"),
        (Flatten(name="f"), (None,), r"Flatten 'f': the input must have at least 2 axes"),
    ],
)
def test_an_input_that_does_not_fit_is_refused_when_the_layer_is_built(layer, shape, message):
    with pytest.raises(ValueError, match=message):
        layer.ensure_built(shape)


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (Activation("tanh"), (2, 3)),
        (Flatten("channels_first"), (2, 2, 3)),
        (Reshape((3, -1)), (2, 2, 3)),
        (Permute((2, 3, 1)), (2, 2, 3, 1)),
        (RepeatVector(3), (2, 3)),
    ],
    ids=str,
)
def test_first_and_second_derivatives_agree_with_differences(layer, shape):
    check_gradients(layer, [np.random.default_rng(0).normal(size=shape)])


@pytest.mark.parametrize("shape", [(3, 5), (501, 1001)])
def test_dropout_drops_the_same_elements_whatever_the_number_of_threads(shape):
    found = []
    for number in (1, 2, 3):
        before = threads.num_threads()
        threads.set_num_threads(number)
        try:
            layer = Dropout(0.3, seed=4)
            found.append([layer(np.ones(shape, "float32"), training=True).numpy() for _ in range(2)])
        finally:
            threads.set_num_threads(before)
    np.testing.assert_array_equal(found[0], found[1])
    np.testing.assert_array_equal(found[0], found[2])
    assert not np.array_equal(found[0][0], found[0][1])

"""Masking, Embedding, TimeDistributed, Lambda and ActivityRegularization."""

from __future__ import annotations

import numpy as np
import pytest

from minikeras import Tensor, layers, ops
from minikeras.core.tape import gradients
from minikeras.layers import (
    ActivityRegularization,
    Conv1D,
    Conv2D,
    Dense,
    Embedding,
    GlobalAveragePooling1D,
    Input,
    Lambda,
    Masking,
    TimeDistributed,
    Wrapper,
)
from minikeras.layers.context import call_context
from minikeras.registry import custom_object_scope
from tests import numerical
from tests.layers.properties import check_configuration, check_gradients, check_output_shape

WORDS = np.array([[1, 2, 0], [3, 0, 0]])


def twice(x):
    return 2 * x


def test_masking_masks_where_all_channels_have_the_value():
    y = Masking(2.0)(np.array([[[2.0, 2.0], [2.0, 1.0], [0.0, 0.0]]]))
    assert y.numpy().tolist() == [[[0.0, 0.0], [2.0, 1.0], [0.0, 0.0]]]
    assert y.mask.numpy().tolist() == [[False, True, True]]
    check_configuration(Masking(-1.0))
    check_output_shape(Masking(), (2, 3, 4))


def test_a_mask_flows_through_layers_that_know_it_and_no_others():
    x = Masking()(np.ones((1, 3, 2), "float32"))
    for layer in (Dense(2), layers.Activation("relu"), layers.Dropout(0.1), layers.BatchNormalization()):
        assert layer(x).mask.numpy().tolist() == [[True, True, True]]
    for layer in (Conv1D(1, 1), layers.Flatten(), layers.MaxPooling1D(1)):
        with pytest.raises(TypeError, match="does not support masking"):
            layer(x)


def test_global_average_pooling_averages_the_steps_that_count():
    x = np.random.default_rng(0).normal(size=(2, 3, 2))
    mask = np.array([[True, False, True], [False, False, False]])
    y = GlobalAveragePooling1D()(x, mask=mask)
    np.testing.assert_allclose(y.numpy(), [x[0, [0, 2]].mean(axis=0), [0.0, 0.0]])
    assert y.mask is None
    layer = GlobalAveragePooling1D(data_format="channels_first")
    first = layer(np.moveaxis(x, 1, 2), mask=mask)
    np.testing.assert_allclose(first.numpy(), y.numpy())
    with pytest.raises(ValueError, match=r"global_average.*the mask must be \(batch, steps\), here \(2, 2\).*\(2, 3\)"):
        layer(x, mask=mask)


def test_embedding_looks_vectors_up_and_masks_zero():
    layer = Embedding(5, 3, mask_zero=True)
    y = layer(WORDS)
    np.testing.assert_array_equal(y.numpy(), layer.get_weights()[0][WORDS])
    assert y.mask.numpy().tolist() == [[True, True, False], [True, False, False]]
    np.testing.assert_array_equal(layer(WORDS.astype("float32")).numpy(), y.numpy())
    assert Embedding(5, 3)(WORDS).mask is None
    symbolic = layer(Input((3,), dtype="int32"))
    assert (symbolic.shape, symbolic.dtype, symbolic.mask.shape) == ((None, 3, 3), np.float32, (None, 3))


def test_the_gradient_of_an_embedding_adds_what_each_integer_gets():
    layer = Embedding(5, 2, dtype="float64")
    layer.ensure_built((None, 3))
    g = np.random.default_rng(0).normal(size=(2, 3, 2))
    (found,) = gradients(layer(WORDS), layer.weights, Tensor(g))
    expected = np.zeros((5, 2))
    for i, j in np.ndindex(2, 3):
        expected[WORDS[i, j]] += g[i, j]
    np.testing.assert_allclose(found.numpy(), expected)
    squares = ops.sum(layer(WORDS) ** 3)
    (first,) = gradients(squares, layer.weights, create_graph=True)
    (second,) = gradients(ops.sum(first), layer.weights)
    counts = np.bincount(WORDS.ravel(), minlength=5)[:, None]
    np.testing.assert_allclose(second.numpy(), 6 * counts * layer.get_weights()[0])


def test_input_length_says_the_shape():
    assert Embedding(5, 2, input_length=4).batch_input_shape == (None, 4)
    assert Embedding(5, 2).batch_input_shape == (None, None)
    assert Embedding(5, 2, input_length=(2, None)).compute_output_shape((None, 2, 7)) == (None, 2, 7, 2)
    check_configuration(Embedding(5, 2, "ones", "l2", mask_zero=True, input_length=3))
    assert Embedding(5, 2).get_config()["input_dim"] == 5


def test_time_distributed_applies_the_layer_to_each_step():
    inner = Conv2D(2, 2, dtype="float64")
    layer = TimeDistributed(inner, dtype="float64")
    x = np.random.default_rng(0).normal(size=(2, 3, 4, 4, 1))
    y = layer(x)
    assert y.shape == layer.compute_output_shape(x.shape) == (2, 3, 3, 3, 2)
    for step in range(3):
        np.testing.assert_allclose(y.numpy()[:, step], inner(x[:, step]).numpy())
    assert [w is v for w, v in zip(layer.weights, inner.weights, strict=True)] == [True, True]
    assert layer(Input((None, 4, 4, 1))).shape == (None, None, 3, 3, 2)
    check_configuration(layer)


def test_time_distributed_has_gradients_of_all_orders():
    check_gradients(TimeDistributed(Dense(2, activation="tanh", dtype="float64"), dtype="float64"), (2, 3, 2))


def test_time_distributed_hands_masks_on():
    x = np.ones((2, 3, 4), "float32")
    mask = np.array([[True, False, True], [True, True, False]])
    assert TimeDistributed(Dense(2))(x, mask=Tensor(mask)).mask.numpy().tolist() == mask.tolist()
    embedded = TimeDistributed(Embedding(5, 2, mask_zero=True))(np.array([[[1, 0], [0, 2]]]))
    assert embedded.mask.numpy().tolist() == [[[True, False], [False, True]]]
    pooled = TimeDistributed(GlobalAveragePooling1D())(embedded)
    np.testing.assert_array_equal(pooled.numpy()[0, 0], embedded.numpy()[0, 0, 0])
    assert pooled.mask.numpy().tolist() == [[True, True]]
    assert TimeDistributed(Embedding(5, 2, mask_zero=True))(Input((2, 4))).mask.shape == (None, 2, 4)


def test_time_distributed_adds_the_layer_s_penalty_once():
    with call_context() as context:
        TimeDistributed(Dense(1, kernel_initializer="ones", activity_regularizer="l2"))(np.ones((1, 2, 1), "float32"))
    assert [float(penalty.numpy()) for penalty in context.penalties] == [pytest.approx(0.02)]


def test_masking_lambda_and_penalties_have_gradients_of_all_orders():
    x = np.random.default_rng(0).normal(size=(2, 3, 2))
    x[0, 1] = 0.0
    smooth = [x[:1, :1], x[1:]]

    def penalty(t):
        with call_context() as context:
            y = ActivityRegularization(l1=0.1, l2=0.2)(ops.square(t))
        return [y, *context.penalties]

    for array in smooth:
        numerical.check_gradients(lambda t: Masking(0.0)(ops.square(t)), [array])
        numerical.check_gradients(Lambda(lambda t, power: ops.exp(t) ** power, arguments={"power": 2}), [array])
        numerical.check_gradients(penalty, [array])
    t = Tensor(x + 1.0, requires_grad=True)
    (dx,) = gradients(ops.sum(Masking(1.0)(t)), [t])
    np.testing.assert_array_equal(
        dx.numpy(), np.where(x == 0.0, 0.0, 1.0)
    )  # masked steps are zeros, whatever they were


def test_lambda_applies_a_function_with_its_arguments():
    layer = Lambda(lambda x, power, mask=None: x**power, arguments={"power": 3})
    assert layer(np.array([[2.0]])).numpy().tolist() == [[8.0]]
    assert layer(Input((4,))).shape == (None, 4)
    both = Lambda(lambda xs: xs[0] + xs[1])
    assert both([np.ones((1, 2)), np.ones((1, 2))]).numpy().tolist() == [[2.0, 2.0]]


def test_lambda_takes_an_output_shape_in_three_ways():
    shape = (None, 4)
    for given, expected in ((None, (None, 2)), ((2,), (None, 2)), (lambda s: (s[0], s[1] // 2), (None, 2))):
        assert Lambda(lambda x: x[:, :2], output_shape=given).compute_output_shape(shape) == expected


def test_lambda_is_given_a_mask_and_gives_one():
    layer = Lambda(lambda x, mask: x * ops.cast(mask, x.dtype)[..., None], mask=lambda x, mask: mask)
    y = layer(Masking(1.0)(np.array([[[1.0], [2.0]]])))
    assert y.numpy().tolist() == [[[0.0], [2.0]]]
    assert y.mask.numpy().tolist() == [[False, True]]
    assert Lambda(twice)(Masking()(np.ones((1, 2, 1)))).mask is None


def test_lambda_is_stored_by_a_name_that_is_known():
    config = Lambda(twice, name="l").get_config()
    assert (config["function"], config["function_type"]) == ("twice", "function")
    with custom_object_scope({"twice": twice}):
        check_configuration(Lambda(twice, output_shape=(3,), name="l"))
    again = Lambda.from_config(config, {"twice": twice})
    assert again(np.ones((1, 1))).numpy().tolist() == [[2.0]]


def test_activity_regularization_adds_its_penalty():
    layer = ActivityRegularization(l1=0.1, l2=0.01)
    with call_context() as context:
        assert layer(np.array([[1.0, -2.0]])).numpy().tolist() == [[1.0, -2.0]]
    assert float(context.penalties[0].numpy()) == pytest.approx(0.1 * 3 + 0.01 * 5)
    check_configuration(layer)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: Embedding(5, 2, name="e")(np.array([[5]])), ValueError, r"Embedding 'e': .* 0 to 4.* Received: 5"),
        (lambda: Embedding(5, 2)(np.array([[-1]])), ValueError, r"integers from 0 to 4.* Received: -1"),
        (lambda: Embedding(0, 2), ValueError, r"input_dim must be a positive integer. Received: 0"),
        (lambda: Embedding(5, 2, input_length=3)(np.array([[1]])), ValueError, r"input_length=3, .* \(None, 1\)"),
        (lambda: TimeDistributed("dense"), TypeError, r"layer must be a layer. Received: 'dense'"),
        (lambda: TimeDistributed(Dense(1))(np.ones((2, 3))), ValueError, r"must have at least 3 axes"),
        (lambda: Lambda(3), TypeError, r"function must be callable. Received: 3"),
        (lambda: Lambda(twice, arguments=[1]), TypeError, r"arguments must be a dict of keyword arguments. .*: \[1\]"),
        (lambda: Lambda(lambda x: x, name="l").get_config(), ValueError, r"Lambda 'l': function: .* a lambda"),
        (lambda: Lambda.from_config({"function": "twice"}), ValueError, r"isn't known here\. .* Received: 'twice'"),
        (lambda: Lambda.from_config({"name": "a"}), ValueError, r"Lambda 'a': function names .* Received: None"),
        (
            lambda: Lambda.from_config({"name": "l", "function": ["4wE=", None, None], "function_type": "lambda"}),
            ValueError,
            r"Lambda 'l': function is stored as Python bytecode, which is never run",
        ),
        (lambda: ActivityRegularization(l1=-1), ValueError, r"l1 must be a number in \[0, inf\). Received: -1"),
        (lambda: Masking("0"), TypeError, r"mask_value must be a number"),
    ],
)
def test_wrong_calls_are_named(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_a_wrapper_of_ones_own_is_built_without_a_shape():
    wrapper = Wrapper(Dense(2))
    assert not wrapper.built
    wrapper.build()
    assert wrapper.built
    assert wrapper.get_losses_for() == wrapper.get_updates_for() == []

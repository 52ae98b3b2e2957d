"""Models and wrappers are layers: what every `Layer` answers, they answer with their own numbers."""

from __future__ import annotations

import json

import numpy as np
import pytest

from minikeras import Model, Sequential, Tensor, layers, ops, regularizers
from minikeras import backend as K
from minikeras.core.symbolic import evaluate
from minikeras.layers import Dense, Input, Masking, Wrapper
from minikeras.layers.context import call_context

X = np.array([[1.0, 2.0], [3.0, -1.0]], np.float32)
STEPS = np.array([[[1.0, 2.0], [0.0, 0.0], [3.0, 4.0]]], np.float32)


class Scaled(Wrapper):
    """What the layer gives, times a weight of its own; the penalty is the weight, and calls are counted."""

    def build(self, input_shape=None):
        self.layer.ensure_built(input_shape)
        self.scale = self.add_weight("scale", (1,), initializer="ones")
        self.calls = self.add_weight("calls", (), initializer="zeros", trainable=False)
        super().build(input_shape)

    def call(self, inputs):
        self.add_loss(5.0 * self.scale)
        self.add_update((self.calls, self.calls + 1.0), inputs)
        return self.layer(inputs) * self.scale

    def compute_output_shape(self, input_shape):
        return self.layer.compute_output_shape(input_shape)

    def compute_mask(self, inputs, mask=None):
        return self.layer.compute_mask(inputs, mask)


def scaled(factor=2.0, **inner):
    layer = Scaled(Dense(3, use_bias=False, kernel_initializer="ones", **inner), name="scaled")
    layer.ensure_built((None, 2))
    layer.scale.assign(np.array([factor]))
    return layer


def as_sequential():
    return Sequential([Dense(3, input_shape=(2,)), layers.ReLU()])


def as_graph():
    x = Input((2,))
    return Model(x, layers.ReLU()(Dense(3)(x)))


MODELS = pytest.mark.parametrize("make", [as_sequential, as_graph])


# ---------------------------------------------------------------------- wrappers


def test_a_wrapper_has_its_own_weights_and_the_layer_s():
    layer = scaled()
    assert [weight.shape for weight in layer.weights] == [(1,), (), (2, 3)]
    assert layer.count_params() == 1 + 1 + 6
    assert [weight.tolist() for weight in layer.get_weights()] == [[2.0], 0.0, [[1.0] * 3] * 2]
    layer.set_weights([[3.0], 7.0, [[1.0, 2.0, 3.0], [0.0, 1.0, 0.0]]])
    assert layer(X).tolist() == [[3.0, 12.0, 9.0], [9.0, 15.0, 27.0]]
    assert len(layer.trainable_weights) == 2


def test_the_losses_and_updates_of_a_wrapper_take_part_in_training():
    model = Sequential([scaled(input_shape=(2,))])
    model.compile("sgd", "mse")
    expected = X.sum(axis=1, keepdims=True) * 2.0 * np.ones(3)
    assert model.train_on_batch(X, expected) == pytest.approx(10.0)
    assert model.layers[0].get_weights()[0] == pytest.approx([2.0 - 0.01 * 5.0])
    assert model.layers[0].get_weights()[1] == 1.0
    model.predict(X)
    assert model.layers[0].get_weights()[1] == 1.0
    with call_context() as context:
        scaled(4.0)(X)
    assert [penalty.item() for penalty in context.penalties] == [20.0]


def test_a_wrapper_knows_its_calls():
    layer = scaled()
    first, second = Input((2,)), Input((2,))
    outputs = [layer(first), layer(second)]
    for index, (x, y) in enumerate(zip((first, second), outputs, strict=True)):
        assert layer.get_input_at(index) is x
        assert layer.get_output_at(index) is y
        assert (layer.get_input_shape_at(index), layer.get_output_shape_at(index)) == ((None, 2), (None, 3))
        assert (layer.get_input_mask_at(index), layer.get_output_mask_at(index)) == (None, None)
        assert evaluate(y, {x: X}).tolist() == [[6.0] * 3, [4.0] * 3]


def test_the_losses_of_a_wrapper_are_those_of_its_layer_too():
    layer = scaled(kernel_regularizer=regularizers.l2(0.5), activity_regularizer="l1")
    x = Input((2,))
    layer(x)
    assert [K.eval(loss) for loss in layer.get_losses_for(None)] == [3.0]
    seen = []
    layer.add_update(seen.append, inputs=x)
    (function, (variable, _)) = layer.get_updates_for(x)
    assert (function, variable.name, layer.get_updates_for(None)) == (seen.append, "scaled/calls", [])


def test_the_mask_of_a_wrapper_is_that_of_its_layer():
    masked = Masking()(STEPS)
    kept = scaled().compute_mask(masked, masked.mask)
    assert kept.tolist() == [[True, False, True]]
    layer = Scaled(layers.Flatten(), name="flat")
    with pytest.raises(TypeError, match=r"Flatten 'f.*' does not support masking"):
        layer.compute_mask(masked, masked.mask)


# ---------------------------------------------------------------------- models


@MODELS
def test_a_model_knows_its_calls(make):
    model = make()
    kernel, bias = model.get_weights()
    expected = np.maximum(X @ kernel + bias, 0.0)
    x = Input((2,))
    y = model(x)
    index = len(model._nodes) - 1
    assert model.get_input_at(index) is x
    assert model.get_output_at(index) is y
    assert (model.get_input_shape_at(index), model.get_output_shape_at(index)) == ((None, 2), (None, 3))
    assert (model.get_input_mask_at(index), model.get_output_mask_at(index)) == (None, None)
    np.testing.assert_allclose(evaluate(y, {x: X}).numpy(), expected, rtol=1e-6)
    assert model.compute_output_shape((7, 2)) == (7, 3)
    assert model.compute_mask(Tensor(X)) is None


@MODELS
def test_what_is_added_to_a_model_counts_in_its_training(make):
    model = make()
    steps = []
    model.add_loss(lambda: 2.0 * ops.sum(ops.square(model.weights[0])))
    model.add_update(lambda: steps.append(1))
    kernel, bias = model.get_weights()
    assert [loss().item() for loss in model.get_losses_for(None)] == [pytest.approx(2.0 * (kernel**2).sum(), rel=1e-6)]
    assert len(model.get_updates_for(None)) == 1
    model.compile("sgd", "mse")
    outputs = np.maximum(X @ kernel + bias, 0.0)
    assert model.train_on_batch(X, outputs) == pytest.approx(2.0 * (kernel**2).sum(), rel=1e-5)
    np.testing.assert_allclose(model.get_weights()[0], kernel * (1 - 0.01 * 4.0), rtol=1e-5)
    assert steps == [1]


@MODELS
def test_a_model_comes_back_from_its_json(make):
    model = make()
    again = layers.deserialize(json.loads(model.to_json()))
    again.set_weights(model.get_weights())
    np.testing.assert_array_equal(again.predict(X), model.predict(X))
    assert again.count_params() == model.count_params() == 9


def test_a_model_of_one_s_own_may_have_weights_of_its_own():
    class Shifted(Model):
        def __init__(self):
            super().__init__()
            self.inner = Dense(3, use_bias=False, kernel_initializer="ones")

        def build(self, input_shape):
            self.inner.ensure_built(input_shape)
            self.shift = self.add_weight("shift", (3,), initializer="zeros")
            super().build(input_shape)

        def call(self, inputs):
            return self.inner(inputs) + self.shift

    model = Shifted()
    model.compile("sgd", "mse")
    targets = X.sum(axis=1, keepdims=True) + np.array([[3.0, 0.0, -3.0]])
    assert model.train_on_batch(X, targets) == pytest.approx(6.0)
    # the gradient of the mean over 3 units: 2 / 3 of what each lacks
    np.testing.assert_allclose(model.shift.numpy(), [0.02, 0.0, -0.02], rtol=1e-5)
    assert model.count_params() == 9

"""Masks: carried by tensors from layer to layer, at once and symbolically."""

from __future__ import annotations

import numpy as np
import pytest

from minikeras import Sequential, Tensor, ops
from minikeras.core.symbolic import evaluate
from minikeras.layers import BatchNormalization, Dense, Dropout, Flatten, Input, Layer

STEPS = np.array([[[1.0], [2.0], [0.0]], [[0.0], [3.0], [0.0]]], np.float32)
USED = [[True, True, False], [False, True, False]]


class Skip(Layer):
    """Steps of zeros only don't count."""

    def call(self, inputs):
        return inputs * 1.0

    def compute_mask(self, inputs, mask=None):
        return ops.any(ops.not_equal(inputs, 0.0), axis=-1)


class Sum(Layer):
    """The sum of the steps that count."""

    def call(self, inputs, mask=None):
        return ops.sum(inputs if mask is None else inputs * ops.cast(mask, dtype="float32")[..., None], axis=1)

    def compute_mask(self, inputs, mask=None):
        return None


class Same(Layer):
    """Gives the very tensor back, and ends its mask."""

    def compute_mask(self, inputs, mask=None):
        return None


def test_a_mask_travels_with_the_tensors_through_layers_that_support_it():
    x = Skip()(STEPS)
    assert x.mask.tolist() == USED
    for layer in (Dense(2), Dropout(0.5), BatchNormalization()):
        x = layer(x)
        assert x.mask.tolist() == USED


def test_call_gets_the_mask_where_its_signature_takes_it():
    x = Skip()(STEPS + 0.0)
    assert Sum()(x + 1.0).tolist() == [[6.0], [6.0]]  # operations don't carry masks on
    assert Sum()(Dense(1, kernel_initializer="ones", bias_initializer="ones")(x)).tolist() == [[5.0], [4.0]]
    assert Sum()(x).mask is None


def test_a_mask_given_by_keyword_goes_before_the_one_carried():
    x = Skip()(STEPS)
    assert Sum()(x, mask=Tensor(np.ones((2, 3), bool))).tolist() == [[3.0], [3.0]]
    assert Sum()(x, mask=None).tolist() == [[3.0], [3.0]]


def test_a_layer_that_does_not_support_masks_refuses_one():
    with pytest.raises(TypeError, match=r"Flatten 'flat' does not support masking, but its input carries a mask"):
        Flatten(name="flat")(Skip()(STEPS))
    assert Flatten()(Tensor(STEPS)).mask is None


def test_an_input_that_a_layer_gives_back_keeps_its_own_mask():
    x = Skip()(STEPS)
    assert Same()(x).mask is None
    assert x.mask.tolist() == USED


def test_a_cast_does_not_lose_the_mask():
    x = Skip()(STEPS.astype(np.float64))
    y = Dense(1)(x)
    assert (y.dtype, y.mask.tolist()) == ("float32", USED)


def test_a_list_of_inputs_has_a_list_of_masks():
    seen = []

    class Both(Layer):
        def call(self, inputs, mask=None):
            seen.append(mask)
            return inputs[0]

        def compute_mask(self, inputs, mask=None):
            return mask and mask[0]

    x = Skip()(STEPS)
    Both()([x, Tensor(STEPS)])
    assert [None if mask is None else mask.tolist() for mask in seen[-1]] == [USED, None]
    assert Both()([Tensor(STEPS), Tensor(STEPS)]).mask is None
    assert seen[-1] is None


def test_masks_travel_through_a_model_and_out_of_it():
    model = Sequential([Skip(input_shape=(3, 1)), Dense(2)])
    assert model(STEPS).mask.tolist() == USED
    after = Sequential([Dense(1, kernel_initializer="ones", bias_initializer="ones", input_shape=(3, 1)), Sum()])
    assert after(Skip()(STEPS)).tolist() == [[5.0], [4.0]]
    assert after(Tensor(STEPS), mask=Tensor(np.array(USED))).tolist() == [[5.0], [4.0]]


def test_a_symbolic_tensor_has_a_symbolic_mask():
    x = Input((3, 1))
    y = Dense(2)(Skip()(x))
    assert (y.mask.shape, y.mask.dtype) == ((None, 3), bool)
    assert evaluate(y.mask, {x: STEPS}).tolist() == USED
    assert evaluate(Sum()(Skip()(x)), {x: STEPS}).tolist() == [[3.0], [3.0]]
    with pytest.raises(TypeError, match="does not support masking"):
        Flatten()(y)


def test_call_must_not_read_symbolic_tensors_of_others():
    x = Input((3, 1))

    class Closed(Layer):
        def call(self, inputs):
            return inputs + x

    with pytest.raises(TypeError, match=r"Closed 'closed': call used a symbolic tensor that isn't among its inputs"):
        Closed(name="closed")(Tensor(STEPS[:1]))

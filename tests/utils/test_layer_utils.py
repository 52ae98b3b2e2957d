from __future__ import annotations

import re

import pytest

from minikeras import Model, Sequential, Tensor, ops
from minikeras.layers import Add, Dense, Input
from minikeras.utils import print_summary
from minikeras.utils.layer_utils import count_params, get_source_inputs


def test_source_inputs_are_those_that_a_tensor_is_made_of_and_each_once():
    a, b, c = (Input((3,), name=name) for name in "abc")
    y = Add()([Dense(3)(b), ops.exp(a), b])
    assert get_source_inputs(y) == [b, a]
    assert get_source_inputs(c) == [c]


def test_source_inputs_of_one_call_of_a_layer():
    a, b = Input((3,)), Input((3,))
    shared = Dense(2)
    first, _ = shared(a), shared(b)
    assert get_source_inputs(first, shared, 1) == [b]
    assert get_source_inputs(first, shared, 0) == [a]
    assert get_source_inputs(a, a.entry.operation, 0) == [a]


def test_source_inputs_go_through_models_and_long_chains():
    x = y = Input((2,))
    inner = Sequential([Dense(2, input_shape=(2,))])
    for _ in range(1200):
        y = inner(y)
    assert get_source_inputs(y) == [x]


def test_params_are_counted_once():
    layer = Dense(2)
    layer.build((None, 3))
    assert count_params(layer.weights) == 8
    assert count_params([*layer.weights, layer.kernel]) == 8
    assert count_params([]) == 0


def test_print_summary_prints_what_summary_does():
    x = Input((3,))
    model, one, other = Model(x, Dense(2)(x)), [], []
    print_summary(model, print_fn=one.append)
    model.summary(print_fn=other.append)
    assert one == other
    print_summary(model, 50, [0.5, 0.8, 1.0], (short := []).append)
    assert len(short[1]) == 50


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: get_source_inputs(Tensor([1.0])), TypeError, "get_source_inputs: tensor must be symbolic"),
        (lambda: get_source_inputs(Dense(1)), TypeError, "tensor must be symbolic.*Received: Dense"),
        (lambda: get_source_inputs(Input((1,)), Dense(1), 0), RuntimeError, "has never been called"),
        (lambda: count_params(Dense(1)), TypeError, r"must be a list of weights; a layer counts.*Received"),
        (lambda: count_params(3), TypeError, "must be a list of weights. Received: 3"),
        (lambda: count_params([3]), TypeError, "each of weights must be a weight. Received: 3"),
        (lambda: print_summary(Dense(1)), TypeError, "print_summary: model must be a model. Received: Dense"),
        (lambda: print_summary("m"), TypeError, "print_summary: model must be a model. Received: str 'm'"),
    ],
)
def test_wrong_calls_are_told(call, error, message):
    with pytest.raises(error) as caught:
        call()
    assert re.search(message, str(caught.value))

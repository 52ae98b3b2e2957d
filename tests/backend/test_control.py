from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from minikeras import Input, Tensor, layers
from minikeras import backend as K
from minikeras.layers.base import call_context
from tests.backend.table import Case, normal, parametrize

X = normal(3, 4)
CASES = [
    Case("switch", lambda x: K.switch(K.greater(x, 0.0), x, x * 3.0), [X], np.where(X > 0, X, 3 * X)),
    Case("switch", lambda x: K.switch(K.greater(x[:, 0], 0.0), x, x * 3.0), [X],
         np.array([r if r[0] > 0 else 3 * r for r in X])),
    Case("switch", lambda x: K.switch(K.greater(K.sum(x), 1e3), x, lambda: x * 3.0), [X], 3 * X),
    Case("map_fn", lambda x: K.map_fn(lambda row: K.sum(row * row), x), [X], np.array([r @ r for r in X])),
    Case("map_fn", lambda x, y: K.map_fn(lambda pair: pair[0] * pair[1][0], [x, y]), [X, X * 2],
         np.array([r * 2 * r[0] for r in X]), (0, 1)),
    Case("map_fn", lambda x: K.map_fn(lambda row: (row * 2.0, K.sum(row)), x), [X], (X * 2, X.sum(1))),
    Case("foldl", lambda x: K.foldl(lambda total, row: total * 0.5 + row, x), [X], 0.25 * X[0] + 0.5 * X[1] + X[2]),
    Case("foldl", lambda x, a: K.foldl(lambda total, row: total * 0.5 + row, x, a), [X, X[0]],
         0.125 * X[0] + 0.25 * X[0] + 0.5 * X[1] + X[2]),
    Case("foldr", lambda x: K.foldr(lambda total, row: total * 0.5 + row, x), [X], 0.25 * X[2] + 0.5 * X[1] + X[0]),
]  # fmt: skip


@parametrize(CASES)
def test_the_value_is_numpys(case: Case) -> None:
    case.check_value()


@parametrize(CASES)
def test_recorded_and_fed_it_is_the_same(case: Case) -> None:
    case.check_recorded()


@parametrize(CASES)
def test_the_derivatives_are_those_of_differences(case: Case) -> None:
    case.check_gradient()


def test_map_fn_converts_to_the_type_asked_for() -> None:
    assert K.dtype(K.map_fn(lambda row: K.argmax(row), X, dtype="float32")) == "float32"


def test_of_a_known_condition_only_the_function_chosen_is_called() -> None:
    def never() -> Any:
        raise AssertionError("called")

    assert K.switch(True, lambda: 1, never) == 1
    assert K.switch(np.array(0), never, lambda: 2) == 2
    assert K.in_train_phase(lambda: 1, never, training=1) == 1
    assert K.in_test_phase(never, lambda: 2, training=True) == 2


# ---------------------------------------------------------------------- the phase


class Noisy(layers.Layer):
    """A layer as Keras 2's users write it."""

    def call(self, inputs: Tensor, training: Any = None) -> Tensor:
        return K.in_train_phase(lambda: inputs + 1.0, inputs, training=training)


class Quiet(layers.Layer):
    def call(self, inputs: Tensor) -> Tensor:
        return K.in_test_phase(inputs, inputs + 1.0)


@pytest.fixture(autouse=True)
def _fresh_session() -> Iterator[None]:
    yield
    K.clear_session()


@pytest.mark.parametrize("layer", [Noisy, Quiet])
def test_in_the_phases_of_a_layer_that_computes_at_once(layer: type[layers.Layer]) -> None:
    x = np.zeros((1, 2))
    assert layer()(x).tolist() == [[0.0, 0.0]]
    assert layer()(x, training=True).tolist() == [[1.0, 1.0]]
    with call_context(training=True):
        assert layer()(x).tolist() == [[1.0, 1.0]]
    K.set_learning_phase(1)
    assert layer()(x).tolist() == [[1.0, 1.0]]


@pytest.mark.parametrize("layer", [Noisy, Quiet])
def test_in_the_phases_of_a_recorded_layer(layer: type[layers.Layer]) -> None:
    x = Input((2,))
    f = K.function([x, K.learning_phase()], [layer()(x)])
    assert [f([[[0, 0]], phase])[0].tolist() for phase in (0, 1)] == [[[0.0, 0.0]], [[1.0, 1.0]]]


def test_in_the_phases_of_recorded_operations_outside_of_layers() -> None:
    x = K.placeholder((None, 2))
    y, z = K.in_train_phase(lambda: x + 1.0, x), K.in_test_phase(x, x + 1.0)
    assert K.int_shape(y) == (None, 2)
    f = K.function([x, K.learning_phase()], [y, z])
    assert [[v.tolist() for v in f([[[0, 0]], phase])] for phase in (0, 1)] == [[[[0.0, 0.0]]] * 2, [[[1.0, 1.0]]] * 2]
    unfed = K.function([x], [y])
    assert unfed([[[0, 0]]])[0].tolist() == [[0.0, 0.0]]
    with call_context(training=True):
        assert unfed([[[0, 0]]])[0].tolist() == [[1.0, 1.0]]


def test_the_phase_itself_may_be_computed_with() -> None:
    x = K.placeholder((2,))
    y = K.switch(K.learning_phase(), x * 10.0, x) + K.cast(K.learning_phase(), "float32")
    f = K.function([x, K.learning_phase()], [y])
    assert [f([[1, 2], phase])[0].tolist() for phase in (0, 1)] == [[1.0, 2.0], [11.0, 21.0]]


def test_outside_of_all_calls_it_is_inference() -> None:
    assert K.in_train_phase(1, 2) == 2
    assert K.in_test_phase(1, 2) == 1
    assert K.in_train_phase(lambda: X, lambda: X * 2)[0, 0] == X[0, 0] * 2


def test_a_symbolic_phase_may_be_given() -> None:
    training, x = K.placeholder((), dtype="bool"), K.placeholder((2,))
    f = K.function([training, x], [K.in_train_phase(x * 2.0, x, training=training)])
    assert [f([phase, [1, 2]])[0].tolist() for phase in (True, False)] == [[2.0, 4.0], [1.0, 2.0]]


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: K.switch(X > 0, X[0], X[1]), ValueError, r"must not have more axes.*condition of shape \(3, 4\)"),
        (lambda: K.map_fn(lambda x: x, np.zeros((0, 2))), ValueError, "map_fn: elems must have at least one item"),
        (lambda: K.foldl(lambda a, x: x, np.zeros((0, 2))), ValueError, "foldl: elems must have at least one item"),
        (lambda: K.foldr(lambda a, x: x, np.zeros((0, 2))), ValueError, "foldr: elems must have at least one item"),
        (lambda: K.map_fn(lambda x: x * K.placeholder(()), X), TypeError, "map_fn: fn reads a symbolic tensor that is"),
    ],
)
def test_wrong_use_is_named(call, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()

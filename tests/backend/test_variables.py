from __future__ import annotations

import numpy as np
import pytest

from minikeras import Input, Parameter, Tensor, layers, optimizers
from minikeras import backend as K

# ---------------------------------------------------------------------- making


def test_a_variable_is_a_copy_of_the_default_type_that_gradients_reach() -> None:
    values = np.array([1.0, 2.0])
    x = K.variable(values, name="x")
    values[0] = 5.0
    assert isinstance(x, Parameter)
    assert (x.name, K.dtype(x), x.numpy().tolist()) == ("x", "float32", [1.0, 2.0])
    assert K.gradients(x * x, x)[0].numpy().tolist() == [2.0, 4.0]


def test_a_variable_takes_another_type_and_the_values_of_a_tensor() -> None:
    assert K.dtype(K.variable([1, 2])) == "float32"
    count = K.variable(Tensor(np.array(3)), dtype="int64")
    assert (K.dtype(count), K.get_value(count), count.trainable) == ("int64", 3, False)


def test_a_variable_keeps_its_constraint() -> None:
    assert K.variable(1.0, constraint=K.abs).constraint is K.abs


def test_a_constant_fills_its_shape_with_its_last_value() -> None:
    assert K.constant(3, shape=(2, 2)).tolist() == [[3.0, 3.0], [3.0, 3.0]]
    assert K.constant([1, 2, 3], dtype="int32", shape=(2, 2)).tolist() == [[1, 2], [3, 3]]
    assert not K.constant([1.0]).requires_grad
    assert K.dtype(K.constant([1, 2])) == "float32"


def test_zeros_ones_and_eye_are_variables() -> None:
    for made, expected in [
        (K.zeros((2, 3)), [[0.0] * 3] * 2),
        (K.ones((2,), dtype="float64"), [1.0, 1.0]),
        (K.eye(2), [[1.0, 0.0], [0.0, 1.0]]),
    ]:
        assert isinstance(made, Parameter)
        assert made.tolist() == expected
    assert K.dtype(K.ones((2,), dtype="float64")) == "float64"


def test_likes_have_the_shape_and_type_of_their_model() -> None:
    x = np.full((2, 2), 7, dtype=np.int32)
    assert K.zeros_like(x).tolist() == [[0, 0], [0, 0]]
    assert K.ones_like(x).tolist() == [[1, 1], [1, 1]]
    assert K.dtype(K.ones_like(x)) == "int32"
    assert K.dtype(K.zeros_like(x, dtype="float64")) == "float64"


def test_likes_and_zeros_of_symbolic_shapes_are_recorded() -> None:
    x = K.placeholder((None, 2))
    made = [K.zeros_like(x), K.ones_like(x), K.zeros((K.shape(x)[0], 3)), K.ones(K.shape(x))]
    assert [K.int_shape(t) for t in made] == [(None, 2), (None, 2), (None, 3), (None, 2)]
    found = K.function([x], made)([np.full((2, 2), 5.0)])
    expected = [np.zeros((2, 2)), np.ones((2, 2)), np.zeros((2, 3)), np.ones((2, 2))]
    assert all(np.array_equal(a, b) for a, b in zip(found, expected, strict=True))


def test_a_placeholder_has_a_shape_or_a_number_of_free_axes() -> None:
    assert K.int_shape(K.placeholder((None, 3))) == (None, 3)
    x = K.placeholder(ndim=2, dtype="int32", name="x")
    assert (K.int_shape(x), K.dtype(x), x.name) == ((None, None), "int32", "x")
    assert K.dtype(K.placeholder((1,))) == "float32"


def test_identity_is_a_new_tensor_of_the_same_values() -> None:
    x = K.variable([1.0, 2.0])
    y = K.identity(x)
    assert y is not x
    assert y.tolist() == [1.0, 2.0]
    assert K.gradients(y, x)[0].tolist() == [1.0, 1.0]
    symbol = K.placeholder((2,))
    assert K.function([symbol], [K.identity(symbol)])([[3, 4]])[0].tolist() == [3.0, 4.0]


def test_cast_converts_there_and_the_gradient_back() -> None:
    x = K.variable([1.7, 2.2])
    assert K.cast(x, "int32").tolist() == [1, 2]
    assert K.gradients(K.cast(x, "float64") * 2.0, x)[0].dtype == np.float32
    symbol = K.placeholder((2,))
    assert K.dtype(K.cast(symbol, "int32")) == "int32"
    assert K.function([symbol], [K.cast(symbol, "int32")])([[1.7, 2.2]])[0].tolist() == [1, 2]


# ---------------------------------------------------------------------- what they are


def test_tensors_are_told_from_other_things() -> None:
    assert [K.is_tensor(x) for x in (K.variable(1.0), K.placeholder((1,)), np.zeros(1), 3)] == [
        True,
        True,
        False,
        False,
    ]
    assert not K.is_sparse(K.variable(1.0))
    x = K.constant(1.0)
    assert K.to_dense(x) is x


def test_keras_tensors_come_from_layers_and_inputs() -> None:
    x = Input((3,))
    assert K.is_keras_tensor(x)
    assert K.is_keras_tensor(layers.Dense(2)(x))
    assert not K.is_keras_tensor(x * 2.0)
    assert not K.is_keras_tensor(K.placeholder((None, 3)))
    assert not K.is_keras_tensor(K.variable(1.0))
    with pytest.raises(ValueError, match=r"is_keras_tensor: expected a symbolic tensor. Received: ndarray"):
        K.is_keras_tensor(np.zeros(3))


def test_placeholders_are_what_nothing_computes() -> None:
    x = K.placeholder((2,))
    assert K.is_placeholder(x)
    assert not K.is_placeholder(x + 1.0)
    assert not K.is_placeholder(K.variable(1.0))


def test_shapes_are_known_now_or_later() -> None:
    x = K.variable(np.zeros((2, 3)))
    assert (K.int_shape(x), K.ndim(x), K.shape(x).tolist(), K.count_params(x)) == ((2, 3), 2, [2, 3], 6)
    assert K.get_variable_shape(x) == (2, 3)
    symbol = K.placeholder((None, 3))
    assert (K.int_shape(symbol), K.ndim(symbol), K.int_shape(K.shape(symbol))) == ((None, 3), 2, (2,))
    assert K.dtype(K.shape(symbol)) == "int32"
    assert K.function([symbol], [K.shape(symbol)])([np.zeros((5, 3))])[0].tolist() == [5, 3]
    assert K.count_params(K.placeholder((2, 3))) == 6


# ---------------------------------------------------------------------- values


def test_values_come_out_as_copies_and_scalars_as_numbers() -> None:
    x = K.variable([[1.0, 2.0]])
    value = K.get_value(x)
    value[0, 0] = 9.0
    assert K.eval(x).tolist() == [[1.0, 2.0]]
    assert isinstance(K.eval(K.sum(x)), np.float32)
    assert K.eval(K.sum(x)) == 3.0
    assert [v.tolist() for v in K.batch_get_value([x, x])] == [[[1.0, 2.0]]] * 2


def test_values_go_in() -> None:
    x, y = K.variable([1.0, 2.0]), K.variable(3.0)
    K.set_value(x, [5, 6])
    K.batch_set_value([(y, 7.0)])
    assert (K.get_value(x).tolist(), K.get_value(y)) == ([5.0, 6.0], 7.0)


def test_the_learning_rate_is_read_and_set_as_a_variable() -> None:
    optimizer = optimizers.SGD(lr=0.1)
    K.set_value(optimizer.lr, K.get_value(optimizer.lr) * 0.5)
    assert K.get_value(optimizer.lr) == 0.05
    assert K.eval(optimizer.lr) == 0.05


def test_what_depends_on_no_placeholder_evaluates() -> None:
    symbol = K.placeholder((2, 3))
    assert K.eval(K.learning_phase()) == 0
    with pytest.raises(ValueError, match=r"eval: .*no value.*function\(\[input\], \[x\]\)"):
        K.eval(symbol * 2.0)


# ---------------------------------------------------------------------- updates


def test_updates_of_known_values_take_place_at_once() -> None:
    x = K.variable([1.0, 2.0])
    assert K.update(x, [3.0, 4.0]) is x
    K.update_add(x, [1.0, 1.0])
    K.update_sub(x, 0.5)
    assert x.tolist() == [3.5, 4.5]
    K.moving_average_update(x, np.array([0.5, 1.5]), 0.9)
    np.testing.assert_allclose(x.numpy(), [3.2, 4.2], rtol=1e-6)


def test_updates_of_symbolic_values_are_left_to_a_function() -> None:
    x, total, average = K.placeholder((2,)), K.variable([0.0, 0.0]), K.variable([1.0, 1.0])
    updates = [K.update_add(total, x), K.moving_average_update(average, x, 0.5)]
    assert total.tolist() == [0.0, 0.0]
    add = K.function([x], [K.sum(x)], updates)
    assert [add([[1, 2]])[0], add([[3, 4]])[0]] == [3.0, 7.0]
    assert total.tolist() == [4.0, 6.0]
    assert average.tolist() == [2.0, 2.75]


def test_updates_inside_a_layers_call_take_place_in_training_only() -> None:
    class Counter(layers.Layer):
        def build(self, input_shape: tuple) -> None:
            self.seen = self.add_weight("seen", (), initializer="zeros", trainable=False)
            super().build(input_shape)

        def call(self, inputs: Tensor) -> Tensor:
            self.add_update(K.update_add(self.seen, 1.0), inputs)
            return inputs

    counter = Counter()
    counter(Input((3,)))
    counter(np.zeros((2, 3)))
    assert K.get_value(counter.seen) == 0.0
    counter(np.zeros((2, 3)), training=True)
    assert K.get_value(counter.seen) == 1.0


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: K.placeholder(), ValueError, "placeholder: shape or ndim must be given"),
        (lambda: K.placeholder((2,), sparse=True), ValueError, "there are no sparse tensors; leave sparse out"),
        (lambda: K.constant([1, 2, 3], shape=(2,)), ValueError, r"constant: shape \(2,\) has no room for 3 values"),
        (lambda: K.variable("text"), TypeError, "expected real numbers"),
        (lambda: K.zeros((2.5,)), TypeError, r"zeros: shape must be integers. Received: \(2.5,\)"),
        (lambda: K.count_params(K.placeholder((None, 3))), ValueError, r"the shape must be known. Received: \(None, 3"),
        (lambda: K.set_value(3.0, 4.0), TypeError, "set_value: expected a variable, a weight or a setting"),
        (lambda: K.set_value(K.placeholder((1,)), 4.0), TypeError, "set_value: expected a variable"),
        (lambda: K.set_value(K.variable([1.0]), [1.0, 2.0]), ValueError, r"expected an array of shape \(1,\)"),
        (lambda: K.update(K.variable([1.0]), [1.0, 2.0]), ValueError, r"expected an array of shape \(1,\)"),
    ],
)
def test_wrong_arguments_are_named(call, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from minikeras import Input, Sequential, Tensor, layers
from minikeras import backend as K
from minikeras.layers.base import call_context


@pytest.fixture(autouse=True)
def _fresh_session() -> Iterator[None]:
    K.clear_session()
    yield
    K.clear_session()


# ---------------------------------------------------------------------- functions


def test_a_function_computes_its_outputs_from_what_it_is_fed() -> None:
    x, y = K.placeholder((None, 2)), K.placeholder((2,), dtype="float64")
    f = K.function([x, y], [x * 2.0, K.sum(x + y), y], name="f")
    assert f.name == "f"
    found = f([[[1, 2], [3, 4]], [10, 20]])
    assert [type(value) for value in found] == [np.ndarray, np.float64, np.ndarray]
    assert [value.tolist() for value in found] == [[[2.0, 4.0], [6.0, 8.0]], 70.0, [10.0, 20.0]]
    assert found[0].dtype == np.float32


def test_a_function_may_be_fed_in_the_middle() -> None:
    x = K.placeholder((None, 2))
    middle = K.exp(x)
    assert K.function([middle], [middle * 2.0])([[[1, 2]]])[0].tolist() == [[2.0, 4.0]]


def test_a_function_reads_variables_when_it_is_called() -> None:
    x, w = K.placeholder((2,)), K.variable([1.0, 1.0])
    f = K.function([x], [x * w, w])
    K.set_value(w, [3.0, 4.0])
    assert [value.tolist() for value in f([[1, 2]])] == [[3.0, 8.0], [3.0, 4.0]]


def test_updates_come_after_the_outputs() -> None:
    w = K.variable(1.0)
    f = K.function([], [w], [(w, 5.0)])
    assert [f([])[0], f([])[0]] == [1.0, 5.0]


def test_a_function_leaves_nothing_on_the_tape() -> None:
    x, w = K.placeholder((2,)), K.variable([1.0, 1.0])
    assert isinstance(K.function([x], [x * w])([[1, 2]])[0], np.ndarray)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda x: K.function(x, [x]), TypeError, "function: inputs must be a list or tuple"),
        (lambda x: K.function([x], x), TypeError, "function: outputs must be a list or tuple"),
        (lambda x: K.function([np.zeros(2)], [x]), TypeError, r"inputs\[0\] must be symbolic, such as model.input"),
        (lambda x: K.function([x], [x, None]), TypeError, r"outputs\[1\] must be a Tensor; the loss doesn't depend"),
        (lambda x: K.function([x], [x], [K.variable(1.0)]), TypeError, r"updates\[0\] must be a pair"),
        (lambda x: K.function([x], [x], feed_dict={}), ValueError, "takes the argument 'feed_dict'; leave it out"),
        (lambda x: K.function([x], [x])(np.zeros((1, 2))), TypeError, "call it with a list of values"),
        (lambda x: K.function([x], [x])([]), ValueError, "function: it has 1 input. Received: 0 values"),
        (lambda x: K.function([x], [x])([np.zeros(2)]), ValueError, r"expects shape \(None, 2\). Received: shape \(2,"),
        (lambda x: K.function([], [x * 2.0])([]), ValueError, "SymbolicTensor"),
        (lambda x: K.gradients(3.0, x), TypeError, "gradients: expected Tensors.*Received: 3.0"),
        (lambda x: K.gradients(x, ["x"]), TypeError, "gradients: expected Tensors.*Received: 'x'"),
        (lambda x: K.set_learning_phase(2), ValueError, "the learning phase must be 0 or 1. Received: 2"),
        (lambda x: K.manual_variable_initialization(True), ValueError, "as soon as they are made"),
    ],
)
def test_wrong_use_is_named(call, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call(K.placeholder((None, 2)))


# ---------------------------------------------------------------------- gradients


def test_gradients_of_what_is_computed_at_once() -> None:
    x, y = K.variable([1.0, 2.0]), K.variable([3.0, 4.0])
    middle = x * y
    dx, dy, dm, none = K.gradients(middle * middle, [x, y, middle, K.variable(1.0)])
    assert dx.tolist() == [2 * 1 * 9.0, 2 * 2 * 16.0]
    assert dy.tolist() == [2 * 3 * 1.0, 2 * 4 * 4.0]
    assert dm.tolist() == [6.0, 16.0]
    assert none is None
    (second,) = K.gradients(dx, x)
    assert second.tolist() == [2 * 9.0, 2 * 16.0]
    assert K.gradients([x, x * 2.0], x)[0].tolist() == [3.0, 3.0]
    assert K.gradients(K.constant([1.0]), x) == [None]


def test_recorded_gradients_reach_inputs_intermediate_results_and_variables() -> None:
    x, w = K.placeholder((None, 2), dtype="float64"), K.variable([3.0, 4.0], dtype="float64")
    hidden = K.square(x)
    loss = K.sum(hidden * w)
    grads = K.gradients(loss, [x, hidden, w])
    assert [K.int_shape(g) for g in grads] == [(None, 2), (None, 2), (2,)]
    values = np.array([[1.0, 2.0], [5.0, 6.0]])
    dx, dh, dw, value = K.function([x], [*grads, loss])([values])
    np.testing.assert_allclose(dx, 2 * values * [3.0, 4.0])
    np.testing.assert_allclose(dh, np.broadcast_to([3.0, 4.0], (2, 2)))
    np.testing.assert_allclose(dw, (values**2).sum(0))
    assert value == (values**2 * [3.0, 4.0]).sum()


def test_recorded_gradients_are_summed_over_losses_and_elements() -> None:
    x = K.placeholder((2,))
    (g,) = K.gradients([x * 2.0, K.square(x)], x)
    assert K.function([x], [g])([[1, 2]])[0].tolist() == [4.0, 6.0]


def test_recorded_gradients_have_gradients() -> None:
    x = K.placeholder((3,), dtype="float64")
    (first,) = K.gradients(K.pow(x, 4), x)
    (second,) = K.gradients(first, x)
    penalty = K.sum(K.square(first))
    (third,) = K.gradients(penalty, x)
    values = np.array([1.0, 2.0, -3.0])
    found = K.function([x], [first, second, third])([values])
    for one, expected in zip(found, [4 * values**3, 12 * values**2, 96 * values**5], strict=True):
        np.testing.assert_allclose(one, expected)


def test_without_a_way_there_is_no_gradient() -> None:
    x, y, n = K.placeholder((2,)), K.placeholder((2,)), K.placeholder((2,), dtype="int32")
    assert K.gradients(x * 2.0, [y]) == [None]
    assert K.gradients(K.gather(x, n), [n]) == [None]
    stopped, unread = K.gradients(K.stop_gradient(x) * x, [x, K.variable(1.0)])
    assert [v.tolist() for v in K.function([x], [stopped, unread])([[3, 4]])] == [[3.0, 4.0], 0.0]


def test_stop_gradient_takes_one_or_several() -> None:
    x = K.variable([1.0, 2.0])
    one, two = K.stop_gradient([x, x * 2.0])
    assert (one.tolist(), two.tolist()) == ([1.0, 2.0], [2.0, 4.0])
    assert K.gradients(x * K.stop_gradient(x), x)[0].tolist() == [1.0, 2.0]


def test_filters_are_visualised_by_gradient_ascent_on_the_input() -> None:
    image = Input((6, 6, 1), dtype="float64")
    conv = layers.Conv2D(2, 3, activation="relu", dtype="float64")
    output = conv(image)
    loss = K.mean(output[:, :, :, 1])
    grads = K.gradients(loss, image)[0]
    grads /= K.sqrt(K.mean(K.square(grads))) + 1e-5
    iterate = K.function([image], [loss, grads])
    x = np.random.default_rng(0).uniform(size=(1, 6, 6, 1))
    losses = []
    for _ in range(10):
        value, direction = iterate([x])
        losses.append(value)
        x += direction * 0.1
    assert losses == sorted(losses)
    assert losses[-1] > losses[0] + 0.5
    kernel = conv.get_weights()[0][:, :, 0, 1]
    _, direction = iterate([x])
    expected = np.zeros((6, 6))
    for i in range(4):
        for j in range(4):
            if conv(x).numpy()[0, i, j, 1] > 0:
                expected[i : i + 3, j : j + 3] += kernel / 16
    np.testing.assert_allclose(direction[0, :, :, 0], expected / (np.sqrt(np.mean(expected**2)) + 1e-5), atol=1e-9)


def test_functions_read_the_inputs_and_outputs_of_layers() -> None:
    first, last = layers.Dense(3, activation="tanh"), layers.Dense(1)
    last(first(Input((2,))))
    x = np.array([[1.0, 2.0], [3.0, -1.0]], dtype=np.float32)
    hidden, output = K.function([first.input], [first.output, last.output])([x])
    (kernel, bias), (mixture, _) = first.get_weights(), last.get_weights()
    np.testing.assert_allclose(hidden, np.tanh(x @ kernel + bias), rtol=1e-5)
    np.testing.assert_allclose(output, hidden @ mixture, rtol=1e-5)
    (g,) = K.function([first.input], K.gradients(last.output, last.kernel))([x])
    np.testing.assert_allclose(g[:, 0], hidden.sum(0), rtol=1e-5)


# ---------------------------------------------------------------------- the learning phase


def test_the_phase_is_a_symbol_outside_and_a_number_inside_of_calls() -> None:
    phase = K.learning_phase()
    assert K.is_tensor(phase)
    assert K.learning_phase() is phase
    seen = []

    class Spy(layers.Layer):
        def call(self, inputs: Tensor) -> Tensor:
            seen.append(K.learning_phase())
            return inputs

    spy = Spy()
    spy(np.zeros((1, 2)))
    spy(np.zeros((1, 2)), training=True)
    with call_context(training=True):
        spy(np.zeros((1, 2)))
    assert seen == [0, 1, 1]


@pytest.mark.parametrize("phase", [0, 1, True, False, np.array(1)])
def test_layers_follow_the_phase_that_is_fed(phase: object) -> None:
    x = Input((100,))
    dropped = layers.Dropout(0.5)(x)
    f = K.function([x, K.learning_phase()], [dropped])
    (value,) = f([np.ones((1, 100)), phase])
    assert set(np.unique(value)) == ({0.0, 2.0} if phase else {1.0})


def test_without_being_fed_the_phase_is_inference() -> None:
    x = Input((100,))
    dropped = layers.Dropout(0.5)(x)
    assert K.function([x], [dropped])([np.ones((1, 100))])[0].min() == 1.0


def test_a_phase_that_is_fixed_goes_before_contexts_and_not_before_arguments() -> None:
    dropout = layers.Dropout(0.5)
    model = Sequential([layers.Dropout(0.5, input_shape=(100,))])
    x = np.ones((1, 100), dtype=np.float32)
    K.set_learning_phase(1)
    assert K.learning_phase() == 1
    assert dropout(x).numpy().min() == 0.0
    assert model.predict(x).min() == 0.0
    assert dropout(x, training=False).numpy().min() == 1.0
    K.set_learning_phase(0)
    with call_context(training=True):
        assert dropout(x).numpy().min() == 1.0
    K.clear_session()
    assert K.is_tensor(K.learning_phase())
    with call_context(training=True):
        assert dropout(x).numpy().min() == 0.0


def test_manual_initialization_may_be_switched_off() -> None:
    assert K.manual_variable_initialization(False) is None


# ---------------------------------------------------------------------- printing


def test_print_tensor_prints_now_or_when_it_is_computed(capsys: pytest.CaptureFixture[str]) -> None:
    assert K.print_tensor(np.array([1, 2]), "x = ").tolist() == [1, 2]
    assert capsys.readouterr().out == "x = [1 2]\n"
    x = K.placeholder((2,))
    f = K.function([x], [K.print_tensor(x, "later: ") * 2.0])
    assert capsys.readouterr().out == ""
    assert f([[1, 2]])[0].tolist() == [2.0, 4.0]
    assert capsys.readouterr().out == "later: [1. 2.]\n"

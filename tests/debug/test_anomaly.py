from __future__ import annotations

import gc
import pickle
import threading

import numpy as np
import pytest

from minikeras import Parameter, Sequential, Tensor, gradients, layers, no_grad, ops
from minikeras.core import tape
from minikeras.core.primitive import Primitive, primitive
from minikeras.debug import AnomalyError, detect_anomaly
from minikeras.debug.finite import find_defect
from minikeras.layers import Layer

NAN, INF = np.nan, np.inf


def leaf(*values: float, dtype: str = "float32") -> Tensor:
    return Tensor(np.array(values, dtype), requires_grad=True)


def caught(run, **options) -> AnomalyError:
    with pytest.raises(AnomalyError) as found, detect_anomaly(**options):
        run()
    return found.value


def line_of(error: AnomalyError) -> str:
    """The file's name without the folder, and the text of the line."""
    return f"{error.line.rsplit(':', 1)[0].rsplit('/', 1)[-1]} | {error.source}"


class Root(Layer):
    def call(self, inputs):
        return ops.sqrt(ops.relu(inputs))


# ---------------------------------------------------------------------- forward


def test_the_operation_its_line_and_the_element_are_named() -> None:
    def run() -> None:
        x = leaf(4.0, 0.0, 9.0) - 1.0
        ops.log(x)

    error = caught(run)
    assert (error.phase, error.operation, error.kind, error.received) == ("forward", "log", "NaN", False)
    assert (error.index, error.count, error.shape) == ((1,), 1, (3,))
    assert line_of(error) == "test_anomaly.py | ops.log(x)"
    assert "1 of 3 elements, the first at [1], where x = -1\n" in str(error)
    assert isinstance(error, FloatingPointError)


def test_what_an_elementwise_operation_was_given_is_shown_also_where_it_was_broadcast() -> None:
    error = caught(lambda: ops.divide(np.ones((2, 1)), leaf(1.0, 0.0)))
    assert error.index == (0, 1)
    assert error.kind == "infinity"
    assert "2 of 4 elements, the first at [0, 1], where x = 1 and y = 0" in str(error)


def test_a_number_that_was_not_finite_before_is_not_blamed_on_the_operation() -> None:
    w = Parameter([1.0, NAN], name="dense/kernel")
    error = caught(lambda: leaf(1.0, 2.0) * w)
    assert (error.received, error.input, error.parameter, error.operation) == (True, "y", "dense/kernel", "multiply")
    assert "received NaN in its input 'y', the parameter 'dense/kernel'" in str(error)
    data = caught(lambda: ops.exp(np.array([[1.0, NAN]])))
    assert (data.received, data.parameter, data.index) == (True, None, (0, 1))
    assert "data of shape (1, 2)" in str(data)
    assert "the number nan" in str(caught(lambda: leaf(1.0) * NAN))


def test_a_result_from_before_the_block_is_named_by_its_operation() -> None:
    with np.errstate(all="ignore"):
        y = ops.log(leaf(-1.0))
    assert "received NaN in its input 'x', the result of 'log'" in str(caught(lambda: ops.exp(y)))


def test_nan_made_of_infinities_is_made_there() -> None:
    x = leaf(1.0, 2.0)
    error = caught(lambda: ops.where(x > 1.5, x, INF) - ops.where(x > 1.5, x, INF))
    assert (error.operation, error.kind, error.received) == ("subtract", "NaN", False)


@pytest.mark.parametrize(
    ("check", "found"), [("nan", "NaN"), ("inf", "infinity"), ("both", "infinity")], ids=["nan", "inf", "both"]
)
def test_check_says_what_counts(check: str, found: str) -> None:
    def run() -> None:
        infinite = ops.exp(leaf(1000.0))
        infinite - infinite

    assert caught(run, check=check).kind == found


def test_infinities_that_the_program_writes_itself_pass() -> None:
    x = leaf(1.0, 2.0)
    with detect_anomaly():
        masked = ops.where(x > 1.5, x, -INF)
        y = ops.softmax(ops.reshape(masked, (1, 2)))
        (y * y).sum().backward()
    assert x.grad.tolist() == [0.0, 0.0]


def test_shapes_tried_out_while_a_model_is_built_are_no_anomaly() -> None:
    x = layers.Input((3,))
    with detect_anomaly():
        y = ops.log(x - 1.0)  # tried out with ones
    assert y.shape == (None, 3)


def test_operations_with_several_outputs_are_looked_at_too() -> None:
    @primitive(differentiable=False)
    def root_and_logarithm(x):
        return np.sqrt(x), None, np.log(x)

    error = caught(lambda: root_and_logarithm(leaf(1.0, 0.0)))
    assert (error.operation, error.kind, error.index) == ("root_and_logarithm", "infinity", (1,))


def test_integers_and_empty_arrays_have_no_defect() -> None:
    for array in (np.arange(3), np.zeros((0, 2)), np.array(True), 3, None, "text"):
        assert find_defect(array, ("nan", "inf")) is None
    assert find_defect(np.full(4, 3e38, "float32"), ("nan", "inf")) is None  # though their sum overflows


# ---------------------------------------------------------------------- backward


def test_in_backward_the_line_that_ran_forward_is_named() -> None:
    def run() -> None:
        x = leaf(4.0, 0.0)
        y = ops.sqrt(x)
        loss = (y * 2.0).sum()
        loss.backward()

    error = caught(run)
    assert (error.phase, error.operation, error.input, error.kind) == ("backward", "sqrt", "x", "infinity")
    assert line_of(error) == "test_anomaly.py | y = ops.sqrt(x)"
    assert "the first at [1], where its output = 0 and the gradient of its output = 2\n" in str(error)


def test_the_parameter_whose_gradient_it_is_is_named() -> None:
    w = Parameter([0.0], name="exponent")
    error = caught(lambda: ops.sqrt(w).backward())
    assert error.parameter == "exponent"
    assert "in the gradient of its input 'x' (exponent)" in str(error)


def test_inputs_of_operations_that_take_any_number_are_numbered() -> None:
    @primitive
    def joined(*xs):
        return np.concatenate(xs)

    @joined.backward
    def _(g, needs):
        return [g[:1] * 1.0, g[1:] / 0.0]

    error = caught(lambda: joined(leaf(1.0), leaf(2.0)).sum().backward())
    assert error.input == "xs[1]"


def test_a_layer_is_named_and_what_it_is_in() -> None:
    model = Sequential([layers.Dense(3, input_dim=2, kernel_initializer="zeros"), Root(name="root"), layers.Dense(1)])
    model.compile("sgd", "mse")
    error = caught(lambda: model.fit(np.ones((4, 2)), np.ones((4, 1)), verbose=0))
    assert (error.phase, error.layer, error.operation) == ("backward", "root", "sqrt")
    assert line_of(error) == "test_anomaly.py | return ops.sqrt(ops.relu(inputs))"
    assert f"\n  in Root 'root' of Sequential '{model.name}'" in str(error)


def test_of_layers_that_are_not_the_users_the_line_that_called_them_is_told() -> None:
    model = Sequential([layers.Dense(1, input_dim=1, kernel_initializer="ones", activation="exponential")])

    def run() -> None:
        model.predict(np.full((2, 1), 1000.0))

    error = caught(run)
    assert line_of(error) == "test_anomaly.py | model.predict(np.full((2, 1), 1000.0))"
    assert error.layer == model.layers[0].name


def test_what_ran_outside_is_still_found_and_said_to_have_no_line() -> None:
    y = ops.sqrt(leaf(0.0))
    error = caught(y.backward)
    assert (error.operation, error.line, error.source) == ("sqrt", None, "")
    assert "'sqrt' ran outside of detect_anomaly: run the forward inside" in str(error)


def test_a_gradient_given_from_outside_is_not_blamed_on_the_operation() -> None:
    error = caught(lambda: ops.exp(leaf(1.0, 2.0)).backward([1.0, NAN]))
    assert (error.operation, error.received, error.index) == ("exp", True, (1,))
    assert "received NaN in the gradient given for the output of 'exp'" in str(error)


def test_sums_of_gradients_that_overflow_are_found_at_leaves_and_between() -> None:
    x = leaf(1.0)
    seed = np.array([3e38], "float32")
    error = caught(lambda: gradients([x * 1.0, x * 1.0], x, [seed, seed]))
    assert (error.operation, error.shape) == ("sum", (1,))
    assert "an infinity in the gradient of a leaf of shape (1,)" in str(error)
    y = leaf(1.0) * 1.0
    error = caught(lambda: gradients([y * 1.0, y * 1.0], y, [seed, seed]))
    assert error.operation == "sum"
    z = ops.tanh(leaf(1.0))
    error = caught(lambda: sum_of([z * 1.0, z * 1.0], [seed, seed]))
    assert "an infinity arrives at the output of 'tanh'" in str(error)
    assert "the sum of what its uses gave overflowed" in str(error)


def sum_of(outputs: list[Tensor], seeds: list[np.ndarray]) -> None:
    joined = ops.concatenate(outputs)
    joined.backward(np.concatenate(seeds))


def test_hooks_that_return_nan_are_suspected() -> None:
    x = leaf(1.0)
    x.register_hook(lambda g: np.full(1, NAN))
    assert "a hook returned it" in str(caught(lambda: (x * 2.0).backward()))


def test_steps_inside_a_derivative_may_be_infinite_where_its_result_is_finite() -> None:
    @primitive
    def masked_root(x):
        return np.sqrt(x)

    masked_root.vjps(x=lambda g, x: ops.where(x > 0.0, g * 0.5 / ops.sqrt(x), 0.0))
    x = leaf(4.0, 0.0)
    with detect_anomaly():
        masked_root(x).sum().backward()
    assert x.grad.tolist() == [0.25, 0.0]


def test_second_derivatives_tell_the_line_of_the_first_forward() -> None:
    def run() -> None:
        x = leaf(0.0, 1.0, dtype="float64")
        y = x**1.5
        (first,) = gradients(y.sum(), x, create_graph=True)
        gradients(first.sum(), x)

    error = caught(run)
    assert (error.phase, error.index) == ("backward", (0,))
    assert line_of(error) == "test_anomaly.py | y = x**1.5"
    assert "as a part of the derivative of 'power'" in str(error)


def test_of_a_broadcast_input_no_single_gradient_is_shown() -> None:
    def run() -> None:
        x = leaf(0.0)
        (x**0.5 * np.array([1.0, 2.0], "float32")).sum().backward()

    assert "where x = 0 and y = 0.5 and the gradient of its output = 3\n" in str(caught(run))

    def broadcast() -> None:
        x = leaf(0.0)
        (x ** np.array([0.5, 0.5], "float32")).sum().backward()

    assert "the only element, where x = 0\n" in str(caught(broadcast))


# ---------------------------------------------------------------------- arrays written to by hand


@pytest.mark.parametrize(("changed", "what"), [("x", "input 'x'"), ("y", "output")])
def test_a_saved_array_that_was_written_to_by_hand_is_refused(changed: str, what: str) -> None:
    x = leaf(1.0, 2.0)
    with detect_anomaly():
        y = ops.exp(x) if changed == "y" else ops.sin(x)
        {"x": x, "y": y}[changed].data[0] = 5.0
        with pytest.raises(RuntimeError, match=rf"the {what} of '(exp|sin)' was written to(.|\n)*ran at.*y = ops\.exp"):
            y.sum().backward()


def test_changes_that_versions_count_are_left_to_them() -> None:
    x = leaf(1.0, 2.0)
    with detect_anomaly():
        y = ops.sin(x)
        x.assign([3.0, 4.0])
        with pytest.raises(RuntimeError, match=r"expected version 0. Received: version 1"):
            y.sum().backward()


def test_writes_may_go_unchecked() -> None:
    x = leaf(1.0, 2.0)
    with detect_anomaly(writes=False):
        y = x * x
        x.data[0] = 5.0
        y.sum().backward()
    assert x.grad.tolist() == [10.0, 4.0]


# ---------------------------------------------------------------------- where and when it is in effect


def test_outside_the_engine_is_as_it_was() -> None:
    before = Primitive.__call__, Primitive.pull_back, tape._walk
    with detect_anomaly(), detect_anomaly("nan"):
        assert Primitive.__call__ is not before[0]
    assert (Primitive.__call__, Primitive.pull_back, tape._walk) == before
    with pytest.raises(AnomalyError), detect_anomaly():
        ops.log(leaf(-1.0))
    assert (Primitive.__call__, Primitive.pull_back, tape._walk) == before


def test_the_inner_of_two_counts() -> None:
    with detect_anomaly():
        with detect_anomaly("nan"):
            ops.exp(leaf(1000.0))
        with pytest.raises(AnomalyError):
            ops.exp(leaf(1000.0))


def test_as_a_decorator_it_works_each_time_and_recursively() -> None:
    @detect_anomaly(check="inf")
    def power(x: Tensor, n: int) -> Tensor:
        return x if n == 1 else x * power(x, n - 1)

    assert power(leaf(2.0), 5).tolist() == [32.0]
    for _ in range(2):
        with pytest.raises(AnomalyError, match="'multiply' made an infinity"):
            power(leaf(1e30), 5)


def test_it_is_in_effect_in_its_thread_alone() -> None:
    results = []
    ready, done = threading.Event(), threading.Event()

    def other() -> None:
        ready.wait(10)
        with np.errstate(all="ignore"):
            results.append(ops.log(leaf(-1.0)).item())
        with pytest.raises(AnomalyError), detect_anomaly():
            ops.log(leaf(-1.0))
        done.set()

    thread = threading.Thread(target=other)
    thread.start()
    with detect_anomaly():
        ready.set()
        assert done.wait(10)
        with pytest.raises(AnomalyError):
            ops.log(leaf(-1.0))
    thread.join()
    assert np.isnan(results).all()


def test_results_are_the_same_to_the_bit() -> None:
    def step() -> tuple[list[float], list[float]]:
        rng = np.random.default_rng(0)
        x = Tensor(rng.normal(size=(2, 6, 6, 3)))
        w = Tensor(rng.normal(size=(3, 3, 3, 4)), requires_grad=True)
        y = ops.conv(x, w, strides=(1, 1), padding=((1, 1), (1, 1)), dilation=(1, 1), activation="tanh")
        (first,) = gradients((y**2).sum(), w, create_graph=True)
        (second,) = gradients((first**2).sum(), w)
        return first.tolist(), second.tolist()

    plain = step()
    with detect_anomaly():
        assert step() == plain


def test_under_no_grad_outputs_are_looked_at_as_well() -> None:
    with no_grad():
        assert caught(lambda: ops.log(leaf(-1.0))).operation == "log"


def test_a_healthy_fit_goes_through_and_leaves_nothing_for_the_garbage_collector() -> None:
    model = Sequential([layers.Dense(4, input_dim=2, activation="relu"), layers.BatchNormalization(), layers.Dense(1)])
    model.compile("adam", "mse")
    x, y = np.random.default_rng(0).normal(size=(8, 2)), np.ones((8, 1))
    with detect_anomaly():
        model.fit(x, y, epochs=2, verbose=0)
        gc.collect()
        gc.disable()
        try:
            model.train_on_batch(x, y)
            assert gc.collect() == 0
        finally:
            gc.enable()


def test_the_error_can_be_sent_to_another_process() -> None:
    error = caught(lambda: ops.log(leaf(-1.0)))
    copy = pickle.loads(pickle.dumps(error))
    assert (str(copy), vars(copy)) == (str(error), vars(error))


@pytest.mark.parametrize("check", ["NaN", None, True, ["nan"]])
def test_another_check_is_refused(check) -> None:
    with pytest.raises(ValueError, match=r'detect_anomaly: check must be "nan", "inf" or "both". Received:'):
        detect_anomaly(check)


def test_a_decorator_without_parentheses_is_told() -> None:
    with pytest.raises(ValueError, match=r"it needs parentheses, @detect_anomaly\(\). Received: <function"):

        @detect_anomaly
        def run() -> None:
            pass

"""check_gradients of functions: what it takes, what it notices, and what it refuses."""

from __future__ import annotations

import numpy as np
import pytest

import minikeras
from minikeras import Tensor, ops
from minikeras.core.primitive import primitive
from minikeras.gradcheck import GradientError, assert_gradients, check_gradients

RNG = np.random.default_rng(0)
X = RNG.normal(size=(3, 4))


def kinds(report):
    return {result.name: result.verdict.kind for result in report.results}


# ---------------------------------------------------------------------- right functions


@pytest.mark.parametrize("method", ["auto", "full", "random"])
@pytest.mark.parametrize("order", [1, 2])
def test_right_gradients_agree(method, order):
    def f(x, w, b):
        return ops.tanh(x @ w + b)

    report = check_gradients(f, [X, RNG.normal(size=(4, 2)), RNG.normal(size=2)], method=method, order=order)
    assert report.ok, report
    assert [r.name for r in report.results if r.order == 1] == ["x", "w", "b"]
    assert all(result.relative_error < 1e-8 for result in report.results), report


@pytest.mark.parametrize(
    "inputs",
    [
        np.array(0.7),
        0.7,
        [0.7, X],
        [X[:, ::2], X[:, ::2].T.copy().T],
        [np.zeros((0, 3))],
        [X, np.zeros((3, 0))],
        [X, np.arange(4)],
        [X[::-1], X.T[1:2, :].T],
        [np.array([1e-8, 1e8])],
        [1e-6 * X],
        [1e6 * X],
        Tensor(X),
    ],
    ids=str,
)
def test_inputs_of_any_kind_are_taken(inputs):
    def f(*xs):
        return [ops.square(x) + 0.3 * x for x in xs]

    for order in (1, 2):
        report = check_gradients(f, inputs, order=order)
        assert report.ok, report


def test_several_outputs_some_none_some_integer():
    def f(x):
        return ops.sin(x), None, ops.argmax(x), ops.sum(x * x)

    for order in (1, 2):
        assert check_gradients(f, X, order=order).ok


def test_an_input_that_is_not_used_is_told_of_and_passes():
    report = check_gradients(lambda x, y: ops.sin(x), [X, X])
    assert report.ok
    assert kinds(report) == {"x": "agrees", "y": "independent"}
    assert "not a function of this input" in str(report)


def test_a_gradient_that_cancels_is_zero_and_no_mistake():
    assert check_gradients(lambda x: ops.sum(ops.softmax(x, axis=-1)), X).ok


@pytest.mark.parametrize(
    "f",
    [
        lambda x: ops.exp(10.0 * x),
        lambda x: ops.sin(50.0 * x),
        lambda x: 1e6 + x,
        lambda x: 1e-20 * ops.sin(x),
        lambda x: ops.log(ops.absolute(x) + 1e-5),
        lambda x: ops.sigmoid(20.0 * x),
        lambda x: ops.square(x) ** 3,
        lambda x: ops.sqrt(x * x + 1e-12),
    ],
)
def test_functions_that_are_hard_to_difference_are_no_mistakes(f):
    for seed in range(10):
        report = check_gradients(f, np.random.default_rng(seed).normal(size=(4, 5)), seed=seed)
        assert report.ok, report


def test_a_function_that_differentiates_inside_is_checked():
    def penalty(x):
        norms = ops.square(minikeras.grad(lambda z: ops.sum(ops.tanh(z) * z), create_graph=True)(x))
        return ops.sum(norms)

    for order in (1, 2):
        report = check_gradients(penalty, X, order=order)
        assert report.ok, report


# ---------------------------------------------------------------------- code that isn't ours


def test_a_numpy_function_with_a_hand_written_gradient():
    def loss(w, x):
        return np.sum((x @ w) ** 2)

    def right(w, x):
        return 2 * x.T @ (x @ w), 2 * np.outer(x @ w, w)

    w = RNG.normal(size=4)
    assert check_gradients(loss, [w, X], gradient=right).ok
    wrong = check_gradients(loss, [w, X], gradient=lambda w, x: (x.T @ (x @ w), right(w, x)[1]))
    assert kinds(wrong) == {"w": "factor", "x": "agrees"}
    assert check_gradients(loss, [w, X], gradient=lambda w, x: {"w": right(w, x)[0], "x": right(w, x)[1]}).ok


def test_a_hand_written_gradient_of_many_outputs_takes_a_cotangent_first():
    def layer(x, w):
        return np.tanh(x @ w)

    def backward(g, x, w):
        g = g * (1 - np.tanh(x @ w) ** 2)
        return g @ w.T, x.T @ g

    w = RNG.normal(size=(4, 2))
    assert check_gradients(layer, [X, w], gradient=backward).ok
    with pytest.raises(ValueError, match="cotangent"):
        check_gradients(layer, [X, w], gradient=lambda x, w: (x, w))


def test_integer_inputs_of_a_hand_written_gradient_may_be_left_out():
    rows = np.array([0, 2, 2])

    def backward(g, table, rows):
        found = np.zeros_like(table)
        np.add.at(found, rows, g)
        return found

    def forgetful(g, table, rows):
        found = np.zeros_like(table)
        found[rows] += g
        return found

    assert check_gradients(lambda table, rows: table[rows], [X, rows], gradient=backward).ok
    report = check_gradients(lambda table, rows: table[rows], [X, rows], gradient=forgetful)
    assert kinds(report) == {"table": "missing-term"}


class Affine:
    """A layer as students write them."""

    def forward(self, x, w):
        self.x, self.w = x, w
        return x @ w

    def backward(self, g):
        return g @ self.w.T, self.x.T @ g


class Stale(Affine):
    """Keeps what its first forward has seen."""

    def forward(self, x, w):
        self.x, self.w = getattr(self, "x", x), getattr(self, "w", w)
        return x @ w


def test_an_object_with_forward_and_backward():
    w = RNG.normal(size=(4, 2))
    assert check_gradients(Affine(), [X, w]).ok
    report = check_gradients(Stale(), [X, w])
    assert not report.ok
    assert "stale" in report["x"].verdict.text
    assert "perhaps" in report["x"].verdict.text


# ---------------------------------------------------------------------- what it notices


def test_randomness_is_noticed():
    rng = np.random.default_rng(0)
    report = check_gradients(lambda x: x * rng.normal(), X)
    assert kinds(report) == {"x": "non-deterministic"}
    assert not report.ok


def test_a_random_gradient_is_noticed():
    rng = np.random.default_rng(0)
    report = check_gradients(lambda x: np.sum(x), X, gradient=lambda x: np.ones_like(x) + rng.normal())
    assert kinds(report) == {"x": "non-deterministic"}


def test_a_function_that_writes_into_its_input_is_noticed():
    x = X.copy()

    def f(x):
        x *= 2.0
        return np.sum(x)

    report = check_gradients(f, x, gradient=lambda x: 2 * np.ones_like(x))
    assert not report.ok
    assert "writes into" in str(report)
    np.testing.assert_array_equal(x, X)


def test_shape_and_dtype_of_a_gradient_are_noticed():
    def total(x):
        return np.sum(np.sin(x))

    shape = check_gradients(total, X, gradient=lambda x: np.cos(x).T)["x"].verdict
    assert shape.kind == "wrong"
    assert "(4, 3)" in shape.text
    dtype = check_gradients(total, X, gradient=lambda x: np.cos(x).astype(np.float32))["x"].verdict
    assert dtype.kind == "precision"
    for seed in range(20):
        rounded = check_gradients(
            total, X, gradient=lambda x: np.cos(x).astype(np.float32).astype(np.float64), seed=seed
        )
        assert kinds(rounded) == {"x": "precision"}


def test_float32_inside_is_named():
    def leaking(x):
        return ops.cast(ops.sin(ops.cast(x, dtype="float32")), dtype="float64")

    for seed in range(5):
        result = check_gradients(leaking, X, seed=seed)["x"]
        assert result.verdict.kind == "precision", result


@pytest.mark.parametrize("f", [ops.log, ops.sqrt, lambda x: x**0.3])
def test_the_step_fits_each_element_where_the_function_ends_nearby(f):
    for seed in range(5):
        report = check_gradients(f, np.array([1e-4, 1e-3, 1.0, 2.0, 1e-6]), seed=seed)
        assert report.ok, report


def test_values_that_are_not_finite_are_named():
    assert kinds(check_gradients(lambda x: ops.log(x), np.array([-1.0, 1.0, 2.0, 3.0]))) == {"x": "not-finite"}
    report = check_gradients(lambda x: np.sum(x), X, gradient=lambda x: np.full_like(x, np.nan))
    assert kinds(report) == {"x": "not-finite"}


def test_one_wrong_element_of_many_is_found_and_shown():
    for seed in range(4):
        x = np.random.default_rng(seed).normal(size=(100, 100))

        def gradient(x):
            found = np.cos(x)
            found[17, 23] *= 1.01
            return found

        result = check_gradients(lambda x: np.sum(np.sin(x)), x, gradient=gradient, seed=seed)["x"]
        assert not result.ok
        assert result.index == (17, 23)
        np.testing.assert_allclose(result.analytic / result.numeric, 1.01, rtol=1e-5)


def test_a_wrong_element_among_much_larger_ones_is_found():
    x = np.concatenate([np.full(20, 1e3), np.full(5, 1.0)])

    def gradient(x):
        found = 3 * x**2
        found[-1] *= 2.0
        return found

    for seed in range(10):
        assert not check_gradients(lambda x: np.sum(x**3), x, gradient=gradient, seed=seed).ok


def test_a_wrong_second_derivative_is_found_though_the_first_is_right():
    @primitive
    def sine(x):
        return np.sin(x)

    sine.vjps(x=lambda g, x: g * wrong_cosine(x))

    @primitive
    def wrong_cosine(x):
        return np.cos(x)

    wrong_cosine.vjps(x=lambda g, x: g * ops.sin(x))
    assert check_gradients(sine, X).ok
    report = check_gradients(sine, X, order=2)
    assert [(r.name, r.order, r.verdict.kind) for r in report.failures] == [("x", 2, "sign")]


def test_a_hessian_that_is_not_symmetric_is_told_of():
    w = RNG.normal(size=(4, 4))

    @primitive
    def form(x):
        return 0.5 * x @ w @ x

    form.vjps(x=lambda g, x: g * ops.matmul(w, x))
    report = check_gradients(form, RNG.normal(size=4), order=2)
    assert report["Hessian"].verdict.kind == "wrong"
    assert "not symmetric" in str(report)


# ---------------------------------------------------------------------- float32


def test_float32_inputs_are_checked_in_float64_unless_asked_otherwise():
    seen = []

    def f(x):
        seen.append(x.dtype)
        return ops.sin(x)

    assert check_gradients(f, X.astype(np.float32)).ok
    assert set(seen) == {np.dtype(np.float64)}
    seen.clear()
    report = check_gradients(f, X, dtype="float32", order=2)
    assert report.ok
    assert np.dtype(np.float32) in seen
    assert "in float32" in str(report)


def test_a_mistake_of_the_float32_path_alone_is_found_in_float32():
    @primitive
    def sine(x):
        return np.sin(x)

    sine.vjps(x=lambda g, x: g * ops.cos(x) * (1.01 if x.dtype == np.float32 else 1.0))
    assert check_gradients(sine, X).ok
    for seed in range(5):
        assert kinds(check_gradients(sine, X, dtype="float32", seed=seed)) == {"x": "factor"}


def test_a_function_of_float32_alone_is_compared_with_large_steps():
    @primitive
    def sine(x):
        if x.dtype != np.float32:
            raise TypeError("float32 only")
        return np.sin(x)

    sine.vjps(x=lambda g, x: g * ops.cos(x))
    for seed in range(5):
        report = check_gradients(sine, X, dtype="float32", seed=seed)
        assert report.ok, report
    sine.vjps(x=lambda g, x: 1.2 * g * ops.cos(x))
    for seed in range(5):
        assert not check_gradients(sine, X, dtype="float32", seed=seed).ok


# ---------------------------------------------------------------------- assertions and wrong calls


def test_assert_gradients_raises_the_report():
    def f(x):
        return np.sum(x**2)

    assert assert_gradients(f, X, gradient=lambda x: 2 * x).ok
    with pytest.raises(GradientError, match="wrong by a constant factor of 1/2") as caught:
        assert_gradients(f, X, gradient=lambda x: x)
    assert isinstance(caught.value, AssertionError)
    assert not caught.value.report.ok
    with pytest.raises(GradientError):
        assert_gradients(caught.value.report)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: check_gradients(3, X), TypeError, "f must be a function"),
        (lambda: check_gradients(ops.sin, "text"), TypeError, r"inputs must be arrays of real numbers"),
        (lambda: check_gradients(ops.sin, []), ValueError, "at least one array"),
        (lambda: check_gradients(ops.sin, X, order=3), ValueError, "order must be 1 or 2"),
        (lambda: check_gradients(ops.sin, X, method="some"), ValueError, "method must be one of"),
        (lambda: check_gradients(ops.sin, X, dtype="float16"), ValueError, "dtype must be one of"),
        (lambda: check_gradients(ops.sin, X, rtol=-1), ValueError, "rtol must be"),
        (lambda: check_gradients(ops.sin, X, atol="a"), TypeError, "atol must be"),
        (lambda: check_gradients(ops.sin, X, seed=-1), ValueError, "seed must be"),
        (lambda: check_gradients(ops.sin, X, names=["a", "b"]), ValueError, "names must have one for each"),
        (lambda: check_gradients(lambda x: None, X), TypeError, "must return a Tensor"),
        (lambda: check_gradients(lambda x: x.numpy(), X), TypeError, "Give gradient="),
        (lambda: check_gradients(np.sum, X, gradient=3), TypeError, "gradient must be a function"),
        (lambda: check_gradients(lambda x, y: x, [X]), TypeError, r"f must take 1 argument.* f\(x, y\)$"),
        (lambda: check_gradients(ops.sin, [X, X, X]), TypeError, "f must take 3 arguments, one for each of the inputs"),
        (lambda: check_gradients(np.sum, X, gradient=lambda a, b, c: a), TypeError, "gradient must take 2 arguments"),
        (lambda: check_gradients(lambda x: np.array(x).sum(), X), TypeError, "hand-written gradient as gradient="),
        (lambda: check_gradients(lambda x: None, X, gradient=np.cos), TypeError, "must return a number or an array"),
        (lambda: check_gradients(lambda x: x.sum(), X, gradient=lambda x: (x, x)), ValueError, "a gradient for each"),
        (lambda: check_gradients(lambda x: x.sum(), X, gradient=lambda x: "no"), TypeError, "must return numbers"),
        (lambda: check_gradients(lambda x: x.sum(), X, gradient=lambda x: {"y": x}), ValueError, "must name inputs"),
        (lambda: check_gradients(np.sum, X, gradient=np.ones_like, order=2), ValueError, "order=2 needs"),
    ],
)
def test_a_wrong_call_names_the_argument(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_full_compares_the_jacobian_entry_by_entry():
    """A mistake that the seed's cotangent doesn't see: the rule is right for it, and for no other."""

    def backward(g, x):
        if np.count_nonzero(g) == g.size:
            return g * np.cos(x)
        return 2.0 * g * np.cos(x)

    assert check_gradients(np.sin, X, gradient=backward).ok
    result = check_gradients(np.sin, X, gradient=backward, method="full")["x"]
    assert (result.ok, result.verdict.kind) == (False, "factor")


def test_what_goes_with_a_report_is_refused():
    report = check_gradients(lambda x: x * x, np.array([1.0, 2.0]))
    with pytest.raises(TypeError, match=r"judged as it is, other arguments have no use. Received: ndarray, order$"):
        assert_gradients(report, X, order=2)


def test_an_error_beside_the_point_says_how_far_away_it_was():
    def positive_only(x):
        if (x < 0).any():
            raise ArithmeticError("negative")
        return np.sqrt(x).sum()

    with pytest.raises(RuntimeError, match=r"ArithmeticError after a move of 'x' by up to .*Received: negative$"):
        check_gradients(positive_only, np.array([1e-9, 2.0]), gradient=lambda x: 0.5 / np.sqrt(x))

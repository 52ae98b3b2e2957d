"""Where a function has no derivative, a right gradient is not called wrong, and a wrong one is."""

from __future__ import annotations

import numpy as np
import pytest

from minikeras import layers, ops
from minikeras.core.primitive import primitive
from minikeras.gradcheck import check_gradients, check_layer

RNG = np.random.default_rng(0)
SEEDS = range(5)


def relu_with(rule):
    @primitive
    def relu(x):
        return np.maximum(x, 0.0)

    relu.vjps(x=rule)
    return relu


@pytest.mark.parametrize("distance", [1e-2, 1e-4, 1e-5, 1e-6, 1e-7, 1e-9, 1e-12, 0.0])
@pytest.mark.parametrize("size", [2, 3, 40, 2500])
def test_a_kink_at_any_distance_is_no_mistake(distance, size):
    x = RNG.normal(size=size)
    x[1] = distance
    for seed in SEEDS:
        report = check_gradients(ops.relu, x, seed=seed)
        assert report.ok, report
        assert report.results[0].verdict.kind in ("agrees", "kink")


@pytest.mark.parametrize("function", [ops.softsign, lambda x: ops.relu(x) ** 2, lambda x: x * ops.absolute(x)])
@pytest.mark.parametrize("size", [3, 40])
def test_a_second_derivative_that_jumps_at_the_point_is_no_mistake(function, size):
    x = RNG.normal(size=size)
    x[1] = 0.0
    for seed in range(20):
        assert (report := check_gradients(function, x, seed=seed)).ok, report


def test_a_mistake_where_the_second_derivative_jumps_is_found():
    @primitive
    def squared_relu(x):
        return np.maximum(x, 0.0) ** 2

    squared_relu.vjps(x=lambda g, x: g * ops.where(x == 0.0, 1e-6, 2.0 * ops.relu(x)))
    x = RNG.normal(size=12)
    x[1] = 0.0
    for seed in range(20):
        assert not check_gradients(squared_relu, x, seed=seed)


@pytest.mark.parametrize("size", [3, 40])
def test_a_kink_is_named_with_its_element_and_the_slopes_beside_it(size):
    x = RNG.normal(size=size)
    x[1] = 0.0
    result = check_gradients(lambda x: ops.sum(ops.absolute(x)), x).results[0]
    assert result.verdict.kind in ("agrees", "kink")  # 0 lies in the middle between both slopes
    result = check_gradients(lambda x: ops.sum(ops.relu(x)), x).results[0]
    assert result.verdict.kind == "kink"
    assert "a kink at [1]" in result.verdict.text
    assert "subgradient" in result.verdict.text


def test_a_slope_that_is_not_between_those_beside_a_kink_is_wrong():
    x = RNG.normal(size=12)
    x[1] = 0.0
    relu = relu_with(lambda g, x: ops.where(x == 0.0, 2.0 * g, g * ops.cast(x > 0.0, dtype="float64")))
    for seed in SEEDS:
        result = check_gradients(relu, x, seed=seed).results[0]
        assert not result.ok
        assert "perhaps" in result.verdict.text


def test_a_mistake_beside_a_kink_is_still_named():
    x = RNG.normal(size=12)
    x[1] = 0.0
    relu = relu_with(lambda g, x: 2.0 * g * ops.cast(x > 0.0, dtype="float64"))
    for seed in SEEDS:
        assert check_gradients(relu, x, seed=seed).results[0].verdict.kind == "factor"


@pytest.mark.parametrize("order", [1, 2])
def test_ties_of_a_maximum_are_no_mistake_whatever_the_rule(order):
    for seed in SEEDS[:2]:
        assert check_gradients(ops.maximum, [np.ones(5), np.ones(5)], seed=seed, order=order).ok
        assert check_gradients(lambda x: ops.max(x, axis=0), np.ones((3, 5)), seed=seed, order=order).ok
        assert check_layer(layers.MaxPooling2D(2), inputs=np.ones((2, 4, 4, 3)), seed=seed, order=order).ok


def test_ties_that_give_everyone_the_whole_gradient_are_wrong():
    @primitive
    def largest(x):
        return x.max(axis=0)

    largest.vjps(x=lambda g, x, out: g * ops.cast(x == out, dtype="float64"))

    @primitive
    def larger(x, y):
        return np.maximum(x, y)

    larger.vjps(
        x=lambda g, x, y: g * ops.cast(x >= y, dtype="float64"), y=lambda g, x, y: g * ops.cast(y >= x, dtype="float64")
    )
    for seed in SEEDS:
        for report in (
            check_gradients(largest, np.ones((3, 5)), seed=seed),
            check_gradients(larger, [np.ones(5), np.ones(5)], seed=seed),
        ):
            assert not report.ok, report
            assert "ties" in str(report)


def test_pooling_of_nearly_tied_elements_is_no_mistake():
    x = np.ones((2, 4, 4, 3)) + 1e-8 * RNG.normal(size=(2, 4, 4, 3))
    for seed in SEEDS:
        report = check_layer(layers.MaxPooling2D(2), inputs=x, seed=seed)
        assert report.ok, report


def test_a_jump_is_named():
    x = np.array([0.3, 0.0, -0.4, 1.2, -2.0])
    result = check_gradients(ops.sign, x).results[0]
    assert result.verdict.kind == "kink"
    assert "jumps" in result.verdict.text


def test_a_dense_layer_with_many_kinks_nearby_is_no_mistake():
    for seed in range(10):
        report = check_layer(layers.Dense(200, activation="relu"), (50,), seed=seed)
        assert report.ok, report


def test_derivatives_that_grow_without_bound_are_not_called_a_mistake_of_the_rule():
    result = check_gradients(ops.sqrt, np.array([0.0, 1.0, 2.0])).results[0]
    assert not result.ok
    assert result.verdict.kind == "not-finite"


def test_noise_of_values_is_no_kink():
    x = 1e-6 * RNG.uniform(1, 2, 4)
    for f, point in (
        (lambda x: (ops.exp(x) - 1.0 - x) / ops.square(x), x),
        (lambda x: ops.cast(ops.sin(ops.cast(x, "float32")), "float64"), RNG.normal(size=4)),
        (lambda x: (ops.sqrt(x + 1e12) - 1e6) * 1e6, RNG.normal(size=4)),
    ):
        for seed in SEEDS:
            result = check_gradients(f, point, seed=seed).results[0]
            assert not result.ok
            assert result.verdict.kind == "precision", result


def test_a_kink_in_noisy_values_is_a_kink():
    x = np.array([0.5, 0.0, -1.5, 2.0])
    for seed in SEEDS:
        result = check_gradients(lambda x: ops.relu(x) + 1e4 - 1e4, x, seed=seed, rtol=1e-6).results[0]
        assert result.verdict.kind in ("kink", "precision"), result

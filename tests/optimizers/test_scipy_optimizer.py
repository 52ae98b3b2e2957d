"""ScipyOptimizer on plain functions: every method, ends, steps that lead nowhere, and messages."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.optimize import rosen, rosen_der, rosen_hess_prod

from minikeras import Parameter, optimizers
from minikeras.optimizers import ScipyOptimizer

METHODS = ["L-BFGS-B", "BFGS", "CG", "Newton-CG", "trust-ncg", "trust-krylov"]
START = np.array([-1.2, 1.0, 0.5])


class Rosenbrock:
    """Rosenbrock's valley, with its minimum at ones; keeps where it was evaluated."""

    def __init__(self):
        self.points = []
        self.products = 0

    def value_and_gradient(self, theta):
        self.points.append(theta.copy())
        return float(rosen(theta)), rosen_der(theta)

    def hvp(self, theta, v):
        self.products += 1
        return rosen_hess_prod(theta, v)


class Wall:
    """``x - log(x)`` with its minimum at 1, and nothing at or below 0."""

    def value_and_gradient(self, theta):
        (x,) = theta
        return (x - math.log(x), 1 - 1 / theta) if x > 0 else (math.nan, np.array([math.nan]))

    def hvp(self, theta, v):
        return v / theta**2


@pytest.mark.parametrize("method", METHODS)
def test_every_method_finds_the_end_of_the_valley(method):
    function = Rosenbrock()
    result = ScipyOptimizer(method).minimize(function, START, iterations=200)
    np.testing.assert_allclose(result.x, 1.0, atol=2e-4)
    assert (function.products > 0) == (method in ("Newton-CG", "trust-ncg", "trust-krylov"))


@pytest.mark.parametrize("method", METHODS)
def test_the_callback_sees_every_iteration_and_no_more_are_made_than_asked_for(method):
    optimizer, points = ScipyOptimizer(method), []
    result = optimizer.minimize(Rosenbrock(), START, 4, points.append)
    assert optimizer.iterations == result.nit == len(points) == 4
    np.testing.assert_array_equal(points[-1], result.x)
    assert optimizer.result is result
    values = [rosen(START), *map(rosen, points)]
    assert values == sorted(values, reverse=True)


@pytest.mark.parametrize("method", METHODS)
def test_a_callback_ends_it(method):
    points = []

    def stop(theta):
        points.append(theta)
        return len(points) == 2

    result = ScipyOptimizer(method).minimize(Rosenbrock(), START, 50, stop)
    np.testing.assert_array_equal(result.x, points[1])
    assert len(points) == 2


@pytest.mark.parametrize("method", METHODS)
def test_steps_that_lead_to_nan_are_made_shorter(method):
    result = ScipyOptimizer(method).minimize(Wall(), np.array([20.0]), 60)
    np.testing.assert_allclose(result.x, 1.0, rtol=1e-3)


@pytest.mark.filterwarnings("ignore:Unknown solver options")
def test_tolerance_and_options_go_to_the_method():
    loose = ScipyOptimizer(tol=1e-1).minimize(Rosenbrock(), START, 200)
    tight = ScipyOptimizer(tol=1e-12).minimize(Rosenbrock(), START, 200)
    assert loose.nit < tight.nit
    assert ScipyOptimizer(options={"maxfun": 3}).minimize(Rosenbrock(), START, 200).nfev <= 10


def test_its_configuration_makes_the_same_again():
    optimizer = ScipyOptimizer("newton-cg", tol=1e-3, options={"xtol": 0.1}, fixed_noise=True)
    config = optimizers.serialize(optimizer)
    assert config["config"] == {"method": "Newton-CG", "tol": 1e-3, "options": {"xtol": 0.1}, "fixed_noise": True}
    assert optimizers.serialize(optimizers.deserialize(config)) == config
    assert optimizers.get("scipy_optimizer").method == "L-BFGS-B"


def test_a_start_that_is_not_finite_is_refused():
    with pytest.raises(FloatingPointError, match=r"finite at the start. Received: loss nan"):
        ScipyOptimizer().minimize(Wall(), np.array([-1.0]), 5)


@pytest.mark.parametrize(
    ("wrong", "error", "words"),
    [
        (lambda: ScipyOptimizer("adam"), ValueError, "method must be one of L-BFGS-B, .*Received: 'adam'"),
        (lambda: ScipyOptimizer(3), ValueError, "method must be one of .*Received: 3"),
        (lambda: ScipyOptimizer(tol="small"), TypeError, "tol must be a number .*'small'"),
        (lambda: ScipyOptimizer(tol=0), ValueError, r"tol must be a number in \(0, inf\)"),
        (lambda: ScipyOptimizer(options=[1]), TypeError, r"options must be a dict. Received: \[1\]"),
        (lambda: ScipyOptimizer(options={"maxiter": 9}), ValueError, "an iteration is an epoch: say epochs=9 in fit"),
        (lambda: ScipyOptimizer(fixed_noise="no"), TypeError, "fixed_noise must be True or False"),
        (lambda: ScipyOptimizer().lr, AttributeError, "has no learning rate"),
        (lambda: setattr(ScipyOptimizer(), "learning_rate", 0.1), AttributeError, "has no learning rate"),
        (
            lambda: ScipyOptimizer().apply_gradients([np.ones(1)], [Parameter(np.ones(1))]),
            RuntimeError,
            r"all samples at once: train by model.fit\(x, y\)",
        ),
    ],
)
def test_wrong_calls_are_told_what_was_expected(wrong, error, words):
    with pytest.raises(error, match=f"ScipyOptimizer.*{words}"):
        wrong()

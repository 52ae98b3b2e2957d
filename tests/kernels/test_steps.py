"""Steps of optimizers: each does what its formula says, in every type, and leaves the gradient alone."""

from __future__ import annotations

import numpy as np
import pytest

from minikeras import Parameter, kernels, optimizers
from minikeras.core import tiers

RATE, KEPT, EPSILON = 0.01, 0.9, 1e-7
LARGEST = float(np.finfo(np.float32).max)


def momentum(p, g, v, nesterov):
    v = KEPT * v - RATE * g
    return p + (KEPT * v - RATE * g if nesterov else v), v


def adagrad(p, g, a):
    a = a + g**2
    return p - RATE * g / (np.sqrt(a) + EPSILON), a


def rmsprop(p, g, a):
    a = KEPT * a + (1 - KEPT) * g**2
    return p - RATE * g / (np.sqrt(a) + EPSILON), a


def adadelta(p, g, a, d):
    a = KEPT * a + (1 - KEPT) * g**2
    u = g * np.sqrt(d + EPSILON) / np.sqrt(a + EPSILON)
    return p - RATE * u, a, KEPT * d + (1 - KEPT) * u**2


def adam(p, g, m, v, vhat, amsgrad):
    m, v = KEPT * m + (1 - KEPT) * g, 0.99 * v + 0.01 * g**2
    vhat = np.maximum(v, vhat) if amsgrad else vhat
    return p - RATE * m / (np.sqrt(vhat if amsgrad else v) + EPSILON), m, v, vhat


def adamax(p, g, m, u):
    m, u = KEPT * m + (1 - KEPT) * g, np.maximum(0.99 * u, np.abs(g))
    return p - RATE * m / (u + EPSILON), m, u


def nadam(p, g, m, v):
    m, v = KEPT * m + (1 - KEPT) * g, 0.99 * v + 0.01 * g**2
    return p - RATE * (1.5 * g + 0.7 * m) / (np.sqrt(1.2 * v) + EPSILON), m, v


BETAS = {"rate": RATE, "beta_1": KEPT, "beta_2": 0.99, "epsilon": EPSILON}
AVERAGE = {"rate": RATE, "rho": KEPT, "epsilon": EPSILON}
STEPS = {  # kernel, options, number of slots, definition
    "sgd": (kernels.sgd_step, {"rate": RATE}, 0, lambda p, g: (p - RATE * g,)),
    "momentum": (kernels.momentum_step, {"rate": RATE, "momentum": KEPT, "nesterov": False}, 1, momentum),
    "nesterov": (kernels.momentum_step, {"rate": RATE, "momentum": KEPT, "nesterov": True}, 1, momentum),
    "adagrad": (kernels.adagrad_step, {"rate": RATE, "epsilon": EPSILON}, 1, adagrad),
    "rmsprop": (kernels.rmsprop_step, AVERAGE, 1, rmsprop),
    "adadelta": (kernels.adadelta_step, AVERAGE, 2, adadelta),
    "adam": (kernels.adam_step, {**BETAS, "amsgrad": False}, 3, adam),
    "amsgrad": (kernels.adam_step, {**BETAS, "amsgrad": True}, 3, adam),
    "adamax": (kernels.adamax_step, BETAS, 2, adamax),
    "nadam": (kernels.nadam_step, {**BETAS, "of_g": 1.5, "of_m": 0.7, "of_v": 1.2}, 2, nadam),
}


def step(name, p, g, *slots):
    """Take it, in place."""
    kernel, options, _, _ = STEPS[name]
    kernel(p, g, list(np.empty((2, p.size), p.dtype)), *slots, **options)


def every_step(dtype):
    """Each of them once: what `test_every_compiled_loop.py` runs."""
    for name, (_, _, count, _) in STEPS.items():
        step(name, *np.ones((2 + count, 5), dtype))


@pytest.mark.parametrize(("dtype", "tolerance"), [("float16", 2e-3), ("float32", 1e-6), ("float64", 1e-14)])
@pytest.mark.parametrize("size", [0, 1, 37])
@pytest.mark.parametrize("name", STEPS)
def test_a_step_is_its_formula_and_leaves_the_gradient_alone(name, size, dtype, tolerance, tier):
    _, _, count, definition = STEPS[name]
    rng = np.random.default_rng(len(name))
    p, g, *slots = arrays = [*rng.standard_normal((2, size)).astype(dtype), *rng.random((count, size)).astype(dtype)]
    given = [array.copy() for array in arrays]
    options = {key: value for key, value in STEPS[name][1].items() if key in ("nesterov", "amsgrad")}
    expected = definition(*[array.astype("float64") for array in arrays], **options)
    g.setflags(write=False)
    step(name, p, g, *slots)
    np.testing.assert_array_equal(g, given[1])
    for found, value in zip([p, *slots], expected, strict=True):
        assert found.dtype == dtype
        np.testing.assert_allclose(found, value, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("name", [name for name in STEPS if name not in ("sgd", "momentum", "nesterov")])
def test_both_tiers_agree_on_gradients_at_the_ends_of_their_range(name):
    pytest.importorskip("numba")
    g = np.array([0.0, -0.0, 1e-45, -1e-38, 1e18, -1.5e19, 3e19, -LARGEST, LARGEST, np.inf, -np.inf, np.nan], "float32")
    found = []
    for tier in ("numpy", "numba"):
        p, *slots = state = np.ones((1 + STEPS[name][2], g.size), "float32")
        with tiers.kernels_scope(tier), np.errstate(all="ignore"):
            step(name, p, g, *slots)
            step(name, p, g, *slots)
        found.append(state)
    np.testing.assert_allclose(found[1], found[0], rtol=3e-6)


def test_a_parameter_that_is_given_twice_takes_one_step_after_the_other(tier):
    rng = np.random.default_rng(0)
    start, first, second = rng.standard_normal((3, 200_000)).astype("float32")
    twice, once = Parameter(start.copy()), Parameter(start.copy())
    optimizers.Adagrad().apply_gradients([first, second], [twice, twice])
    one_by_one = optimizers.Adagrad()
    one_by_one.apply_gradients([first], [once])
    one_by_one.apply_gradients([second], [once])
    np.testing.assert_array_equal(twice.numpy(), once.numpy())


def test_parameters_of_several_types_and_sizes_take_the_steps_that_they_take_alone(tier):
    rng = np.random.default_rng(0)
    shapes = [
        ((300, 300), "float32"),
        ((7,), "float64"),
        ((5, 3), "float32"),
        ((70_000,), "float64"),
        ((9,), "float32"),
    ]
    values = [rng.standard_normal(shape).astype(dtype) for shape, dtype in shapes]
    grads = [rng.standard_normal(shape).astype(dtype) for shape, dtype in shapes]
    together = [Parameter(value.copy()) for value in values]
    optimizers.Adam(clipvalue=0.5).apply_gradients(grads, together)
    for value, g, parameter in zip(values, grads, together, strict=True):
        alone = Parameter(value.copy())
        optimizers.Adam(clipvalue=0.5).apply_gradients([g], [alone])
        np.testing.assert_array_equal(parameter.numpy(), alone.numpy())

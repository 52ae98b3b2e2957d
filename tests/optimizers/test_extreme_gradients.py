"""Optimizers, given gradients at the ends of the range of their type, take the steps that exact arithmetic takes."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

import numpy as np
import pytest

from minikeras import config, optimizers
from minikeras.core.tensor import Parameter
from minikeras.optimizers.clipping import global_norm

SQUARING = ["Adam", "Nadam", "RMSprop", "Adadelta", "Adagrad"]
NAMES = ["SGD", "Adamax", *SQUARING]
MOST = {np.float32: float(np.finfo(np.float32).max) / 2, np.float64: float(np.finfo(np.float64).max) / 2}


def steps(name: str, gradient: Any, dtype: Any, count: int = 3, **arguments: Any) -> np.ndarray:
    """What `count` steps along the same gradient add to weights of one."""
    optimizer = getattr(optimizers, name)(**arguments)
    weight = Parameter(np.ones(len(gradient), dtype))
    for _ in range(count):
        optimizer.apply_gradients([np.array(gradient, dtype)], [weight])
    return weight.numpy().astype(np.float64) - 1.0


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", NAMES)
def test_a_gradient_of_zeros_moves_nothing(name: str, dtype: Any) -> None:
    np.testing.assert_array_equal(steps(name, [0.0, -0.0], dtype), 0.0)


@pytest.mark.parametrize("size", [1e-45, 1e-38, 1e-30, 1e-19, 1e15, 1e18, 1e20, 1e30, MOST[np.float32]])
@pytest.mark.parametrize("name", NAMES)
def test_float32_takes_the_steps_of_float64_whatever_the_gradients_size(name: str, size: float) -> None:
    gradient = np.array([size, -size, 0.0], np.float32)
    exact = steps(name, gradient, np.float64)
    np.testing.assert_allclose(1.0 + steps(name, gradient, np.float32), 1.0 + exact, rtol=1e-6)


@pytest.mark.parametrize("name", SQUARING)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_step_of_adaptive_optimizers_is_the_same_for_large_and_for_the_largest_gradients(
    name: str, dtype: Any
) -> None:
    found = steps(name, [MOST[dtype], -MOST[dtype]], dtype)
    np.testing.assert_allclose(found, steps(name, [1e10, -1e10], dtype), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", ["Adam", "Nadam", "RMSprop"])
def test_a_weight_moves_again_after_one_gradient_too_large_to_square(name: str) -> None:
    optimizer = getattr(optimizers, name)()
    weight = Parameter(np.ones(2, np.float32))
    optimizer.apply_gradients([np.array([1e30, 1.0], np.float32)], [weight])
    assert all(np.isfinite(state).all() for state in optimizer.get_weights())
    for _ in range(2):
        before = weight.numpy().copy()
        optimizer.apply_gradients([np.array([1e20, 1.0], np.float32)], [weight])
        assert (weight.numpy() < before).all()


def test_adagrads_sum_of_squares_ends_at_the_largest_number() -> None:
    found = steps("Adagrad", [1.5e19], np.float32, count=10)
    assert -0.1 < found[0] < -0.03


@pytest.mark.parametrize("name", ["Adam", "RMSprop"])
def test_an_infinite_gradient_is_not_hidden(name: str) -> None:
    with pytest.warns(RuntimeWarning, match="invalid") if config.kernels() == "numpy" else nullcontext():
        assert np.isnan(steps(name, [np.inf, 1.0], np.float32)[0])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("size", [1.0, 1e15, 1e19, 1e30, "most"])
def test_clipnorm_scales_by_the_true_norm_also_where_its_square_overflows(size: Any, dtype: Any) -> None:
    size = MOST[dtype] / 2 if size == "most" else size
    found = steps("SGD", [3 * size / 5, -4 * size / 5], dtype, count=1, clipnorm=0.5, lr=1.0)
    np.testing.assert_allclose(found, [-0.3, 0.4], rtol=1e-6)


@pytest.mark.parametrize("size", [0.0, 1e-45])
def test_clipnorm_leaves_a_norm_of_nothing_alone(size: float) -> None:
    np.testing.assert_allclose(steps("SGD", [size, 0.0], np.float32, clipnorm=1.0), 0.0, atol=1e-30)


def test_the_common_norm_of_several_gradients_is_that_of_all_their_elements() -> None:
    big = [np.array([[3e30]], np.float32), np.zeros((0, 2), np.float32), np.array([-4e30, 0.0], np.float32)]
    assert global_norm(big) == pytest.approx(5e30)
    assert global_norm([np.array([np.inf, 1.0])]) == np.inf
    assert np.isnan(global_norm([np.array([np.nan])]))
    assert global_norm([]) == 0.0


def test_weights_do_not_move_twice_in_blocks_of_which_one_overflows() -> None:
    gradient = np.ones(40000, np.float32)
    gradient[20000] = 1e30
    np.testing.assert_allclose(steps("Adam", gradient, np.float32), steps("Adam", gradient, np.float64), atol=1e-6)

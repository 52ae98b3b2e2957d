"""Derivatives are adjoint to each other, ``<push_forward(v), g> = <v, pull_back(g)>``, for operations of any sizes."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

hypothesis = pytest.importorskip("hypothesis")
from hypothesis import given, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402

from minikeras import Tensor, jvp, ops, vjp  # noqa: E402
from tests.kernels.oracles import random_window_case  # noqa: E402

SHAPES = st.lists(st.integers(0, 4), min_size=1, max_size=4).map(tuple)
few = settings(max_examples=40, deadline=None, derandomize=True)


def check_adjoint(f: Any, *arrays: np.ndarray) -> None:
    """Compare ``<jvp(v), g>`` with ``<v, vjp(g)>``, which must agree for every differentiable function."""
    rng = np.random.default_rng(0)
    directions = [rng.standard_normal(a.shape) for a in arrays]
    value, pushed = jvp(f, arrays, directions)
    cotangent = rng.standard_normal(value.shape)
    pulled = vjp(f, *arrays)[1](cotangent)
    forward = np.vdot(pushed.numpy(), cotangent)
    back = sum(np.vdot(v, p.numpy()) for v, p in zip(directions, pulled, strict=True))
    np.testing.assert_allclose(back, forward, rtol=1e-10, atol=1e-10)


@few
@given(st.integers(0, 10**6))
def test_convolutions_of_any_geometry(seed: int) -> None:
    rng = np.random.default_rng(seed)
    case = random_window_case(rng)
    groups, channels, filters = case["groups"], *rng.integers(1, 3, 2)
    x = rng.standard_normal((2, *case["lengths"], channels * groups))
    w = rng.standard_normal((*case["window"], channels, filters * groups))
    sliding = {k: case[k] for k in ("strides", "padding", "dilation", "groups")}
    check_adjoint(lambda x, w: ops.conv(x, w, activation="tanh", **sliding), x, w)
    g = ops.conv(x, w, **sliding).numpy()
    np.testing.assert_allclose(
        np.vdot(g, g), np.vdot(x, ops.conv_input_grad(g, w, input_size=case["lengths"], **sliding).numpy()), rtol=1e-10
    )


@few
@given(SHAPES, st.data())
def test_indexing_with_any_integers(shape: tuple[int, ...], data: Any) -> None:
    hypothesis.assume(math.prod(shape) > 0)
    axis = data.draw(st.integers(-len(shape), len(shape) - 1))
    indices = data.draw(st.lists(st.integers(-shape[axis], shape[axis] - 1), max_size=5))
    x = np.random.default_rng(0).standard_normal(shape)
    check_adjoint(lambda x: ops.take(x, np.array(indices, int), axis=axis), x)
    index = (slice(None),) * (axis % len(shape)) + (np.array(indices, int),)
    check_adjoint(lambda x: x[index], x)
    np.testing.assert_array_equal(Tensor(x)[index].numpy(), x[index])


@few
@given(SHAPES, st.data())
def test_broadcasting_reductions_and_moves(shape: tuple[int, ...], data: Any) -> None:
    x = np.random.default_rng(0).standard_normal(shape)
    axes = data.draw(st.sets(st.integers(0, len(shape) - 1)).map(tuple))
    narrow = tuple(1 if i in axes else n for i, n in enumerate(shape))[data.draw(st.integers(0, len(shape))) :]
    order = tuple(data.draw(st.permutations(range(len(shape)))))
    pairs = [data.draw(st.tuples(st.integers(0, 2), st.integers(0, 2))) for _ in shape]
    check_adjoint(lambda x: ops.sum(x, axis=axes), x)
    check_adjoint(lambda x, y: x * y, x, np.random.default_rng(1).standard_normal(narrow))
    check_adjoint(lambda x: ops.transpose(x, order), x)
    check_adjoint(lambda x: ops.pad(x, pairs), x)
    check_adjoint(lambda x: ops.crop(ops.pad(x, pairs), pairs), x)
    check_adjoint(lambda x: ops.flip(x, axes), x)
    check_adjoint(lambda x: ops.cumsum(x, axis=len(shape) - 1), x)

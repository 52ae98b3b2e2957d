"""Softmax and entropies: the definitions in float64, in every tier, type and layout, and at the ends of the range."""

from __future__ import annotations

import numpy as np
import pytest

from minikeras import config, kernels, ops
from minikeras.core import threads, tiers
from minikeras.gradcheck import assert_gradients
from minikeras.kernels.compiled import sharing

EPSILON = 1e-7
SHAPES = [((5, 3), -1), ((64, 10), 1), ((7, 100), -1), ((2, 3, 33), 2), ((1, 1), -1), ((4, 5, 6), 1), ((6,), 0)]


def make(shape, dtype):
    rng = np.random.default_rng(sum(shape))
    return [3 * rng.standard_normal(shape).astype(dtype), rng.random(shape).astype(dtype)]


def by_definition(x, axis):
    e = np.exp(x - x.max(axis=axis, keepdims=True))
    return e / e.sum(axis=axis, keepdims=True)


def every_entropy(dtype):
    """Each of them once: what `test_every_compiled_loop.py` runs."""
    x, labels = make((4, 5), dtype)
    delta = np.ones(4, dtype)
    kernels.softmax_grad(labels, kernels.softmax(x, axis=-1), axis=-1)
    shares = kernels.softmax_cross_entropy(labels, x, axis=-1)[1]
    kernels.softmax_cross_entropy_grad(delta, labels, shares, axis=-1)
    kernels.cross_entropy(labels, shares, epsilon=EPSILON)
    kernels.cross_entropy_grad(delta, labels, shares, epsilon=EPSILON)
    kernels.binary_cross_entropy(labels, shares, epsilon=EPSILON)
    kernels.binary_cross_entropy_grad(labels, labels, shares, epsilon=EPSILON)


@pytest.fixture(params=["one thread", "two threads"])
def shared(request, monkeypatch):
    """Run a test also with the work in two parts."""
    if request.param == "two threads":
        monkeypatch.setattr(threads, "WORTHWHILE", 0)
        monkeypatch.setattr(sharing, "WORTHWHILE", 0)
        before = config.num_threads()
        config.set_num_threads(2)
        yield
        config.set_num_threads(before)
    else:
        yield


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("shape", "axis"), SHAPES)
def test_values_and_gradients_are_the_definition(shape, axis, dtype, tier, shared):
    x, labels = make(shape, dtype)
    exact, weights = by_definition(x.astype("float64"), axis), labels.astype("float64")
    close = {"rtol": 3e-6, "atol": 1e-6} if dtype == "float32" else {"rtol": 1e-12, "atol": 1e-13}
    y = kernels.softmax(x, axis=axis)
    assert y.dtype == dtype
    np.testing.assert_allclose(y, exact, **close)
    backward = exact * (weights - (weights * exact).sum(axis=axis, keepdims=True))
    np.testing.assert_allclose(kernels.softmax_grad(labels, y, axis=axis), backward, **close)
    entropy, shares = kernels.softmax_cross_entropy(labels, x, axis=axis)
    np.testing.assert_allclose(entropy, -(weights * np.log(exact)).sum(axis=axis), **close)
    np.testing.assert_allclose(shares, exact, **close)
    delta = np.asarray(entropy, dtype)
    dx = kernels.softmax_cross_entropy_grad(delta, labels, shares, axis=axis)
    total = weights.sum(axis=axis, keepdims=True)
    scale = max(float(np.abs(delta).max()), 1.0)
    np.testing.assert_allclose(dx / scale, np.expand_dims(delta, axis) / scale * (exact * total - weights), **close)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shape", [(5, 3), (64, 10), (2, 3, 33)])
def test_the_entropy_of_probabilities_is_the_definition_beyond_epsilon_too(shape, dtype, tier, shared):
    labels, p = make(shape, dtype)[1], make((*shape, 1), dtype)[1][..., 0]
    p.reshape(-1)[::7] = 0
    wide = p.astype("float64")
    shares = wide / wide.sum(axis=-1, keepdims=True)
    close = {"rtol": 3e-6, "atol": 1e-6} if dtype == "float32" else {"rtol": 1e-12, "atol": 1e-13}
    expected = -(labels * np.log(np.clip(shares, 0.1, 0.9))).sum(axis=-1)
    np.testing.assert_allclose(kernels.cross_entropy(labels, p, epsilon=0.1), expected, **close)
    delta = np.linspace(-1, 1, expected.size).reshape(expected.shape).astype(dtype)
    slope = np.where((shares > 0.1) & (shares < 0.9), -delta[..., None] * labels / np.maximum(shares, 0.1), 0)
    expected = (slope - (slope * shares).sum(axis=-1, keepdims=True)) / wide.sum(axis=-1, keepdims=True)
    np.testing.assert_allclose(kernels.cross_entropy_grad(delta, labels, p, epsilon=0.1), expected, **close)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shape", [(), (7,), (64, 10), (2, 3, 33)])
def test_the_entropy_of_yes_and_no_is_the_definition_beyond_epsilon_too(shape, dtype, tier, shared):
    rng = np.random.default_rng(2)
    labels, p, delta = rng.random(shape), rng.random(shape) ** 8, rng.standard_normal(shape)  # many near 0
    labels, p, delta = (np.asarray(array, dtype) for array in (labels, p, delta))
    close = {"rtol": 1e-6, "atol": 1e-9} if dtype == "float32" else {"rtol": 1e-13, "atol": 0}
    for epsilon in (0.1, EPSILON):
        wide = p.astype("float64")
        kept = np.clip(wide, np.asarray(epsilon, dtype), np.asarray(1 - epsilon, dtype))
        expected = -labels * np.log(kept) - (1 - labels.astype("float64")) * np.log1p(-kept)
        np.testing.assert_allclose(kernels.binary_cross_entropy(labels, p, epsilon=epsilon), expected, **close)
        slope = np.where(kept == wide, delta * (kept - labels) / (kept * (1 - kept)), 0)
        found = kernels.binary_cross_entropy_grad(delta, labels, p, epsilon=epsilon)
        np.testing.assert_allclose(found, slope, rtol=close["rtol"], atol=1e-5 if dtype == "float32" else 1e-12)


def test_yes_and_no_keep_what_is_no_number(tier):
    p = np.array([np.nan, 0.5, 0.0, 1.0, np.inf, -np.inf], "float32")
    found = kernels.binary_cross_entropy(np.ones(6, "float32"), p, epsilon=EPSILON)
    assert np.isnan(found).tolist() == [True] + 5 * [False]
    most = -np.log(np.float32(EPSILON))
    np.testing.assert_allclose(found[1:], [np.log(2), most, 0, 0, most], rtol=1e-6, atol=2 * EPSILON)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_their_gradients_on_the_tape_are_those_of_differences(dtype, tier):
    x, labels = make((3, 5), dtype)
    labels /= labels.sum(axis=-1, keepdims=True)
    assert_gradients(lambda x: ops.softmax(x), [x], dtype=dtype)
    assert_gradients(lambda x: ops.softmax_cross_entropy(labels, x), [x], dtype=dtype)
    p = ops.softmax(x).numpy()
    assert_gradients(lambda p: ops.cross_entropy(labels, p, epsilon=EPSILON), [p], dtype=dtype)
    assert_gradients(lambda p: ops.binary_cross_entropy(labels, p, epsilon=EPSILON), [p], dtype=dtype)


def test_any_layout_goes_in_and_nothing_of_it_changes(tier):
    x, labels = (array.T for array in make((12, 7), "float32"))
    for array in (x, labels):
        array.setflags(write=False)
    y, shares = kernels.softmax_cross_entropy(labels, x, axis=-1)
    np.testing.assert_allclose(shares, by_definition(x, -1), rtol=1e-5)
    delta = np.broadcast_to(np.float32(0.5), y.shape)
    dx = kernels.softmax_cross_entropy_grad(delta, labels, shares, axis=-1)
    np.testing.assert_allclose(dx, 0.5 * (shares * labels.sum(axis=-1, keepdims=True) - labels), rtol=1e-4, atol=1e-6)


def test_an_empty_batch_has_no_entropies(tier):
    none = np.zeros((0, 4), "float32")
    assert kernels.softmax(none, axis=-1).shape == (0, 4)
    assert kernels.softmax_cross_entropy(none, none, axis=-1)[0].shape == (0,)
    assert kernels.cross_entropy(none, none, epsilon=EPSILON).shape == (0,)


MOST = float(np.finfo(np.float32).max)
ROWS = [
    [0, 0, 0], [-np.inf, 0, 1], [-np.inf, -np.inf, -np.inf], [np.inf, 0, 0], [np.nan, 0, 0], [-np.nan, 1, 2],
    [MOST, -MOST, 0], [1e-45, -1e-45, -0.0], [100, -5, -3], [-104, -88, 0],
]  # fmt: skip


def test_both_tiers_agree_on_nan_infinity_and_the_ends_of_the_range():
    pytest.importorskip("numba")
    x = np.array(ROWS, "float32")
    for labels in np.eye(3, dtype="float32")[:, None].repeat(len(x), axis=1):
        found = []
        for tier in ("numpy", "numba"):
            with tiers.kernels_scope(tier), np.errstate(all="ignore"):
                shares = kernels.softmax(x, axis=-1)
                delta = np.ones(len(x), "float32")
                found.append(
                    [
                        shares,
                        *kernels.softmax_cross_entropy(labels, x, axis=-1),
                        kernels.softmax_cross_entropy_grad(delta, labels, shares, axis=-1),
                        kernels.cross_entropy(labels, np.abs(x), epsilon=EPSILON),
                        kernels.cross_entropy_grad(delta, labels, np.abs(x), epsilon=EPSILON),
                        kernels.cross_entropy(labels, np.zeros_like(x), epsilon=0.0),
                    ]
                )
        for plain, compiled in zip(*found, strict=True):
            np.testing.assert_allclose(compiled, plain, rtol=1e-5, atol=1e-7)


def test_the_compiled_exponential_and_logarithm_are_exact_to_one_unit_in_the_last_place():
    pytest.importorskip("numba")
    x = np.linspace(-87, 88, 20_001, dtype="float32")[:, None]
    with tiers.kernels_scope("numba"):
        pair = kernels.softmax(np.concatenate([x, np.full_like(x, 88.5)], axis=-1), axis=-1)[:, 0]
        p = np.linspace(1e-6, 1 - 1e-6, 20_001)
        table = np.stack([p, 1 - p], axis=-1).astype("float32")
        entropy = kernels.cross_entropy(np.eye(2, dtype="float32")[np.zeros(len(p), int)], table, epsilon=EPSILON)
    exact = 1 / (1 + np.exp(-(x[:, 0] - np.float32(88.5)).astype("float64")))
    normal = exact > 1e-37
    np.testing.assert_allclose(pair[normal], exact[normal], rtol=3 * np.finfo("float32").eps)
    wide = table.astype("float64")
    np.testing.assert_allclose(entropy, -np.log(wide[:, 0] / wide.sum(axis=-1)), rtol=3e-7, atol=2e-7)

"""Each kind of mistake, made by hand: it is found whatever the seed, and named."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest

from minikeras import ops
from minikeras.core.primitive import primitive
from minikeras.gradcheck import GradientReport, check_gradients


class Mistake(NamedTuple):
    """A forward with wrong rules, its inputs, the input whose gradient is wrong, and the kind of the mistake."""

    forward: Callable[..., Any]
    rules: dict[str, Callable[..., Any]]
    shapes: tuple[tuple[int, ...], ...]
    wrong: str
    kind: str

    def check(self, seed: int, **options: Any) -> GradientReport:
        operation = primitive(self.forward)
        operation.vjps(**self.rules)
        rng = np.random.default_rng([seed, 1])
        return check_gradients(operation, [rng.normal(size=shape) for shape in self.shapes], seed=seed, **options)


def sine(x):
    return np.sin(x)


def product(x, y):
    return x * y


def total(x, y):
    return x + y


def dense(x, w):
    return x @ w


def softmax(x):
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def mean(x):
    return x.mean(axis=1)


def mean_square(x):
    return np.mean(x * x)


def crop(x):
    return x[:, 1:-1]


def rectified(x):
    return np.maximum(x, 0.0)


def penalised(x):
    return np.sum(np.sin(x)) + 0.3 * np.sum(x * x)


def standardised(x):
    centred = x - x.mean(axis=0)
    return centred / np.sqrt((centred**2).mean(axis=0) + 1e-3)


def standardised_grad(g, x, of_mean: float = 1.0, of_deviation: float = 1.0):
    centred = x - ops.mean(x, axis=0)
    scale = 1.0 / ops.sqrt(ops.mean(centred * centred, axis=0) + 1e-3)
    y = centred * scale
    return scale * (g - of_mean * ops.mean(g, axis=0) - of_deviation * y * ops.mean(g * y, axis=0))


def correlate(x, w):
    return np.stack([x[:, i : i + 6] @ w for i in range(x.shape[1] - 5)], axis=1)


def correlate_x(g, w, x_shape):
    """Each output's cotangent spread over the inputs that it read."""
    return sum(g[:, i : i + 1] * shifted(w, i, x_shape[1]) for i in range(x_shape[1] - 5))


def correlate_w(g, x):
    return ops.stack([ops.sum(g * x[:, k : k + g.shape[1]]) for k in range(6)])


def shifted(kernel, start, size):
    return ops.concatenate([np.zeros(start), kernel, np.zeros(size - start - 6)], axis=0)


PRODUCT = {"x": lambda g, y: g * y, "y": lambda g, x: g * x}
DENSE = {"x": lambda g, w: g @ w.T, "w": lambda g, x: x.T @ g}

MISTAKES = {
    "sine, sign": Mistake(sine, {"x": lambda g, x: -g * ops.cos(x)}, ((3, 4),), "x", "sign"),
    "sine, doubled": Mistake(sine, {"x": lambda g, x: 2 * g * ops.cos(x)}, ((3, 4),), "x", "factor"),
    "sine, of one number, doubled": Mistake(sine, {"x": lambda g, x: 2 * g * ops.cos(x)}, ((),), "x", "factor"),
    "sine, zero": Mistake(sine, {"x": lambda g, x: g * 0.0}, ((3, 4),), "x", "zero"),
    "sine, detached": Mistake(sine, {"x": lambda: None}, ((3, 4),), "x", "zero"),
    "sine, another function": Mistake(sine, {"x": lambda g, x: g * ops.sin(x)}, ((3, 4),), "x", "wrong"),
    "sine, cotangent forgotten": Mistake(sine, {"x": lambda g, x: ops.cos(x) + 0 * g}, ((3, 4),), "x", "wrong"),
    "sine, read in another order": Mistake(
        sine, {"x": lambda g, x: ops.reshape((g * ops.cos(x)).T, (3, 4))}, ((3, 4),), "x", "transposed"
    ),
    "sine, reversed": Mistake(sine, {"x": lambda g, x: (g * ops.cos(x))[:, ::-1]}, ((3, 4),), "x", "transposed"),
    "sine, one place off": Mistake(
        sine,
        {"x": lambda g, x: ops.concatenate([np.zeros((3, 1)), (g * ops.cos(x))[:, :-1]], axis=1)},
        ((3, 4),),
        "x",
        "wrong",
    ),
    "sine, last column forgotten": Mistake(
        sine,
        {"x": lambda g, x: ops.concatenate([(g * ops.cos(x))[:, :-1], np.zeros((3, 1))], axis=1)},
        ((3, 4),),
        "x",
        "zero",
    ),
    "product, square's second share forgotten": Mistake(
        lambda x: x * np.sin(x), {"x": lambda g, x: g * ops.sin(x)}, ((3, 4),), "x", "missing-term"
    ),
    "product, other argument": Mistake(product, {**PRODUCT, "x": lambda g, x: g * x}, ((3, 4), (3, 4)), "x", "wrong"),
    "product, one argument forgotten": Mistake(product, {**PRODUCT, "y": lambda: None}, ((3, 4), (3, 4)), "y", "zero"),
    "sum, broadcasting sum dropped": Mistake(
        total, {"x": lambda g: g, "y": lambda g: g[0]}, ((5, 4), (4,)), "y", "missing-term"
    ),
    "sum, broadcasting mean": Mistake(
        total, {"x": lambda g: g, "y": lambda g: ops.mean(g, axis=0)}, ((5, 4), (4,)), "y", "factor"
    ),
    "sum, last row left out": Mistake(
        total, {"x": lambda g: g, "y": lambda g: ops.sum(g[:-1], axis=0)}, ((5, 4), (4,)), "y", "missing-term"
    ),
    "dense, weights not transposed": Mistake(
        dense, {**DENSE, "x": lambda g, w: g @ w}, ((3, 4), (4, 4)), "x", "transposed"
    ),
    "dense, weights' gradient transposed": Mistake(
        dense, {**DENSE, "w": lambda g, x: g.T @ x}, ((3, 4), (4, 4)), "w", "transposed"
    ),
    "dense, weights' gradient averaged": Mistake(
        dense, {**DENSE, "w": lambda g, x: x.T @ g / 3}, ((3, 4), (4, 2)), "w", "factor"
    ),
    "dense, one sample only": Mistake(
        dense, {**DENSE, "w": lambda g, x: x[:1].T @ g[:1]}, ((3, 4), (4, 2)), "w", "missing-term"
    ),
    "softmax, coupling forgotten": Mistake(softmax, {"x": lambda g, out: g * out}, ((3, 5),), "x", "missing-term"),
    "softmax, coupling's sign": Mistake(
        softmax,
        {"x": lambda g, out: out * (g + ops.sum(g * out, axis=-1, keepdims=True))},
        ((3, 5),),
        "x",
        "missing-term",
    ),
    "mean, not divided": Mistake(
        mean, {"x": lambda g, x_shape: ops.broadcast_to(g[:, None], x_shape)}, ((3, 4),), "x", "factor"
    ),
    "mean square, not divided": Mistake(mean_square, {"x": lambda g, x: 2 * g * x}, ((3, 4),), "x", "factor"),
    "crop, off by one": Mistake(
        crop,
        {"x": lambda g: ops.concatenate([np.zeros((3, 2)), g], axis=1)},
        ((3, 6),),
        "x",
        "wrong",
    ),
    "relu, slope everywhere": Mistake(rectified, {"x": lambda g: g}, ((3, 4),), "x", "wrong"),
    "penalty forgotten": Mistake(penalised, {"x": lambda g, x: g * ops.cos(x)}, ((3, 4),), "x", "missing-term"),
    "standardised, mean's share forgotten": Mistake(
        standardised, {"x": lambda g, x: standardised_grad(g, x, of_mean=0.0)}, ((8, 3),), "x", "missing-term"
    ),
    "standardised, deviation's share forgotten": Mistake(
        standardised, {"x": lambda g, x: standardised_grad(g, x, of_deviation=0.0)}, ((8, 3),), "x", "missing-term"
    ),
    "convolution, kernel reversed": Mistake(
        correlate,
        {"x": lambda g, w, x_shape: correlate_x(g, w[::-1], x_shape), "w": correlate_w},
        ((2, 9), (6,)),
        "x",
        "transposed",
    ),
    "convolution, kernel's gradient reversed": Mistake(
        correlate,
        {"x": correlate_x, "w": lambda g, x: correlate_w(g, x)[::-1]},
        ((2, 9), (6,)),
        "w",
        "transposed",
    ),
}
SEEDS = range(5)


@functools.cache
def report_on(name, seed):
    return MISTAKES[name].check(seed)


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_found_with_any_seed(name):
    mistake = MISTAKES[name]
    for seed in SEEDS:
        report = report_on(name, seed)
        wrong = [result.name for result in report.results if not result.ok]
        assert wrong == [mistake.wrong], f"seed {seed}:\n{report}"


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_named_and_what_is_not_proven_says_perhaps(name):
    mistake = MISTAKES[name]
    for seed in SEEDS:
        verdict = report_on(name, seed)[mistake.wrong].verdict
        assert verdict.kind == mistake.kind, verdict
        assert verdict.certain or "perhaps" in verdict.text or verdict.kind == "wrong", verdict

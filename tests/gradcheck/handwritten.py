"""Plain NumPy functions with gradients written by hand: one that is right, and what goes wrong in such code."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from minikeras import gradcheck
from tests.gradcheck.planting import Mutation, Other, Sample
from tests.gradcheck.subjects import distinct, normal, positive

Gradient = Callable[..., Any]


@dataclass(frozen=True)
class HandWritten:
    """A function of arrays, its right gradient, and the inputs."""

    name: str
    function: Callable[..., Any]
    gradient: Gradient
    samples: Mapping[str, Sample]

    def check(self, seed: int, gradient: Gradient | None = None) -> gradcheck.GradientReport:
        arrays = [sample(seed) for sample in self.samples.values()]
        return gradcheck.check_gradients(
            self.function, arrays, gradient=gradient or self.gradient, names=list(self.samples), seed=seed
        )

    def wrong(self, kind: str, wrt: str, truths: tuple[str, ...], gradient: Gradient, detail: str = "") -> Mutation:
        """The function with another gradient."""
        subject = Other(f"numpy {self.name}", "by hand", lambda seed: self.check(seed, gradient))
        return Mutation(subject, kind, wrt, truths, detail=detail)


def function(name: str, value: Callable[..., Any], gradient: Gradient, **samples: Sample) -> HandWritten:
    return HandWritten(name, value, gradient, samples)


# ---------------------------------------------------------------------- functions and their right gradients

linear = function(
    "linear", lambda x, w, b: x @ w + b, lambda c, x, w, b: (c @ w.T, x.T @ c, c.sum(0)),
    x=normal(3, 3), w=normal(3, 3), b=normal(3),
)  # fmt: skip

TARGET = np.linspace(-1, 1, 5)
DATA = np.random.default_rng(1).normal(size=(5, 3))
ridge = function(
    "ridge regression",
    lambda w: np.sum((DATA @ w - TARGET) ** 2) + 0.5 * np.sum(w**2),
    lambda w: [2 * DATA.T @ (DATA @ w - TARGET) + w],
    w=normal(3),
)

LABELS = np.array([0, 2, 1, 2])


def _softmax(logits: np.ndarray) -> np.ndarray:
    weights = np.exp(logits - logits.max(1, keepdims=True))
    return weights / weights.sum(1, keepdims=True)


def _residual(logits: np.ndarray) -> np.ndarray:
    return _softmax(logits) - np.eye(3)[LABELS]


cross_entropy = function(
    "cross entropy",
    lambda z: -np.mean(np.log(_softmax(z))[np.arange(4), LABELS]),
    lambda z: [_residual(z) / 4],
    z=normal(4, 3),
)


def _convolve(x: np.ndarray, w: np.ndarray) -> np.ndarray:
    return np.stack([x[i : i + w.size] @ w for i in range(x.size - w.size + 1)])


def _input_gradient(c: np.ndarray, x: np.ndarray, w: np.ndarray) -> np.ndarray:
    found = np.zeros_like(x)
    for i, value in enumerate(c):
        found[i : i + w.size] += value * w
    return found


def _kernel_gradient(c: np.ndarray, x: np.ndarray, w: np.ndarray) -> np.ndarray:
    return np.stack([c @ x[k : k + c.size] for k in range(w.size)])


convolution = function(
    "convolution", _convolve, lambda c, x, w: (_input_gradient(c, x, w), _kernel_gradient(c, x, w)),
    x=normal(8), w=normal(3),
)  # fmt: skip


def _standard(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    deviation = np.sqrt(x.var(1, keepdims=True) + 1e-3)
    return (x - x.mean(1, keepdims=True)) / deviation, deviation


def _layer_norm_gradient(c: np.ndarray, x: np.ndarray, mean: float = 1.0, variance: float = 1.0) -> list[np.ndarray]:
    normal_, deviation = _standard(x)
    of_mean, of_variance = c.mean(1, keepdims=True), normal_ * (c * normal_).mean(1, keepdims=True)
    return [(c - mean * of_mean - variance * of_variance) / deviation]


layer_norm = function("layer normalization", lambda x: _standard(x)[0], _layer_norm_gradient, x=normal(3, 4))


def _states(x: np.ndarray, w: np.ndarray) -> list[np.ndarray]:
    states = [np.zeros(3)]
    for row in x:
        states.append(np.tanh(row + w @ states[-1]))
    return states


def _through_time(c: np.ndarray, x: np.ndarray, w: np.ndarray, steps: int = 10) -> tuple[np.ndarray, np.ndarray]:
    states, dx, dw = _states(x, w), np.zeros_like(x), np.zeros_like(w)
    for t in list(reversed(range(len(x))))[:steps]:
        c = c * (1 - states[t + 1] ** 2)
        dx[t], dw = c, dw + np.outer(c, states[t])
        c = w.T @ c
    return dx, dw


recurrent = function("recurrent", lambda x, w: _states(x, w)[-1], _through_time, x=normal(4, 3), w=normal(3, 3))

huber = function(
    "huber",
    lambda x: np.sum(np.where(np.abs(x) < 0.2, x**2 / 2, 0.2 * (np.abs(x) - 0.1))),
    lambda x: [np.where(np.abs(x) < 0.2, x, 0.2 * np.sign(x))],
    x=distinct(7),
)

determinant = function(
    "determinant", lambda a: np.linalg.det(a), lambda a: [np.linalg.det(a) * np.linalg.inv(a).T], a=normal(3, 3)
)


def _solve_gradient(c: np.ndarray, a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    back = np.linalg.solve(a.T + 4 * np.eye(3), c)
    return -np.outer(back, np.linalg.solve(a + 4 * np.eye(3), b)), back


solve = function(
    "solve", lambda a, b: np.linalg.solve(a + 4 * np.eye(3), b), _solve_gradient, a=normal(3, 3), b=normal(3)
)

direction = function(
    "direction",
    lambda x: x / np.linalg.norm(x),
    lambda c, x: [(c - x * (c @ x) / (x @ x)) / np.linalg.norm(x)],
    x=positive(4),
)

distances = function(
    "distances",
    lambda x: np.sum((x[:, None] - x[None]) ** 2),
    lambda x: [4 * (len(x) * x - x.sum(0))],
    x=normal(4, 2),
)

PLACES = np.array([1, 3, 1])


def _scatter(c: np.ndarray, table: np.ndarray) -> list[np.ndarray]:
    found = np.zeros_like(table)
    np.add.at(found, PLACES, c)
    return [found]


def _overwrite(c: np.ndarray, table: np.ndarray) -> list[np.ndarray]:
    found = np.zeros_like(table)
    found[PLACES] = c
    return [found]


embedding = function("embedding", lambda table: table[PLACES], _scatter, table=normal(4, 2))

scores = function("scores", lambda q, k: q @ k.T, lambda c, q, k: (c @ k, c.T @ q), q=normal(3, 4), k=normal(3, 4))

gaussian = function(
    "gaussian",
    lambda x, s: np.sum(x**2 / (2 * s**2) + np.log(s)),
    lambda x, s: (x / s**2, 1 / s - x**2 / s**3),
    x=normal(4), s=positive(4),
)  # fmt: skip

FUNCTIONS = [
    linear, ridge, cross_entropy, convolution, layer_norm, recurrent, huber, determinant, solve, direction, distances,
    embedding, scores, gaussian,
]  # fmt: skip


class Rectifier:
    """A layer that remembers the mask of its very first call."""

    def __init__(self) -> None:
        self.mask: Any = None

    def forward(self, x: np.ndarray) -> np.ndarray:
        if self.mask is None:
            self.mask = x > 0
        return np.maximum(x, 0)

    def backward(self, c: np.ndarray) -> np.ndarray:
        return c * self.mask


def _used_rectifier(seed: int) -> gradcheck.GradientReport:
    layer, sample = Rectifier(), normal(4, 3)
    layer.forward(sample(seed + 10_000))
    return gradcheck.check_gradients(layer, [sample(seed)], names=["x"], seed=seed)


def _noisy(c: np.ndarray, x: np.ndarray, w: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return _input_gradient(c, x, w) * np.random.uniform(0.99, 1.01), _kernel_gradient(c, x, w)


def _single(c: np.ndarray, x: np.ndarray) -> list[np.ndarray]:
    return _layer_norm_gradient(c.astype(np.float32), x.astype(np.float32))


SOME_TERM = ("missing-term", "wrong")
MUTATIONS: list[Mutation] = [
    linear.wrong("kernel transposed", "x", ("wrong", "transposed"), lambda c, x, w, b: (c @ w, x.T @ c, c.sum(0))),
    linear.wrong("transposed", "w", ("transposed",), lambda c, x, w, b: (c @ w.T, c.T @ x, c.sum(0))),
    linear.wrong("wrong axis", "b", ("wrong",), lambda c, x, w, b: (c @ w.T, x.T @ c, c.sum(1))),
    linear.wrong("averaged", "b", ("factor",), lambda c, x, w, b: (c @ w.T, x.T @ c, c.mean(0))),
    linear.wrong("bias reduction", "b", SOME_TERM, lambda c, x, w, b: (c @ w.T, x.T @ c, c[0]), "first row"),
    linear.wrong("bias reduction", "b", SOME_TERM, lambda c, x, w, b: (c @ w.T, x.T @ c, c), "left out"),
    linear.wrong("broadcasting", "b", SOME_TERM, lambda c, x, w, b: (c @ w.T, x.T @ c, c.sum()), "one number"),
    linear.wrong("zero", "b", ("zero",), lambda c, x, w, b: (c @ w.T, x.T @ c, 0 * b)),
    linear.wrong("detached", "w", ("zero",), lambda c, x, w, b: (c @ w.T, None, c.sum(0))),
    ridge.wrong("penalty ignored", "w", SOME_TERM, lambda w: [2 * DATA.T @ (DATA @ w - TARGET)]),
    ridge.wrong("factor", "w", ("factor",), lambda w: [DATA.T @ (DATA @ w - TARGET) + 0.5 * w], "2 forgotten"),
    cross_entropy.wrong("averaged", "z", ("factor",), lambda z: [_residual(z)], "1 / n forgotten"),
    cross_entropy.wrong("sign", "z", ("sign",), lambda z: [-_residual(z) / 4]),
    cross_entropy.wrong("product term", "z", SOME_TERM, lambda z: [_softmax(z) / 4], "labels forgotten"),
    cross_entropy.wrong(
        "wrong axis", "z", ("wrong",), lambda z: [(_softmax(z.T).T - np.eye(3)[LABELS]) / 4], "of the softmax"
    ),
    convolution.wrong(
        "kernel flipped", "x", ("wrong", "transposed"),
        lambda c, x, w: (_input_gradient(c, x, w[::-1]), _kernel_gradient(c, x, w)),
    ),
    convolution.wrong(
        "reversed", "w", ("transposed", "wrong"),
        lambda c, x, w: (_input_gradient(c, x, w), _kernel_gradient(c, x, w)[::-1]),
    ),
    convolution.wrong(
        "off by one", "x", ("wrong",),
        lambda c, x, w: (np.roll(_input_gradient(c, x, w), 1), _kernel_gradient(c, x, w)),
    ),
    convolution.wrong(
        "off by one", "w", ("wrong",),
        lambda c, x, w: (_input_gradient(c, x, w), _kernel_gradient(c, np.append(x[1:], 0.0), w)),
    ),
    convolution.wrong("noise", "x", ("non-deterministic",), _noisy),
    layer_norm.wrong("product term", "x", ("missing-term",), lambda c, x: _layer_norm_gradient(c, x, mean=0.0),
                     "the mean's"),
    layer_norm.wrong("product term", "x", SOME_TERM, lambda c, x: _layer_norm_gradient(c, x, variance=0.0),
                     "the variance's"),
    layer_norm.wrong("rounded", "x", ("precision",), _single, "float32"),
    layer_norm.wrong("first item only", "x", ("zero", "wrong"),
                     lambda c, x: [_layer_norm_gradient(c, x)[0] * np.array([[1.0], [0.0], [0.0]])]),
    recurrent.wrong("truncated", "w", SOME_TERM, lambda c, x, w: _through_time(c, x, w, 1)),
    recurrent.wrong("truncated", "x", ("zero", "missing-term", "wrong"), lambda c, x, w: _through_time(c, x, w, 2)),
    recurrent.wrong("transposed", "w", ("transposed",),
                    lambda c, x, w: (_through_time(c, x, w)[0], _through_time(c, x, w)[1].T)),
    huber.wrong("condition ignored", "x", ("wrong",), lambda x: [x]),
    huber.wrong("sign", "x", ("wrong", "sign"), lambda x: [np.where(np.abs(x) < 0.2, x, -0.2 * np.sign(x))],
                "of the straight part"),
    determinant.wrong("transposed", "a", ("transposed",), lambda a: [np.linalg.det(a) * np.linalg.inv(a)]),
    determinant.wrong("wrong formula", "a", ("factor",), lambda a: [np.linalg.inv(a).T], "determinant forgotten"),
    solve.wrong("sign", "a", ("sign",), lambda c, a, b: (-_solve_gradient(c, a, b)[0], _solve_gradient(c, a, b)[1])),
    solve.wrong("transposed", "a", ("transposed",),
                lambda c, a, b: (_solve_gradient(c, a, b)[0].T, _solve_gradient(c, a, b)[1])),
    direction.wrong("product term", "x", SOME_TERM, lambda c, x: [c / np.linalg.norm(x)], "norm taken as constant"),
    distances.wrong("missing share", "x", ("factor",), lambda x: [2 * (len(x) * x - x.sum(0))], "of one of each pair"),
    distances.wrong("product term", "x", ("missing-term",), lambda x: [4 * len(x) * x], "sum over the others"),
    embedding.wrong("missing share", "table", SOME_TERM, _overwrite, "of a row that is taken twice"),
    scores.wrong("swapped", "q", ("wrong",), lambda c, q, k: (c.T @ q, c @ k)),
    scores.wrong("kernel transposed", "k", ("wrong", "transposed"), lambda c, q, k: (c @ k, c @ q)),
    gaussian.wrong("product term", "s", SOME_TERM, lambda x, s: (x / s**2, -(x**2) / s**3), "logarithm's"),
    gaussian.wrong("nan", "x", ("not-finite",),
                   lambda x, s: (x / s**2 + np.array([0, np.nan, 0, 0]), 1 / s - x**2 / s**3)),
    Mutation(Other("numpy rectifier", "an object", _used_rectifier), "stale", "x", ("wrong",)),
]  # fmt: skip

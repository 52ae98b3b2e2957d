"""Further formulas in NumPy with gradients by hand, and what goes wrong in them: a part of ``fresh.py``."""

from __future__ import annotations

from typing import Any

import numpy as np

from minikeras import gradcheck
from tests.gradcheck.fresh_by_hand import (
    ADJOINT,
    EXTRA_TERM,
    FACTOR,
    NAN,
    NOISE,
    PRECISION,
    SIGN,
    SOME_TERM,
    TRANSPOSED,
    TURNED,
    WRONG,
    ZERO,
    Arrays,
    distinct,
    normal,
    planted,
    positive,
    probabilities,
)
from tests.gradcheck.handwritten import function
from tests.gradcheck.planting import Mutation, Other, Sample

# ---------------------------------------------------------------------- matrices


def _regular(sample: Sample) -> Sample:
    """Square matrices far from singular, with a positive determinant."""
    return lambda seed: 0.3 * sample(seed) + 2 * np.eye(len(sample(seed)))


bilinear = function(
    "bilinear form", lambda x, a, y: x @ a @ y, lambda x, a, y: (a @ y, np.outer(x, y), a.T @ x),
    x=normal(4), a=normal(4, 4), y=normal(4),
)  # fmt: skip
inverse = function(
    "inverse", np.linalg.inv, lambda c, a: [-np.linalg.inv(a).T @ c @ np.linalg.inv(a).T], a=_regular(normal(3, 3))
)
log_determinant = function(
    "log determinant", lambda a: np.linalg.slogdet(a)[1], lambda a: [np.linalg.inv(a).T], a=_regular(normal(4, 4))
)
cube = function("trace of a cube", lambda a: np.trace(a @ a @ a), lambda a: [3 * (a @ a).T], a=normal(4, 4))
spectral = function(
    "spectral norm", lambda a: np.linalg.norm(a, 2),
    lambda a: [np.outer(np.linalg.svd(a)[0][:, 0], np.linalg.svd(a)[2][0])], a=_regular(normal(3, 3)),
)  # fmt: skip


def _block_sums(c: np.ndarray, a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    blocks = c.reshape(2, 3, 2, 3)
    return np.einsum("ikjl,kl->ij", blocks, b), np.einsum("ikjl,ij->kl", blocks, a)


kronecker = function("Kronecker product", np.kron, _block_sums, a=normal(2, 2), b=normal(3, 3))
MATRICES = [
    planted(bilinear, "kernel transposed", "y", ADJOINT, lambda g, x, a, y: a @ x),
    planted(bilinear, "transposed", "a", TRANSPOSED, lambda g, x, a, y: np.outer(y, x)),
    planted(inverse, "sign", "a", SIGN, lambda g, *_: -g),
    planted(inverse, "kernel transposed", "a", ADJOINT, lambda g, c, a: -np.linalg.inv(a) @ c @ np.linalg.inv(a)),
    planted(log_determinant, "transposed", "a", TRANSPOSED, lambda g, a: g.T),
    planted(log_determinant, "factor", "a", FACTOR, lambda g, a: g * np.linalg.det(a), "that of the determinant"),
    planted(cube, "factor", "a", FACTOR, lambda g, a: g / 3, "3 forgotten"),
    planted(cube, "wrong formula", "a", WRONG, lambda g, a: 3 * a**2, "elementwise"),
    planted(spectral, "transposed", "a", TRANSPOSED, lambda g, a: g.T),
    planted(kronecker, "wrong axis", "b", WRONG,
            lambda g, c, a, b: np.einsum("kilj,ij->kl", c.reshape(3, 2, 3, 2), a), "interleaved the other way"),
]  # fmt: skip

# ---------------------------------------------------------------------- sequences


def _filtered(x: np.ndarray) -> np.ndarray:
    y = np.zeros_like(x)
    for t in range(len(x)):
        y[t] = 0.7 * y[t - 1] + x[t] if t else x[t]
    return y


decay = function("exponential average", _filtered, lambda c, x: [_filtered(c[::-1])[::-1]], x=normal(6, 2))


def _circular(x: np.ndarray, w: np.ndarray) -> np.ndarray:
    return np.fft.irfft(np.fft.rfft(x) * np.fft.rfft(w), 7)


def _correlated(c: np.ndarray, w: np.ndarray) -> np.ndarray:
    return np.fft.irfft(np.fft.rfft(c) * np.fft.rfft(w).conj(), 7)


circular = function(
    "circular convolution", _circular, lambda c, x, w: (_correlated(c, w), _correlated(c, x)), x=normal(7), w=normal(7)
)
variation = function(
    "total variation", lambda x: np.sum((x[1:] - x[:-1]) ** 2),
    lambda x: [np.append(2 * (x[:-1] - x[1:]), 0) + np.append(0, 2 * (x[1:] - x[:-1]))], x=normal(6),
)  # fmt: skip
trapezoid = function(
    "trapezoid rule", lambda y: np.sum(y[1:] ** 2 + y[:-1] ** 2) * 0.05,
    lambda y: [0.2 * y * np.where(np.isin(np.arange(7), (0, 6)), 0.5, 1.0)], y=normal(7),
)  # fmt: skip


def _unsorted(c: np.ndarray, x: np.ndarray) -> np.ndarray:
    found = np.zeros_like(x)
    found[np.argsort(x)] = c
    return found


order = function(
    "sorting", lambda x: np.sort(x) * np.arange(1.0, 7), lambda c, x: [_unsorted(c * np.arange(1.0, 7), x)],
    x=lambda seed: np.roll([0.3, -1.2, 2.0, 0.9, -0.4, 1.5], seed),
)  # fmt: skip
SEQUENCES = [
    planted(decay, "not reversed", "x", ADJOINT, lambda g, c, x: _filtered(c)),
    planted(decay, "truncated", "x", SOME_TERM, lambda g, c, x: c, "to one step"),
    planted(decay, "truncated", "x", SOME_TERM, lambda g, c, x: c + 0.7 * np.append(c[1:], [[0.0, 0.0]], axis=0),
            "to two steps"),
    planted(circular, "kernel flipped", "x", ADJOINT, lambda g, c, x, w: _circular(c, w), "conjugate forgotten"),
    planted(circular, "reversed", "w", TURNED, lambda g, *_: g[::-1]),
    planted(variation, "missing share", "x", SOME_TERM, lambda g, x: np.append(2 * (x[:-1] - x[1:]), 0),
            "of the right neighbour"),
    planted(trapezoid, "border", "y", WRONG, lambda g, y: 0.2 * y, "counted twice"),
    planted(order, "not inverted", "x", ADJOINT, lambda g, c, x: (c * np.arange(1.0, 7))[np.argsort(x)]),
]  # fmt: skip

# ---------------------------------------------------------------------- distances, densities, lookups

similarity = function(
    "cosine similarity", lambda a, b: a @ b / np.sqrt((a @ a) * (b @ b)),
    lambda a, b: [(p - q * (a @ b) / (q @ q)) / np.sqrt((a @ a) * (b @ b)) for q, p in ((a, b), (b, a))],
    a=positive(5), b=positive(5),
)  # fmt: skip
divergence = function(
    "divergence of normals", lambda m, s: 0.5 * np.sum(np.exp(s) + m**2 - 1 - s),
    lambda m, s: (m, 0.5 * (np.exp(s) - 1)), m=normal(3, 2), s=normal(3, 2),
)  # fmt: skip
CENTRES = np.array([[3.0, 0.0], [-3.0, 0.0], [0.0, 4.0]])


def _apart(x: np.ndarray) -> np.ndarray:
    return x[:, None] - CENTRES


def _nearest(x: np.ndarray) -> np.ndarray:
    return np.eye(3)[(_apart(x) ** 2).sum(-1).argmin(1)]


clusters = function(
    "k-means", lambda x: (_apart(x) ** 2).sum(-1).min(1).sum(),
    lambda x: [np.einsum("nk,nkd->nd", _nearest(x), 2 * _apart(x))], x=normal(5, 2),
)  # fmt: skip
pinball = function(
    "pinball", lambda x: np.sum(np.maximum(0.8 * x, -0.2 * x)), lambda x: [np.where(x > 0, 0.8, -0.2)], x=distinct(6)
)
geometric = function(
    "geometric mean", lambda x: np.exp(np.log(x).mean(0)), lambda c, x: [c * np.exp(np.log(x).mean(0)) / x / 4],
    x=positive(4, 3),
)  # fmt: skip
COEFFICIENTS = np.array([0.5, -1.0, 2.0, 0.7])
polynomial = function(
    "polynomial", lambda x: np.polyval(COEFFICIENTS, x), lambda c, x: [c * np.polyval(np.polyder(COEFFICIENTS), x)],
    x=normal(5),
)  # fmt: skip
BAGS = [[0, 2, 2], [1], [4, 0, 3, 3]]


def _bag_gradient(c: np.ndarray, table: np.ndarray, mean: bool = True, add: bool = True) -> list[np.ndarray]:
    found = np.zeros_like(table)
    for value, bag in zip(c, BAGS, strict=True):
        share = value / len(bag) if mean else value
        for row in bag:
            found[row] = found[row] * add + share
    return [found]


bags = function(
    "bags of vectors", lambda table: np.stack([table[bag].mean(0) for bag in BAGS]), _bag_gradient, table=normal(5, 3)
)
softplus = function(
    "naive softplus", lambda x: np.logaddexp(0, x), lambda c, x: [c / (1 + np.exp(-x))],
    x=lambda seed: np.append(np.random.default_rng(seed).normal(size=3), 800.0),
)  # fmt: skip


@np.errstate(all="ignore")
def _quotient(g: np.ndarray, c: np.ndarray, x: np.ndarray) -> np.ndarray:
    return c * np.exp(x) / (1 + np.exp(x))


squared = function(
    "squared norms", lambda x: np.sum(x**2, axis=1), lambda c, x: [2 * c[:, None] * x],
    x=lambda seed: np.random.default_rng(seed).normal(size=(3, 2)) * [[1.0], [0.0], [1.0]],
)  # fmt: skip


@np.errstate(all="ignore")
def _by_norm(g: np.ndarray, c: np.ndarray, x: np.ndarray) -> np.ndarray:
    length = np.linalg.norm(x, axis=1, keepdims=True)
    return 2 * c[:, None] * length * (x / length)


kernel = function(
    "Gaussian kernel", lambda x, t: np.exp(-t * np.sum((x[:, None] - CENTRES) ** 2, -1) / 20),
    lambda c, x, t: (
        np.einsum("nk,nkd->nd", c * kernel.function(x, t), -0.1 * t * _apart(x)),
        np.sum(-c * kernel.function(x, t) * np.sum(_apart(x) ** 2, -1) / 20),
    ),
    x=normal(4, 2), t=positive(),
)  # fmt: skip
FORMULAS = [
    planted(similarity, "product term", "a", SOME_TERM, lambda g, a, b: b / np.sqrt((a @ a) * (b @ b)),
            "norm taken as constant"),
    planted(similarity, "sign", "b", SIGN, lambda g, a, b: -g),
    planted(divergence, "product term", "s", SOME_TERM, lambda g, m, s: 0.5 * np.exp(s), "constant forgotten"),
    planted(divergence, "factor", "m", FACTOR, lambda g, m, s: m / 2),
    planted(divergence, "product term", "m", EXTRA_TERM, lambda g, m, s: m - 1.0, "a constant too many"),
    planted(clusters, "condition ignored", "x", WRONG, lambda g, x: 2 * _apart(x).sum(1), "all centres"),
    planted(pinball, "sign", "x", ("sign", "wrong"), lambda g, x: np.abs(g), "of one side"),
    planted(pinball, "condition reversed", "x", ADJOINT, lambda g, x: np.where(x > 0, -0.2, 0.8)),
    planted(geometric, "averaged", "x", FACTOR, lambda g, c, x: 4 * g, "1 / n forgotten"),
    planted(geometric, "wrong formula", "x", WRONG, lambda g, c, x: c * np.exp(np.log(x).mean(0)) / 4,
            "division by x forgotten"),
    planted(polynomial, "off by one", "x", WRONG, lambda g, c, x: c * np.polyval(COEFFICIENTS[:-1], x),
            "exponents forgotten"),
    planted(bags, "averaged", "table", WRONG, lambda g, c, t: _bag_gradient(c, t, mean=False)[0],
            "sizes differ"),
    planted(bags, "overwritten", "table", SOME_TERM, lambda g, c, t: _bag_gradient(c, t, add=False)[0]),
    planted(softplus, "overflow", "x", NAN, _quotient),
    planted(squared, "division", "x", NAN, _by_norm, "0 / 0"),
    planted(kernel, "sign", "x", SIGN, lambda g, *_: -g),
    planted(kernel, "wrong formula", "t", WRONG, lambda g, c, x, t: np.sum(-c * np.sum(_apart(x) ** 2, -1) / 20),
            "the kernel forgotten"),
    planted(kernel, "rounded", "x", PRECISION, lambda g, *_: g.astype(np.float32).astype(float), "float32"),
]  # fmt: skip

# ---------------------------------------------------------------------- attention


def _attention(q: np.ndarray, k: np.ndarray, v: np.ndarray) -> np.ndarray:
    return probabilities(q @ k.T / 2) @ v


def _attention_gradient(
    c: np.ndarray, q: np.ndarray, k: np.ndarray, v: np.ndarray, inner: float = 1.0, axis: int = 1
) -> Arrays:
    p, dp = probabilities(q @ k.T / 2), c @ v.T
    d = p * (dp - inner * (dp * p).sum(axis, keepdims=True)) / 2
    return d @ k, d.T @ q, p.T @ c


attention = function("attention", _attention, _attention_gradient, q=normal(4, 4), k=normal(4, 4), v=normal(4, 3))
ATTENTION = [
    planted(attention, "factor", "q", FACTOR, lambda g, *_: 2 * g, "scale forgotten"),
    planted(attention, "product term", "q", SOME_TERM, lambda g, *xs: _attention_gradient(*xs, inner=0)[0],
            "inner product forgotten"),
    planted(attention, "wrong axis", "k", WRONG, lambda g, *xs: _attention_gradient(*xs, axis=0)[1], "of softmax"),
    planted(attention, "kernel transposed", "v", ADJOINT,
            lambda g, c, q, k, v: probabilities(q @ k.T / 2) @ c, "weights not transposed"),
    planted(attention, "swapped", "k", WRONG, lambda g, *xs: _attention_gradient(*xs)[0], "that of q"),
    planted(attention, "detached", "k", ZERO, lambda g, *_: None),
    planted(attention, "rounded", "v", PRECISION, lambda g, *_: g.astype(np.float32).astype(float), "float32"),
]  # fmt: skip

# ---------------------------------------------------------------------- objects that keep something


class ExpM1:
    """``exp(x) - 1`` that subtracts the 1 in place, from the array that it has kept."""

    def forward(self, x: np.ndarray) -> np.ndarray:
        self.kept = np.exp(x)
        y = self.kept
        y -= 1.0
        return y.copy()

    def backward(self, c: np.ndarray) -> np.ndarray:
        return c * self.kept


class Accumulating:
    """A dense layer whose gradient of the kernel is added to that of earlier calls."""

    def __init__(self) -> None:
        self.dw: Any = 0.0

    def forward(self, x: np.ndarray, w: np.ndarray) -> np.ndarray:
        self.x, self.w = x, w
        return x @ w

    def backward(self, c: np.ndarray) -> Arrays:
        self.dw = self.dw + self.x.T @ c
        return c @ self.w.T, self.dw.copy()


class Dropout:
    """Drops by a fixed mask, and back by a new one."""

    mask = np.random.default_rng(3).random((4, 5)) > 0.4

    def forward(self, x: np.ndarray) -> np.ndarray:
        return x * self.mask

    def backward(self, c: np.ndarray) -> np.ndarray:
        return c * (np.random.random((4, 5)) > 0.4)


def of_object(kind: str, wrt: str, truths: tuple[str, ...], make: type, **samples: Sample) -> Mutation:
    def check(seed: int) -> gradcheck.GradientReport:
        arrays = [sample(seed) for sample in samples.values()]
        return gradcheck.check_gradients(make(), arrays, names=list(samples), seed=seed)

    return Mutation(Other(f"numpy {make.__name__}", "an object", check), kind, wrt, truths)


OBJECTS = [
    of_object("changed in place", "x", SOME_TERM, ExpM1, x=normal(4, 3)),
    of_object("accumulated", "w", ("non-deterministic", "wrong"), Accumulating, x=normal(3, 4), w=normal(4, 2)),
    of_object("noise", "x", NOISE, Dropout, x=normal(4, 5)),
]

FUNCTIONS = [
    bilinear, inverse, log_determinant, cube, spectral, kronecker, decay, circular, variation, trapezoid, order,
    similarity, divergence, clusters, pinball, geometric, polynomial, bags, softplus, squared, kernel, attention,
]  # fmt: skip
MUTATIONS: list[Mutation] = [*MATRICES, *SEQUENCES, *FORMULAS, *ATTENTION, *OBJECTS]

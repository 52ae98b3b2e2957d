"""Further NumPy functions with gradients by hand, and what goes wrong in them: a part of ``fresh.py``, to score only.

``ADJOINT`` stands for mistakes that exchange what belongs to one element with what belongs to another, in the output or
in the input: they are wrong, and where the latter is all that they do, "transposed" as well.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from tests.gradcheck.handwritten import HandWritten, function
from tests.gradcheck.planting import Mutation, Sample
from tests.ops import cases

WRONG, SIGN, FACTOR, ZERO, TRANSPOSED = ("wrong",), ("sign",), ("factor",), ("zero",), ("transposed",)
PRECISION, NOISE, NAN = ("precision",), ("non-deterministic",), ("not-finite",)
SOME_TERM, EXTRA_TERM = ("missing-term", "wrong"), ("wrong", "missing-term")
TURNED, ADJOINT = ("transposed", "wrong"), ("wrong", "transposed")
PARTLY_ZERO = ("zero", "wrong")

_number = itertools.count()


def sampled(distribution: Callable[..., np.ndarray], *shape: int) -> Sample:
    """Numbers that no other set of mistakes uses, others for every seed and every use."""
    number = next(_number)
    return lambda seed: distribution(*shape, seed=7_000_000 + 1000 * seed + number)


def normal(*shape: int) -> Sample:
    return sampled(cases.normal, *shape)


def positive(*shape: int) -> Sample:
    return sampled(cases.positive, *shape)


def inside(*shape: int) -> Sample:
    return sampled(cases.inside, *shape)


def distinct(*shape: int) -> Sample:
    return sampled(cases.distinct, *shape)


Arrays = tuple[np.ndarray, ...]


def instead(f: HandWritten, place: int, change: Callable[..., Any]) -> Callable[..., list[Any]]:
    """The right gradients but for one, which ``change`` gets in front of what a gradient gets."""

    def wrong(*arguments: Any) -> list[Any]:
        found = list(f.gradient(*arguments))
        found[place] = change(found[place], *arguments)
        return found

    return wrong


def planted(
    f: HandWritten, kind: str, wrt: str, truths: tuple[str, ...], change: Callable[..., Any], detail: str = ""
) -> Mutation:
    """The gradient of one input, changed."""
    return f.wrong(kind, wrt, truths, instead(f, list(f.samples).index(wrt), change), detail)


# ---------------------------------------------------------------------- an image convolution: stride 2, padding 1


def _padded(x: np.ndarray) -> np.ndarray:
    return np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))


def _windows(positions: int, stride: int = 2) -> Iterator[tuple[int, int, Any]]:
    for i, j in itertools.product(range(positions), repeat=2):
        yield i, j, np.s_[:, i * stride : i * stride + 3, j * stride : j * stride + 3]


def _conv(x: np.ndarray, w: np.ndarray, b: np.ndarray) -> np.ndarray:
    y = np.zeros((len(x), 3, 3, w.shape[-1]))
    for i, j, window in _windows(3):
        y[:, i, j] = np.tensordot(_padded(x)[window], w, 3) + b
    return y


def _conv_dx(c: np.ndarray, x: np.ndarray, w: np.ndarray, stride: int = 2, crop: int = 1, add: bool = True) -> Any:
    found = np.zeros_like(_padded(x))
    for i, j, window in _windows(3, stride):
        share = np.tensordot(c[:, i, j], w, (1, 3))
        found[window] = found[window] + share if add else share
    return found[:, crop : crop + 6, crop : crop + 6]


def _conv_dw(c: np.ndarray, padded: np.ndarray, stride: int = 2, positions: int = 3) -> np.ndarray:
    return sum(np.tensordot(padded[window], c[:, i, j], (0, 0)) for i, j, window in _windows(positions, stride))


conv = function(
    "image convolution", _conv,
    lambda c, x, w, b: (_conv_dx(c, x, w), _conv_dw(c, _padded(x)), c.sum((0, 1, 2))),
    x=normal(2, 6, 6, 2), w=normal(3, 3, 2, 2), b=normal(2),
)  # fmt: skip
CONV = [
    planted(conv, "kernel flipped", "x", ADJOINT, lambda g, c, x, w, b: _conv_dx(c, x, w[::-1, ::-1])),
    planted(conv, "off by one", "x", WRONG, lambda g, c, x, w, b: _conv_dx(c, x, w, crop=0), "padding not cropped"),
    planted(conv, "stride ignored", "x", WRONG, lambda g, c, x, w, b: _conv_dx(c, x, w, stride=1)),
    planted(conv, "overwritten", "x", SOME_TERM, lambda g, c, x, w, b: _conv_dx(c, x, w, add=False)),
    planted(conv, "stride ignored", "w", WRONG, lambda g, c, x, w, b: _conv_dw(c, _padded(x), stride=1)),
    planted(conv, "off by one", "w", SOME_TERM, lambda g, c, x, w, b: _conv_dw(c, _padded(x), positions=2),
            "last windows"),
    planted(conv, "padding's side", "w", WRONG,
            lambda g, c, x, w, b: _conv_dw(c, np.pad(x, ((0, 0), (0, 2), (0, 2), (0, 0))))),
    planted(conv, "transposed", "w", TRANSPOSED, lambda g, *_: np.swapaxes(g, 2, 3), "channels"),
    planted(conv, "averaged", "w", FACTOR, lambda g, *_: g / 2, "over the batch"),
    planted(conv, "wrong axis", "b", WRONG, lambda g, c, *_: c.sum((1, 2, 3))),
    planted(conv, "averaged", "b", FACTOR, lambda g, c, *_: c.mean((0, 1, 2))),
    planted(conv, "bias reduction", "b", SOME_TERM, lambda g, c, *_: c.sum(0)[1, 1], "centre alone"),
]  # fmt: skip

# ---------------------------------------------------------------------- pooling


def _blocks(x: np.ndarray) -> np.ndarray:
    """(2, 4, 6) as blocks of 2 x 3: (2, 2, 2, 6)."""
    return x.reshape(2, 2, 2, 2, 3).transpose(0, 1, 3, 2, 4).reshape(2, 2, 2, 6)


def _unblocked(blocks: np.ndarray, rows: int = 2, columns: int = 3) -> np.ndarray:
    return blocks.reshape(2, 2, 2, rows, columns).transpose(0, 1, 3, 2, 4).reshape(2, 4, 6)


def _one_hot(blocks: np.ndarray, value: np.ndarray) -> np.ndarray:
    return np.eye(6)[blocks.argmax(-1)] * value[..., None]


max_pool = function(
    "image max pooling", lambda x: _blocks(x).max(-1), lambda c, x: [_unblocked(_one_hot(_blocks(x), c))],
    x=distinct(2, 4, 6),
)  # fmt: skip


def _peaked(seed: int) -> np.ndarray:
    x = cases.normal(7, seed=7_500_000 + seed)
    x[2] += 10.0  # the largest of the two windows that it is in
    return x


def _spans(x: np.ndarray) -> np.ndarray:
    return np.stack([x[i : i + 3] for i in (0, 2, 4)])


def _span_gradient(c: np.ndarray, x: np.ndarray, add: bool = True) -> list[np.ndarray]:
    found = np.zeros(7)
    for value, place in zip(c, _spans(x).argmax(1) + np.array([0, 2, 4]), strict=True):
        found[place] = found[place] * add + value
    return [found]


overlapping = function("overlapping max pooling", lambda x: _spans(x).max(1), _span_gradient, x=_peaked)
POOL = [
    planted(max_pool, "condition ignored", "x", WRONG, lambda g, c, x: _unblocked(np.repeat(c[..., None], 6, -1))),
    planted(max_pool, "wrong formula", "x", WRONG, lambda g, c, x: _unblocked(np.repeat(c[..., None], 6, -1) / 6),
            "the average's"),
    planted(max_pool, "condition reversed", "x", ADJOINT, lambda g, c, x: _unblocked(_one_hot(-_blocks(x), c))),
    planted(max_pool, "averaged", "x", FACTOR, lambda g, *_: g / 6),
    planted(overlapping, "overwritten", "x", SOME_TERM, lambda g, c, x: _span_gradient(c, x, add=False)[0]),
]  # fmt: skip

# ---------------------------------------------------------------------- a network of two layers


def _hidden(x: np.ndarray, w1: np.ndarray, b1: np.ndarray) -> np.ndarray:
    return x @ w1 + b1


def _network(x: np.ndarray, w1: np.ndarray, b1: np.ndarray, w2: np.ndarray, b2: np.ndarray) -> np.ndarray:
    return np.maximum(_hidden(x, w1, b1), 0) @ w2 + b2


def _network_gradient(c: np.ndarray, *inputs: np.ndarray, mask: Any = None, back: Any = None) -> Arrays:
    x, w1, b1, w2, _ = inputs
    z = _hidden(x, w1, b1)
    d = (c @ (w2.T if back is None else back)) * ((z > 0) if mask is None else mask)
    return d @ w1.T, x.T @ d, d.sum(0), np.maximum(z, 0).T @ c, c.sum(0)


network = function(
    "network", _network, _network_gradient,
    x=normal(6, 4), w1=normal(4, 4), b1=normal(4), w2=normal(4, 4), b2=normal(4),
)  # fmt: skip
NETWORK = [
    planted(network, "wrong mask", "w1", WRONG,
            lambda g, c, *xs: _network_gradient(c, *xs, mask=_network(*xs) > 0)[1], "of the output"),
    planted(network, "wrong mask", "b1", WRONG, lambda g, c, *xs: _network_gradient(c, *xs, mask=xs[0] > 0)[2],
            "of the input"),
    planted(network, "condition ignored", "w1", WRONG, lambda g, c, *xs: _network_gradient(c, *xs, mask=1.0)[1]),
    planted(network, "kernel transposed", "x", ADJOINT, lambda g, c, *xs: _network_gradient(c, *xs, back=xs[3])[0]),
    planted(network, "wrong point", "w2", WRONG, lambda g, c, x, w1, b1, *_: _hidden(x, w1, b1).T @ c,
            "before the rectifier"),
    planted(network, "layer skipped", "x", WRONG,
            lambda g, c, *xs: _network_gradient(c, *xs, back=np.eye(4))[0]),
    planted(network, "zero", "w1", ZERO, lambda g, *_: 0 * g),
    planted(network, "bias reduction", "b2", SOME_TERM, lambda g, c, *_: c[:-1].sum(0), "without the last row"),
    planted(network, "averaged", "b1", FACTOR, lambda g, *_: g / 6),
    planted(network, "transposed", "w2", TRANSPOSED, lambda g, *_: g.T),
    planted(network, "rounded", "w1", PRECISION,
            lambda g, c, *xs: _network_gradient(c.astype("f4"), *[x.astype("f4") for x in xs])[1], "float32"),
]  # fmt: skip

# ---------------------------------------------------------------------- regression with a penalty

FEATURES, SIDES = np.random.default_rng(11).normal(size=(7, 4)), np.array([1, -1, 1, 1, -1, -1, 1.0])


def _slope(w: np.ndarray, b: np.ndarray) -> np.ndarray:
    return -SIDES / (1 + np.exp(SIDES * (FEATURES @ w + b))) / len(SIDES)


logistic = function(
    "logistic regression",
    lambda w, b: np.mean(np.logaddexp(0, -SIDES * (FEATURES @ w + b))) + 0.15 * np.sum(w**2),
    lambda w, b: (FEATURES.T @ _slope(w, b) + 0.3 * w, _slope(w, b).sum()),
    w=normal(4), b=normal(),
)  # fmt: skip
REGRESSION = [
    planted(logistic, "penalty ignored", "w", SOME_TERM, lambda g, w, b: g - 0.3 * w),
    planted(logistic, "penalty ignored", "w", SOME_TERM, lambda g, w, b: g - 0.15 * w, "half of it"),
    planted(logistic, "penalty ignored", "w", EXTRA_TERM, lambda g, w, b: g - 0.6 * w, "its sign"),
    planted(logistic, "averaged", "w", WRONG, lambda g, w, b: 7 * (g - 0.3 * w) + 0.3 * w, "but not the penalty"),
    planted(logistic, "sign", "w", WRONG, lambda g, w, b: 0.3 * w - (g - 0.3 * w), "but not the penalty's"),
    planted(logistic, "averaged", "b", FACTOR, lambda g, w, b: 7 * g),
    planted(logistic, "sign", "b", SIGN, lambda g, w, b: -g),
]  # fmt: skip

# ---------------------------------------------------------------------- an LSTM cell: new state and new memory


def _sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def _gates(x: np.ndarray, h: np.ndarray, w: np.ndarray, b: np.ndarray) -> list[np.ndarray]:
    i, f, o, u = np.split(np.concatenate([x, h], 1) @ w + b, 4, axis=1)
    return [_sigmoid(i), _sigmoid(f), _sigmoid(o), np.tanh(u)]


def _cell(x: np.ndarray, h: np.ndarray, m: np.ndarray, w: np.ndarray, b: np.ndarray) -> np.ndarray:
    i, f, o, u = _gates(x, h, w, b)
    new = f * m + i * u
    return np.concatenate([o * np.tanh(new), new], 1)


def _cell_gradient(
    c: np.ndarray, x: np.ndarray, h: np.ndarray, m: np.ndarray, w: np.ndarray, b: np.ndarray,
    memory: float = 1.0, state: float = 1.0, keep: Any = (1, 1, 1, 1), forget: Any = None,
) -> Arrays:  # fmt: skip
    i, f, o, u = _gates(x, h, w, b)
    t = np.tanh(f * m + i * u)
    dh, dm = np.split(c, 2, axis=1)
    dm = memory * dm + state * dh * o * (1 - t**2)
    slope = f * (1 - f) if forget is None else forget(f)
    d = [dm * u * i * (1 - i), dm * m * slope, dh * t * o * (1 - o), dm * i * (1 - u**2)]
    d = np.concatenate([k * part for k, part in zip(keep, d, strict=True)], 1)
    dx, dstate = np.split(d @ w.T, [x.shape[1]], axis=1)
    return dx, dstate, dm * f, np.concatenate([x, h], 1).T @ d, d.sum(0)


cell = function(
    "LSTM cell", _cell, _cell_gradient, x=normal(3, 2), h=inside(3, 2), m=normal(3, 2), w=normal(4, 8), b=normal(8)
)
LSTM = [
    planted(cell, "wrong formula", "w", WRONG, lambda g, *xs: _cell_gradient(*xs, forget=lambda f: 1 - f**2)[3],
            "tanh's for the forget gate"),
    planted(cell, "product term", "m", SOME_TERM, lambda g, *xs: _cell_gradient(*xs, memory=0.0)[2], "the memory's"),
    planted(cell, "product term", "m", SOME_TERM, lambda g, *xs: _cell_gradient(*xs, state=0.0)[2], "the state's"),
    planted(cell, "missing share", "w", PARTLY_ZERO, lambda g, *xs: _cell_gradient(*xs, keep=(1, 1, 0, 1))[3],
            "the output gate's"),
    planted(cell, "missing share", "h", SOME_TERM, lambda g, *xs: _cell_gradient(*xs, keep=(1, 0, 1, 1))[1],
            "the forget gate's"),
    planted(cell, "gates in another order", "b", TURNED, lambda g, *_: np.concatenate([g[2:4], g[:2], g[4:]])),
    planted(cell, "swapped", "x", WRONG, lambda g, *xs: _cell_gradient(*xs)[1], "x and h"),
    planted(cell, "zero", "h", ZERO, lambda g, *_: None),
]  # fmt: skip

# ---------------------------------------------------------------------- normalization


def _normal(x: np.ndarray, axes: Any, epsilon: float = 1e-2) -> Arrays:
    deviation = np.sqrt(x.var(axes, keepdims=True) + epsilon)
    return (x - x.mean(axes, keepdims=True)) / deviation, deviation


def _norm_gradient(
    c: np.ndarray, x: np.ndarray, gain: np.ndarray, shift: np.ndarray, axes: Any, others: Any,
    mean: float = 1.0, variance: float = 1.0, over: Any = None, deviation: Any = None,
) -> Arrays:  # fmt: skip
    n, s = _normal(x, axes)
    d, over = c * gain, axes if over is None else over
    of_mean, of_variance = d.mean(over, keepdims=True), n * (d * n).mean(over, keepdims=True)
    dx = (d - mean * of_mean - variance * of_variance) / (s if deviation is None else deviation)
    return dx, (c * n).sum(others), c.sum(others)


def normalization(name: str, shape: tuple[int, ...], axes: Any, others: Any) -> HandWritten:
    size = tuple(n for i, n in enumerate(shape) if i not in others)
    return function(
        name, lambda x, gain, shift: _normal(x, axes)[0] * gain + shift,
        lambda c, x, gain, shift: _norm_gradient(c, x, gain, shift, axes, others),
        x=normal(*shape), gain=positive(*size), shift=normal(*size),
    )  # fmt: skip


rows = normalization("layer normalization with a gain", (5, 4), (1,), (0,))
images = normalization("batch normalization of images", (3, 2, 2, 3), (0, 1, 2), (0, 1, 2))
ROW, IMAGE = ((1,), (0,)), ((0, 1, 2), (0, 1, 2))
NORMALIZATION = [
    planted(rows, "factor ignored", "x", WRONG, lambda g, c, x, gain, shift: _norm_gradient(c, x, 1.0, shift, *ROW)[0],
            "the gain"),
    planted(rows, "wrong axis", "x", WRONG, lambda g, *xs: _norm_gradient(*xs, *ROW, over=(0,))[0], "of the means"),
    planted(rows, "product term", "x", SOME_TERM, lambda g, *xs: _norm_gradient(*xs, *ROW, mean=0, variance=0)[0],
            "both statistics'"),
    planted(rows, "wrong formula", "x", WRONG,
            lambda g, *xs: _norm_gradient(*xs, *ROW, deviation=xs[1].std(1, keepdims=True) + 1e-2)[0],
            "epsilon outside of the root"),
    planted(rows, "wrong point", "gain", WRONG, lambda g, c, x, *_: (c * x).sum(0), "x not standardised"),
    planted(rows, "sign", "shift", SIGN, lambda g, *_: -g),
    planted(images, "product term", "x", ("missing-term",), lambda g, *xs: _norm_gradient(*xs, *IMAGE, mean=0)[0],
            "the mean's"),
    planted(images, "product term", "x", SOME_TERM, lambda g, *xs: _norm_gradient(*xs, *IMAGE, variance=0)[0],
            "the variance's"),
    planted(images, "wrong axis", "x", WRONG, lambda g, *xs: _norm_gradient(*xs, *IMAGE, over=(1, 2))[0],
            "statistics of each image"),
    planted(images, "bias reduction", "gain", SOME_TERM,
            lambda g, c, x, *_: (c * _normal(x, (0, 1, 2))[0])[0].sum((0, 1)), "first image"),
    planted(images, "averaged", "shift", FACTOR, lambda g, *_: g / 12),
]  # fmt: skip

# ---------------------------------------------------------------------- cross entropy with class weights and smoothing

CLASSES, WEIGHTS = np.array([3, 0, 2, 1, 0]), np.array([0.5, 1.0, 2.0, 3.0])
SMOOTH = 0.8 * np.eye(4)[CLASSES] + 0.05
SHARES = (WEIGHTS[CLASSES] / WEIGHTS[CLASSES].sum())[:, None]


def probabilities(z: np.ndarray, axis: int = 1) -> np.ndarray:
    e = np.exp(z - z.max(axis, keepdims=True))
    return e / e.sum(axis, keepdims=True)


entropy = function(
    "weighted cross entropy", lambda z: -np.sum(SHARES * SMOOTH * np.log(probabilities(z))),
    lambda z: [SHARES * (probabilities(z) - SMOOTH)], z=normal(5, 4),
)  # fmt: skip
ENTROPY = [
    planted(entropy, "averaged", "z", FACTOR, lambda g, z: g * WEIGHTS[CLASSES].sum(), "normaliser forgotten"),
    planted(entropy, "factor ignored", "z", WRONG, lambda g, z: g / SHARES / 5, "class weights"),
    planted(entropy, "product term", "z", SOME_TERM, lambda g, z: SHARES * (probabilities(z) - np.eye(4)[CLASSES]),
            "smoothing forgotten"),
    planted(entropy, "wrong point", "z", WRONG, lambda g, z: SHARES * (np.log(probabilities(z)) - SMOOTH),
            "logarithm of the probabilities"),
    planted(entropy, "wrong axis", "z", WRONG, lambda g, z: SHARES * (probabilities(z, 0) - SMOOTH), "of softmax"),
    planted(entropy, "off by one", "z", WRONG, lambda g, z: SHARES * (probabilities(z) - np.roll(SMOOTH, 1, 1)),
            "the label"),
    planted(entropy, "condition", "z", PARTLY_ZERO, lambda g, z: g * np.eye(4)[CLASSES], "at the label alone"),
    planted(entropy, "wrong formula", "z", WRONG,
            lambda g, z: SHARES * probabilities(z) * (1 - probabilities(z)) - SHARES * SMOOTH, "p (1 - p)"),
    planted(entropy, "sign", "z", SIGN, lambda g, z: -g),
    planted(entropy, "nan", "z", NAN, lambda g, z: np.where(np.arange(20).reshape(5, 4) == 7, np.inf, g)),
]  # fmt: skip

FUNCTIONS = [conv, max_pool, overlapping, network, logistic, cell, rows, images, entropy]
MUTATIONS: list[Mutation] = [*CONV, *POOL, *NETWORK, *REGRESSION, *LSTM, *NORMALIZATION, *ENTROPY]

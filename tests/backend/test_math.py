from __future__ import annotations

from functools import partial

import numpy as np
import pytest

from minikeras import backend as K
from tests.backend.table import Case, normal, parametrize, positive

X, Y, P = normal(3, 4), normal(3, 4, seed=1), positive(3, 4)
Z = np.array([[0.0, 1.0], [0.0, 0.0], [2.0, 3.0]])
A, B = normal(2, 3, 4), normal(2, 5, 4)
HEADS = normal(2, 3, 4, 5), normal(2, 3, 6, 5)


def batch_dot(x: np.ndarray, y: np.ndarray, ax: int, ay: int) -> np.ndarray:
    """Sample by sample, as the documentation of Keras says it."""
    result = np.stack([np.tensordot(one, other, axes=(ax - 1, ay - 1)) for one, other in zip(x, y, strict=True)])
    return result[:, None] if result.ndim == 1 else result


ELEMENTWISE = [
    Case("square", K.square, [X], X**2),
    Case("abs", K.abs, [X], np.abs(X)),
    Case("sqrt", K.sqrt, [P], P**0.5),
    Case("sqrt", K.sqrt, [X], np.sqrt(np.where(X > 0, X, 0)), smooth=False),
    Case("exp", K.exp, [X], np.e**X),
    Case("log", K.log, [P], np.log(P)),
    Case("round", K.round, [X * 3], np.rint(X * 3), smooth=False),
    Case("sign", K.sign, [X], np.where(X > 0, 1.0, -1.0), smooth=False),
    Case("pow", lambda x: K.pow(x, 3), [X], X * X * X),
    Case("pow", K.pow, [P, Y], P**Y, free=(0, 1)),
    Case("sin", K.sin, [X], np.sin(X)),
    Case("cos", K.cos, [X], np.cos(X)),
    Case("clip", lambda x: K.clip(x, -0.5, 0.5), [X], np.minimum(np.maximum(X, -0.5), 0.5)),
    Case("clip", lambda x: K.clip(x, 0.25, -1.0), [X], np.full_like(X, 0.25), smooth=False),
    Case("clip", lambda x: K.clip(x, 0.0, None), [X], np.where(X > 0, X, 0)),
    Case("maximum", K.maximum, [X, Y], np.where(X > Y, X, Y), free=(0, 1)),
    Case("minimum", lambda x: K.minimum(x, 0.1), [X], np.where(X < 0.1, X, 0.1)),
    Case("minimum", K.minimum, [X, Y], np.where(X < Y, X, Y), free=(0, 1)),
    *[
        Case(name, getattr(K, name), [np.rint(X), np.rint(Y)], compare(np.rint(X), np.rint(Y)), (0, 1), smooth=False)
        for name, compare in {
            "equal": np.equal,
            "not_equal": np.not_equal,
            "greater": np.greater,
            "greater_equal": np.greater_equal,
            "less": np.less,
            "less_equal": np.less_equal,
        }.items()
    ],
]
REDUCTIONS = [
    *[
        Case(name, partial(getattr(K, name), axis=axis, keepdims=keep), [X],
             by(X, axis=tuple(axis) if isinstance(axis, list) else axis, keepdims=keep))
        for name, by in {
            "max": np.max, "min": np.min, "sum": np.sum, "prod": np.prod, "mean": np.mean, "var": np.var, "std": np.std,
            "logsumexp": lambda x, axis, keepdims: np.log(np.sum(np.exp(x), axis=axis, keepdims=keepdims)),
        }.items()
        for axis, keep in [(None, False), (1, False), (-1, True), ([0, 1], True)]
    ],
    *[
        Case(name, partial(getattr(K, name), axis=1), [Z], expected, smooth=False)
        for name, expected in {
            "any": np.array([True, False, True]), "all": np.array([False, False, True]),
            "argmax": np.array([1, 0, 1]), "argmin": np.array([0, 0, 0]),
        }.items()
    ],
    Case("any", K.any, [Z], np.array(True), smooth=False),
    Case("argmax", K.argmax, [Z], np.array([1, 0, 1]), smooth=False),
    Case("argmin", lambda x: K.argmin(x, axis=0), [Z], np.array([0, 1]), smooth=False),
    Case("mean", lambda x: K.mean(K.greater(x, 0.5)), [Z], np.float32(0.5), smooth=False),
    Case("cumsum", K.cumsum, [X], np.array([X[: i + 1].sum(0) for i in range(3)])),
    Case("cumsum", lambda x: K.cumsum(x, axis=1), [X], np.add.accumulate(X, 1)),
    Case("cumprod", K.cumprod, [X], np.array([X[: i + 1].prod(0) for i in range(3)])),
]  # fmt: skip
PRODUCTS = [
    Case("dot", K.dot, [X, normal(4, 2)], X @ normal(4, 2)),
    Case("dot", K.dot, [A, normal(4, 2)], np.dot(A, normal(4, 2))),
    Case("dot", K.dot, [X, normal(2, 4, 5)], np.dot(X, normal(2, 4, 5))),
    Case("batch_dot", K.batch_dot, [A, normal(2, 4, 6)], A @ normal(2, 4, 6), free=(0, 1)),
    Case("batch_dot", lambda x, y: K.batch_dot(x, y, axes=1), [X, Y], batch_dot(X, Y, 1, 1), free=(0, 1)),
    Case("batch_dot", lambda x, y: K.batch_dot(x, y, axes=2), [A, B], batch_dot(A, B, 2, 2), free=(0, 1)),
    Case("batch_dot", lambda x, y: K.batch_dot(x, y, axes=-1), [A, B], batch_dot(A, B, 2, 2), free=(0, 1)),
    Case("batch_dot", lambda x, y: K.batch_dot(x, y, axes=(1, 2)), [normal(2, 4), B],
         batch_dot(normal(2, 4), B, 1, 2), free=(0, 1)),
    Case("batch_dot", lambda x, y: K.batch_dot(x, y, axes=[2, -1]), [B, normal(2, 4)],
         batch_dot(B, normal(2, 4), 2, 1), free=(0, 1)),
    Case("batch_dot", lambda x, y: K.batch_dot(x, y, axes=(1, 2)), [HEADS[0], normal(2, 6, 3)],
         batch_dot(HEADS[0], normal(2, 6, 3), 1, 2), free=(0, 1)),
    Case("batch_dot", lambda x, y: K.batch_dot(x, y, axes=3), [*HEADS],
         np.array([[q @ k.T for q, k in zip(*pair, strict=True)] for pair in zip(*HEADS, strict=True)]), free=(0, 1)),
    Case("batch_dot", lambda x, y: K.batch_dot(x, y, axes=[2, 3]), [np.swapaxes(HEADS[0], 2, 3), HEADS[1]],
         np.array([[q @ k.T for q, k in zip(*pair, strict=True)] for pair in zip(*HEADS, strict=True)]), free=(0, 1)),
]  # fmt: skip
CASES = [*ELEMENTWISE, *REDUCTIONS, *PRODUCTS]


@parametrize(CASES)
def test_the_value_is_numpys(case: Case) -> None:
    case.check_value()


@parametrize(CASES)
def test_recorded_and_fed_it_is_the_same(case: Case) -> None:
    case.check_recorded()


@parametrize([case for case in CASES if case.smooth])
def test_the_derivatives_are_those_of_differences(case: Case) -> None:
    case.check_gradient()


def test_lists_are_taken_as_tensors() -> None:
    assert K.sum([1.0, 2.0]).item() == 3.0
    assert K.any([0, 0, 1]).item()


def test_means_of_integers_are_floats_of_the_default_type() -> None:
    assert K.dtype(K.mean(np.array([1, 2]))) == "float32"


@pytest.mark.parametrize(
    ("x", "y", "axes", "message"),
    [
        ((2, 3), (2, 3), (1, 1, 1), "axes must be None, an integer or two of them. Received: axes="),
        ((2, 3), (2, 3), [(1,), (1,)], "axes must be None, an integer or two of them"),
        ((2, 3), (2, 3), (0, 1), "axes behind the batch's. Received: axes="),
        ((2, 3), (2, 3), 2, r"axes behind the batch's. Received: axes=2, shapes \(2, 3\)"),
        ((2, 3), (2, 4), 1, "axis 1 of x has length 3 in a batch of 2, axis 1 of y 4 in one of 2"),
        ((2, 3), (4, 3), 1, "in a batch of 2, axis 1 of y 3 in one of 4"),
        ((2,), (2, 3), 1, "both need a batch axis and another"),
    ],
)
def test_batch_dot_refuses(x: tuple, y: tuple, axes: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        K.batch_dot(np.zeros(x), np.zeros(y), axes)

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from minikeras import backend as K
from tests.backend.table import Case, normal, parametrize

X, STEPS, IMAGE, VOLUME = normal(3, 4), normal(2, 3, 4), normal(2, 3, 4, 2), normal(1, 2, 3, 2, 2)
INDICES = np.array([[2, 0], [1, 2]])


def enlarged(x: np.ndarray, factors: tuple[int, ...], first: int) -> np.ndarray:
    """Elements repeated along the axes from ``first`` on, one index at a time."""
    shape = [n * (factors[i - first] if 0 <= i - first < len(factors) else 1) for i, n in enumerate(x.shape)]
    result = np.empty(shape)
    for index in np.ndindex(*shape):
        source = [k // factors[i - first] if 0 <= i - first < len(factors) else k for i, k in enumerate(index)]
        result[index] = x[tuple(source)]
    return result


def padded(x: np.ndarray, *pairs: tuple[int, int]) -> np.ndarray:
    result = np.zeros([n + sum(pair) for n, pair in zip(x.shape, pairs, strict=True)])
    result[tuple([slice(lo, lo + n) for n, (lo, _) in zip(x.shape, pairs, strict=True)])] = x
    return result


BILINEAR = np.array([[0.0, 0.25, 0.75, 1.0], [0.5, 0.75, 1.25, 1.5], [1.5, 1.75, 2.25, 2.5], [2.0, 2.25, 2.75, 3.0]])
NONE = (0, 0)
CASES = [
    Case("reshape", lambda x: K.reshape(x, (-1, 2, 2)), [X], X.reshape(3, 2, 2)),
    Case("reshape", lambda x: K.reshape(x, (K.shape(x)[0], 2, -1)), [X], X.reshape(3, 2, 2)),
    Case("permute_dimensions", lambda x: K.permute_dimensions(x, (0, 2, 1)), [STEPS], np.einsum("abc->acb", STEPS)),
    Case("transpose", K.transpose, [STEPS], np.einsum("abc->cba", STEPS)),
    Case("flatten", K.flatten, [STEPS], np.array([*STEPS.flat])),
    Case("batch_flatten", K.batch_flatten, [STEPS], np.array([[*sample.flat] for sample in STEPS])),
    Case("expand_dims", K.expand_dims, [X], X[..., None]),
    Case("expand_dims", lambda x: K.expand_dims(x, 1), [X], X[:, None]),
    Case("squeeze", lambda x: K.squeeze(x, 2), [X[:, :, None]], X),
    Case("concatenate", lambda x, y: K.concatenate([x, y]), [X, X * 2], np.array([[*r, *(r * 2)] for r in X]), (0, 1)),
    Case("concatenate", lambda x, y: K.concatenate([x, y], axis=0), [X, X * 2], np.array([*X, *(X * 2)]), (0, 1)),
    Case("stack", lambda x, y: K.stack([x, y], axis=1), [X, X * 2], np.array([[r, r * 2] for r in X]), (0, 1)),
    Case("stack", lambda x, y: K.stack([x, y]), [X, X * 2], np.array([X, X * 2]), (0, 1)),
    Case("reverse", lambda x: K.reverse(x, 1), [X], X[:, ::-1]),
    Case("reverse", lambda x: K.reverse(x, [0, -1]), [STEPS], STEPS[::-1, :, ::-1]),
    Case("slice", lambda x: K.slice(x, [1, 0], [2, -1]), [X], X[1:3]),
    Case("slice", lambda x: K.slice(x, (0, 1), (-1, 2)), [X], X[:, 1:3]),
    Case("repeat_elements", lambda x: K.repeat_elements(x, 2, axis=1), [X],
         np.array([[v for v in r for _ in "ab"] for r in X])),
    Case("repeat", lambda x: K.repeat(x, 3), [X], np.array([[r] * 3 for r in X])),
    Case("tile", lambda x: K.tile(x, [1, 2]), [X], np.array([[*r, *r] for r in X])),
    Case("tile", lambda x: K.tile(x, 2), [X[0]], np.array([*X[0], *X[0]]), free=()),
    Case("temporal_padding", K.temporal_padding, [STEPS], padded(STEPS, NONE, (1, 1), NONE)),
    Case("temporal_padding", lambda x: K.temporal_padding(x, (2, 0)), [STEPS], padded(STEPS, NONE, (2, 0), NONE)),
    Case("spatial_2d_padding", K.spatial_2d_padding, [IMAGE], padded(IMAGE, NONE, (1, 1), (1, 1), NONE)),
    Case("spatial_2d_padding", lambda x: K.spatial_2d_padding(x, ((1, 2), (0, 3)), "channels_first"), [IMAGE],
         padded(IMAGE, NONE, NONE, (1, 2), (0, 3))),
    Case("spatial_3d_padding", K.spatial_3d_padding, [VOLUME], padded(VOLUME, NONE, (1, 1), (1, 1), (1, 1), NONE)),
    Case("spatial_3d_padding", lambda x: K.spatial_3d_padding(x, ((1, 0), (0, 1), (2, 1)), "channels_first"), [VOLUME],
         padded(VOLUME, NONE, NONE, (1, 0), (0, 1), (2, 1))),
    Case("resize_images", lambda x: K.resize_images(x, 2, 3, "channels_last"), [IMAGE], enlarged(IMAGE, (2, 3), 1)),
    Case("resize_images", lambda x: K.resize_images(x, 2, 3, "channels_first"), [IMAGE], enlarged(IMAGE, (2, 3), 2)),
    Case("resize_images", lambda x: K.resize_images(x, 2, 2, "channels_last", "bilinear"),
         [np.arange(4.0).reshape(1, 2, 2, 1)], BILINEAR.reshape(1, 4, 4, 1)),
    Case("resize_volumes", lambda x: K.resize_volumes(x, 1, 3, 2, None), [VOLUME], enlarged(VOLUME, (1, 3, 2), 1)),
    Case("gather", lambda x: K.gather(x, INDICES), [X], np.array([[X[i] for i in row] for row in INDICES]), free=()),
    Case("gather", K.gather, [X, INDICES], np.array([[X[i] for i in row] for row in INDICES]), free=(1,)),
    Case("one_hot", lambda i: K.one_hot(i, 3), [INDICES],
         np.array([[[float(i == c) for c in range(3)] for i in row] for row in INDICES]), smooth=False),
    Case("arange", lambda x: K.arange(K.shape(x)[0]) * 2, [X], np.array([0, 2, 4]), smooth=False),
]  # fmt: skip


@parametrize(CASES)
def test_the_value_is_numpys(case: Case) -> None:
    case.check_value()


@parametrize(CASES)
def test_recorded_and_fed_it_is_the_same(case: Case) -> None:
    case.check_recorded()


@parametrize([case for case in CASES if case.smooth])
def test_the_derivatives_are_those_of_differences(case: Case) -> None:
    case.check_gradient()


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ((4,), [0, 1, 2, 3]),
        ((1, 4), [1, 2, 3]),
        ((1, 6, 2), [1, 3, 5]),
        ((4, 1, -1), [4, 3, 2]),
        ((-3,), []),
    ],
)
def test_arange_counts_as_keras_does(arguments: tuple[int, ...], expected: list[int]) -> None:
    found = K.arange(*arguments)
    assert found.tolist() == expected
    assert K.dtype(found) == "int32"


def test_arange_gives_the_type_asked_for() -> None:
    assert K.dtype(K.arange(3, dtype="float32")) == "float32"


def test_sizes_taken_from_a_symbolic_shape_are_free_dimensions() -> None:
    x = K.placeholder((None, 6))
    half = K.reshape(x, (K.shape(x)[0] * 2, 3))
    assert half.shape == (None, 3)
    assert K.tile(x, [K.shape(x)[0], 1]).shape == (None, 6)


def test_the_data_format_of_the_configuration_is_the_default() -> None:
    K.set_image_data_format("channels_first")
    assert K.spatial_2d_padding(IMAGE).shape == (2, 3, 6, 4)
    assert K.resize_images(IMAGE, 2, 2, None).shape == (2, 3, 8, 4)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: K.reshape(X, (5, 2)), ValueError, "reshape: 12 elements of shape"),
        (lambda: K.reshape(X, (1.5, 2)), TypeError, r"reshape: shape must be integers. Received: \(1.5, 2\)"),
        (lambda: K.permute_dimensions(X, (0, 2, 1)), ValueError, "pattern must be 2 integers, one for each axis"),
        (lambda: K.slice(X, [0, 3], [3, 2]), ValueError, r"slice: start \(0, 3\) and size \(3, 2\) reach outside"),
        (lambda: K.tile(X, 2), ValueError, "tile: n must be 2 integers"),
        (lambda: K.repeat(STEPS, 2), ValueError, r"repeat: x must be \(batch, features\). Received: shape \(2, 3, 4\)"),
        (lambda: K.repeat_elements(X, 1.5, 0), ValueError, "repeat_elements: rep must be an integer"),
        (lambda: K.temporal_padding(X), ValueError, r"temporal_padding: x must have 3 axes.*Received: shape \(3, 4\)"),
        (lambda: K.spatial_2d_padding(IMAGE, (1, 2, 3)), ValueError, "spatial_2d_padding: padding must be"),
        (lambda: K.spatial_2d_padding(IMAGE, data_format="last"), ValueError, "data_format must be one of"),
        (lambda: K.resize_images(IMAGE, 0, 1, None), ValueError, "resize_images: each factor must be a positive"),
        (lambda: K.resize_images(IMAGE, 1, 1, None, "cubic"), ValueError, "interpolation must be one of 'nearest'"),
        (lambda: K.resize_volumes(IMAGE, 1, 1, 1, None), ValueError, "resize_volumes: x must have 5 axes"),
        (lambda: K.one_hot(K.ones((2,)), 3), TypeError, r"one_hot: indices must be integers.*Received: float32"),
        (lambda: K.one_hot(INDICES, 0), ValueError, "one_hot: num_classes must be a positive integer. Received: 0"),
        (lambda: K.gather(X, np.array([3])), IndexError, "take: "),
    ],
)
def test_wrong_arguments_are_named(call: Callable[[], Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()

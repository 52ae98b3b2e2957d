from __future__ import annotations

import numpy as np
import pytest

import minikeras
from minikeras.utils import normalize, to_categorical


def test_class_numbers_become_one_hot_rows_of_float32() -> None:
    rows = to_categorical([0, 2, 1])
    assert rows.dtype == np.float32
    np.testing.assert_array_equal(rows, np.eye(3)[[0, 2, 1]])


def test_the_number_of_classes_and_the_dtype_can_be_given() -> None:
    rows = to_categorical([1], num_classes=4, dtype="uint8")
    assert rows.dtype == np.uint8
    assert rows.tolist() == [[0, 1, 0, 0]]


@pytest.mark.parametrize(
    ("shape", "expected"),
    [((), (3,)), ((5,), (5, 3)), ((5, 1), (5, 3)), ((1,), (1, 3)), ((2, 5), (2, 5, 3)), ((2, 5, 1), (2, 5, 3))],
)
def test_the_classes_are_a_new_last_axis_in_place_of_one_of_length_one(shape: tuple, expected: tuple) -> None:
    rows = to_categorical(np.full(shape, 2))
    assert rows.shape == expected
    np.testing.assert_array_equal(rows.argmax(axis=-1), np.full(expected[:-1], 2))


@pytest.mark.parametrize("y", [[0.0, 1.0], [False, True], np.uint8([0, 1]), minikeras.Tensor([0, 1])])
def test_whole_numbers_of_any_type_are_class_numbers(y: object) -> None:
    assert to_categorical(y).tolist() == [[1, 0], [0, 1]]


def test_no_labels_make_no_rows_if_the_number_of_classes_is_given() -> None:
    assert to_categorical([], num_classes=3).shape == (0, 3)
    with pytest.raises(ValueError, match="num_classes must be given where y is empty"):
        to_categorical([])


@pytest.mark.parametrize("y", [[0, 1.5], [0.0, float("nan")], [float("inf")], ["1"], [1j], [None]])
def test_labels_that_are_no_integers_are_refused(y: list) -> None:
    with pytest.raises(ValueError, match=r"to_categorical: y must hold integers\. Received: "):
        to_categorical(y)


@pytest.mark.parametrize(("y", "received"), [([0, -1], "from -1 to 0"), ([3, 1], "from 1 to 3")])
def test_labels_outside_the_classes_are_refused(y: list, received: str) -> None:
    with pytest.raises(ValueError, match=rf"from 0 to num_classes - 1 = 2\. Received: numbers {received}"):
        to_categorical(y, num_classes=3)


@pytest.mark.parametrize(
    ("number", "error"), [(0, ValueError), (-2, ValueError), (2.0, TypeError), (True, TypeError), ("2", TypeError)]
)
def test_a_wrong_number_of_classes_is_refused(number: object, error: type[Exception]) -> None:
    with pytest.raises(error, match=f"num_classes must be a positive integer. Received: {number!r}"):
        to_categorical([0], num_classes=number)


@pytest.mark.parametrize(("order", "expected"), [(1, [3 / 7, -4 / 7]), (2, [0.6, -0.8]), (np.inf, [0.75, -1])])
def test_each_row_gets_norm_one(order: float, expected: list[float]) -> None:
    np.testing.assert_allclose(normalize([[3.0, -4.0], [30.0, -40.0]], order=order), [expected, expected])


def test_the_axis_can_be_chosen_and_the_shape_stays() -> None:
    x = np.arange(1.0, 25.0).reshape(2, 3, 4)
    np.testing.assert_allclose(np.square(normalize(x, axis=1)).sum(axis=1), np.ones((2, 4)))
    assert normalize(x[0, 0]).shape == (4,)


def test_zeros_stay_zeros() -> None:
    assert normalize([[0.0, 0.0]]).tolist() == [[0.0, 0.0]]


def test_float32_stays_and_integers_become_float64() -> None:
    assert normalize(np.ones((2, 2), np.float32)).dtype == np.float32
    assert normalize(np.ones((2, 2), np.int32)).dtype == np.float64


def test_the_argument_is_left_as_it_is() -> None:
    x = np.array([[3.0, 4.0]])
    normalize(x)
    assert x.tolist() == [[3.0, 4.0]]


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"x": ["a"]}, TypeError, "x must hold real numbers"),
        ({"x": 3.0}, ValueError, "axis must be one of the 0 axes of x. Received: -1"),
        ({"x": [1.0], "axis": 1}, ValueError, "axis must be one of the 1 axes of x. Received: 1"),
        ({"x": [1.0], "axis": 0.0}, TypeError, "axis must be an integer. Received: 0.0"),
        ({"x": [1.0], "order": 0}, ValueError, "order must be a number in .0, inf.. Received: 0"),
        ({"x": [1.0], "order": "fro"}, TypeError, "order must be a number in .0, inf.. Received: 'fro'"),
        ({"x": [1.0], "order": float("nan")}, ValueError, "order must be a number in .0, inf.. Received: nan"),
    ],
)
def test_wrong_arguments_of_normalize_are_refused(arguments: dict, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=f"normalize: {message}"):
        normalize(**arguments)

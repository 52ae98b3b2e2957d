from __future__ import annotations

import hashlib
from importlib import resources

import numpy as np

from minikeras.core import random
from minikeras.datasets import digits


def test_images_and_labels_have_the_documented_shapes_types_and_ranges() -> None:
    (x_train, y_train), (x_test, y_test) = digits.load_data()
    assert (x_train.shape, y_train.shape) == ((1438, 8, 8), (1438,))
    assert (x_test.shape, y_test.shape) == ((359, 8, 8), (359,))
    assert {array.dtype for array in (x_train, y_train, x_test, y_test)} == {np.dtype(np.uint8)}
    for images, labels in ((x_train, y_train), (x_test, y_test)):
        assert (images.min(), images.max()) == (0, 16)
        assert np.unique(labels).tolist() == list(range(10))


def test_the_split_is_the_fixed_one() -> None:
    sums = [hashlib.sha256(x.tobytes() + y.tobytes()).hexdigest()[:16] for x, y in digits.load_data()]
    assert sums == ["777279a5aa77d9fb", "a8dee80a4bf306c6"]


def test_the_split_depends_on_no_seed() -> None:
    first = digits.load_data()
    np.random.seed(123)
    random.set_seed(123)
    again = digits.load_data()
    for (x, y), (x_again, y_again) in zip(first, again, strict=True):
        np.testing.assert_array_equal(x, x_again)
        np.testing.assert_array_equal(y, y_again)


def test_one_in_five_of_each_digit_is_for_testing() -> None:
    (_, y_train), (_, y_test) = digits.load_data()
    train, test = np.bincount(y_train), np.bincount(y_test)
    np.testing.assert_allclose(test / (train + test), 0.2, atol=0.5 / 174)


def test_no_image_is_in_both_parts_and_none_is_lost() -> None:
    (x_train, y_train), (x_test, y_test) = digits.load_data()
    parts = [{image.tobytes() for image in images} for images in (x_train, x_test)]
    assert parts[0].isdisjoint(parts[1])
    source = resources.files("minikeras.datasets") / "data" / "digits.npz"
    with source.open("rb") as file, np.load(file, allow_pickle=False) as data:
        whole = sorted((image.tobytes(), label) for image, label in zip(data["images"], data["labels"], strict=True))
    both = zip(np.concatenate([x_train, x_test]), np.concatenate([y_train, y_test]), strict=True)
    assert sorted((image.tobytes(), label) for image, label in both) == whole


def test_the_attribution_lies_beside_the_data() -> None:
    text = (resources.files("minikeras.datasets") / "data" / "README.md").read_text(encoding="utf-8")
    assert "Alpaydin" in text
    assert "CC BY 4.0" in text


def test_the_arrays_are_the_callers_own() -> None:
    (x_train, _), _ = digits.load_data()
    x_train[:] = 99
    assert digits.load_data()[0][0].max() == 16

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from minikeras.core import random
from minikeras.preprocessing import image

REFERENCE = json.loads((Path(__file__).parents[1] / "reference/keras_preprocessing.json").read_text())
X = np.array(REFERENCE["image"])[..., None]
AXES = {"channels_last": (0, 1, 2), "channels_first": (1, 2, 0), "columns_first": (2, 1, 0)}


def name(case: dict[str, Any]) -> str:
    return ",".join(f"{key}={value}" for key, value in case["arguments"].items())


@pytest.mark.parametrize("axes", AXES.values(), ids=AXES.keys())
@pytest.mark.parametrize("case", REFERENCE["affine"], ids=name)
def test_affine_maps_agree_with_keras(case: dict[str, Any], axes: tuple[int, int, int]) -> None:
    x = np.moveaxis(X, (0, 1, 2), axes)
    row_axis, col_axis, channel_axis = axes
    y = image.apply_affine_transform(
        x, **case["arguments"], row_axis=row_axis, col_axis=col_axis, channel_axis=channel_axis
    )
    np.testing.assert_allclose(np.moveaxis(y, axes, (0, 1, 2))[..., 0], case["result"], atol=1e-6)


def test_channels_are_changed_alike_and_the_dtype_stays() -> None:
    x = np.concatenate([X, 2 * X], axis=-1).astype("float32")
    y = image.apply_affine_transform(x, theta=20, zx=0.9)
    np.testing.assert_allclose(y[..., 1], 2 * y[..., 0], rtol=1e-6)
    assert y.dtype == np.float32


def test_no_change_gives_the_image_itself() -> None:
    assert image.apply_affine_transform(X) is X


@pytest.mark.parametrize("case", REFERENCE["brightness"], ids=lambda case: str(case["brightness"]))
def test_brightness_agrees_with_keras(case: dict[str, Any]) -> None:
    y = image.apply_brightness_shift(X + case["add"], case["brightness"])
    np.testing.assert_array_equal(y[..., 0], case["result"])


@pytest.mark.parametrize("channel_axis", [0, 2])
def test_brightness_leaves_transparency_alone(channel_axis: int) -> None:
    x = np.random.default_rng(0).integers(1, 256, (4, 4, 4)).astype("float32")
    x[0, 0, 0] = 255
    change = image.apply_brightness_shift(x, 0.5, channel_axis) / x
    change = np.moveaxis(change, channel_axis, -1)
    assert (change[..., :3] <= 0.5).all()
    assert (change[..., 3] == 1).all()


def test_a_black_image_stays_black_however_bright() -> None:
    assert (image.apply_brightness_shift(np.zeros((2, 2, 1)), 3.0) == 0).all()


def test_a_channel_shift_stays_in_the_range_of_the_image() -> None:
    y = image.apply_channel_shift(np.array([[[0.0, 1.0, 5.0]]]), 2.0)
    assert y.tolist() == [[[2.0, 3.0, 5.0]]]


def test_flipping_reverses_one_axis() -> None:
    np.testing.assert_array_equal(image.flip_axis(X, 1), X[:, ::-1])


def test_random_changes_are_those_of_some_parameter_in_the_range() -> None:
    x = np.moveaxis(X, 2, 0)
    axes = {"row_axis": 1, "col_axis": 2, "channel_axis": 0}
    with random.seed_scope(7):
        theta = random.stream().uniform(-40, 40)
        hrg, wrg = random.stream().uniform([-0.2, -0.3], [0.2, 0.3])
        shear = random.stream().uniform(-15, 15)
        zx, zy = random.stream().uniform(0.5, 1.5, 2)
        intensity = random.stream().uniform(-3, 3)
        brightness = random.stream().uniform(0.5, 2)
    with random.seed_scope(7):
        found = [
            image.random_rotation(x, 40),
            image.random_shift(x, 0.3, 0.2),
            image.random_shear(x, 15),
            image.random_zoom(x, (0.5, 1.5)),
            image.random_channel_shift(x, 3),
            image.random_brightness(x, (0.5, 2)),
        ]
    expected = [
        image.apply_affine_transform(x, theta=theta, **axes),
        image.apply_affine_transform(x, tx=hrg * 5, ty=wrg * 6, **axes),
        image.apply_affine_transform(x, shear=shear, **axes),
        image.apply_affine_transform(x, zx=zx, zy=zy, **axes),
        image.apply_channel_shift(x, intensity),
        image.apply_brightness_shift(x, brightness),
    ]
    for got, wanted in zip(found, expected, strict=True):
        np.testing.assert_array_equal(got, wanted)
        assert not np.array_equal(got, x)


def test_a_zoom_from_one_to_one_changes_nothing() -> None:
    assert image.random_zoom(X, (1, 1), 0, 1, 2) is X


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: image.apply_affine_transform(X[..., 0]),
            ValueError,
            r"must be one image, with 3 axes.*shape \(5, 6\)",
        ),
        (
            lambda: image.apply_affine_transform(X, 9, fill_mode="mirror"),
            ValueError,
            "fill_mode must be one of.*'mirror'",
        ),
        (lambda: image.random_zoom(X, 0.5), ValueError, "zoom_range must be two numbers. Received: 0.5"),
        (lambda: image.random_zoom(X, (2, 1)), ValueError, "zoom_range must have the smaller number first"),
        (lambda: image.random_zoom(X, (-1, 1)), ValueError, r"each part of zoom_range must be a number in \[0, inf\)"),
        (lambda: image.random_brightness(X, (1, 2, 3)), ValueError, "brightness_range must be two numbers"),
        (lambda: image.random_brightness(X, (1, "2")), TypeError, "each part of brightness_range must be a number"),
    ],
)
def test_wrong_calls_are_refused(call: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()

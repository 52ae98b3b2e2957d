from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from minikeras import config
from minikeras.core import random
from minikeras.preprocessing.image import ImageDataGenerator, Iterator, apply_affine_transform
from minikeras.utils import OrderedEnqueuer

REFERENCE = json.loads((Path(__file__).parents[1] / "reference/keras_preprocessing.json").read_text())
STANDARD = np.array(REFERENCE["image"]).reshape(5, 2, 3, 1) / 10
IMAGES = np.random.default_rng(0).random((10, 6, 8, 3)).astype("float32")
LABELS = np.arange(10)
ALL = {
    "rotation_range": 30,
    "width_shift_range": 0.2,
    "height_shift_range": 2,
    "shear_range": 10,
    "zoom_range": 0.3,
    "channel_shift_range": 0.1,
    "horizontal_flip": True,
    "vertical_flip": True,
}


def changes(count: int = 400, shape: tuple[int, int, int] = (10, 20, 3), **arguments: Any) -> dict[str, np.ndarray]:
    """Many random changes of images of this shape, by name."""
    with random.seed_scope(0):
        generator = ImageDataGenerator(**arguments)
    drawn = [generator.get_random_transform(shape) for _ in range(count)]
    return {name: np.array([change[name] for change in drawn]) for name in drawn[0]}


@pytest.mark.parametrize("case", REFERENCE["standardize"], ids=lambda case: next(iter(case["arguments"])))
def test_standardising_agrees_with_keras(case: dict[str, Any]) -> None:
    generator = ImageDataGenerator(**case["arguments"])
    generator.fit(STANDARD)
    image = STANDARD[0].copy()
    y = generator.standardize(image)
    np.testing.assert_allclose(y.ravel(), case["result"], rtol=1e-4, atol=2e-5)
    assert (y.shape, y.dtype) == ((2, 3, 1), np.float32)
    np.testing.assert_array_equal(image, STANDARD[0])


def test_after_featurewise_standardising_each_channel_has_mean_0_and_deviation_1() -> None:
    generator = ImageDataGenerator(
        featurewise_center=True, featurewise_std_normalization=True, data_format="channels_first"
    )
    x = IMAGES.transpose(0, 3, 1, 2)
    generator.fit(x)
    y = np.stack([generator.standardize(image) for image in x])
    np.testing.assert_allclose(y.mean(axis=(0, 2, 3)), 0, atol=1e-5)
    np.testing.assert_allclose(y.std(axis=(0, 2, 3)), 1, atol=1e-4)
    assert generator.mean is not None
    assert generator.mean.shape == (3, 1, 1)


def test_whitened_pixels_are_uncorrelated() -> None:
    x = np.random.default_rng(0).random((200, 2, 2, 1)) @ np.ones((1, 1))
    x[:, 1] += x[:, 0]
    generator = ImageDataGenerator(zca_whitening=True, featurewise_center=True, dtype="float64")
    generator.fit(x)
    y = generator.standardize(x).reshape(200, 4)
    np.testing.assert_allclose(y.T @ y / 200, np.eye(4), atol=1e-4)


def test_rescaling_comes_after_the_users_function() -> None:
    generator = ImageDataGenerator(rescale=0.5, preprocessing_function=lambda image: image + 1)
    np.testing.assert_array_equal(generator.standardize(np.ones((2, 2, 1), dtype=int)), np.ones((2, 2, 1)))


def test_without_arguments_nothing_changes() -> None:
    generator = ImageDataGenerator()
    np.testing.assert_array_equal(generator.standardize(generator.random_transform(IMAGES[0])), IMAGES[0])


@pytest.mark.parametrize(
    ("arguments", "name", "low", "high"),
    [
        ({"rotation_range": 30}, "theta", -30, 30),
        ({"shear_range": 5}, "shear", -5, 5),
        ({"width_shift_range": 0.2}, "ty", -4, 4),
        ({"height_shift_range": 0.2}, "tx", -2, 2),
        ({"height_shift_range": 3.0}, "tx", -3, 3),
        ({"zoom_range": 0.3}, "zx", 0.7, 1.3),
        ({"zoom_range": (0.5, 3)}, "zy", 0.5, 3),
        ({"channel_shift_range": 9.0}, "channel_shift_intensity", -9, 9),
        ({"brightness_range": (0.5, 2)}, "brightness", 0.5, 2),
    ],
)
def test_changes_fill_their_range(arguments: dict[str, Any], name: str, low: float, high: float) -> None:
    drawn = changes(**arguments)[name]
    assert low <= drawn.min() < low + 0.05 * (high - low)
    assert high - 0.05 * (high - low) < drawn.max() <= high


@pytest.mark.parametrize(
    ("value", "expected"),
    [(3, {-2, -1, 0, 1, 2}), ([2, 5], {-5, -2, 2, 5}), ([0.1, 0.5], {-10.0, -2.0, 2.0, 10.0}), (0, {0})],
)
def test_shifts_of_whole_pixels_and_of_given_choices(value: Any, expected: set[float]) -> None:
    assert set(changes(width_shift_range=value)["ty"].tolist()) == expected


def test_half_of_the_images_are_flipped() -> None:
    drawn = changes(horizontal_flip=True)
    assert 150 < drawn["flip_horizontal"].sum() < 250
    assert not drawn["flip_vertical"].any()


def test_a_seed_gives_the_same_change_each_time() -> None:
    generator = ImageDataGenerator(**ALL)
    first, second = (generator.get_random_transform((6, 8, 3), seed=5) for _ in range(2))
    assert first == second != generator.get_random_transform((6, 8, 3), seed=6)
    np.testing.assert_array_equal(
        generator.random_transform(IMAGES[0], seed=5), generator.apply_transform(IMAGES[0], first)
    )


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
def test_a_change_is_applied_to_rows_columns_and_channels_of_the_data_format(data_format: str) -> None:
    x = IMAGES[0] if data_format == "channels_last" else IMAGES[0].transpose(2, 0, 1)
    generator = ImageDataGenerator(data_format=data_format)
    change = {"theta": 20, "tx": 1, "flip_horizontal": True, "flip_vertical": True, "channel_shift_intensity": 0.1}
    y = generator.apply_transform(x, change)
    expected = np.clip(apply_affine_transform(IMAGES[0], 20, 1) + 0.1, None, None)[::-1, ::-1]
    y = y if data_format == "channels_last" else y.transpose(1, 2, 0)
    inside = expected < y.max()
    np.testing.assert_allclose(y[inside], expected[inside], rtol=1e-5)
    bright = generator.apply_transform(x, {"brightness": 2.0})
    assert bright.max() == 255


def test_flow_gives_each_image_with_its_label_and_weight_once() -> None:
    flow = ImageDataGenerator().flow(IMAGES, LABELS, batch_size=4, sample_weight=LABELS * 10, seed=1)
    assert len(flow) == 3
    parts = [flow[number] for number in range(3)]
    x, y, weights = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    assert sorted(y) == LABELS.tolist() != y.tolist()
    np.testing.assert_array_equal(x, IMAGES[y])
    np.testing.assert_array_equal(weights, 10 * y)


def test_flow_without_labels_gives_images_alone_and_hands_other_arrays_on() -> None:
    generator = ImageDataGenerator(rescale=2.0)
    np.testing.assert_array_equal(generator.flow(IMAGES, shuffle=False)[0], 2 * IMAGES)
    (images, other), y = generator.flow((IMAGES, LABELS), LABELS, shuffle=False, batch_size=3)[1]
    np.testing.assert_array_equal(images, 2 * IMAGES[3:6])
    assert other.tolist() == y.tolist() == [3, 4, 5]


def test_iterating_never_ends_and_shuffles_each_epoch_anew() -> None:
    flow = ImageDataGenerator().flow(IMAGES, LABELS, batch_size=5, seed=1)
    epochs = [np.concatenate([next(flow)[1] for _ in range(2)]).tolist() for _ in range(3)]
    assert all(sorted(order) == LABELS.tolist() for order in epochs)
    assert epochs[0] != epochs[1] != epochs[2]
    assert iter(flow) is flow


def test_reset_begins_with_the_first_batch() -> None:
    flow = ImageDataGenerator().flow(IMAGES, LABELS, batch_size=3, shuffle=False)
    assert [next(flow)[1][0] for _ in range(2)] == [0, 3]
    flow.reset()
    assert next(flow)[1][0] == 0


def test_on_epoch_end_shuffles() -> None:
    flow = ImageDataGenerator().flow(IMAGES, LABELS, batch_size=10, seed=1)
    before = flow[0][1].tolist()
    assert flow[0][1].tolist() == before
    flow.on_epoch_end()
    assert flow[0][1].tolist() != before


@pytest.mark.parametrize("seed", [3, None])
def test_changes_depend_on_the_seed_and_not_on_batches_or_threads(seed: int | None) -> None:
    def two_epochs(batch_size: int, workers: int) -> np.ndarray:
        with random.seed_scope(0):
            flow = ImageDataGenerator(**ALL).flow(IMAGES, batch_size=batch_size, shuffle=False, seed=seed)
        with OrderedEnqueuer(flow) as enqueuer:
            enqueuer.start(workers=workers)
            batches = enqueuer.get()
            return np.concatenate([next(batches) for _ in range(2 * len(flow))])

    expected = two_epochs(10, 1)
    np.testing.assert_array_equal(two_epochs(2, 3), expected)
    assert not np.array_equal(expected[:10], expected[10:])


def test_two_flows_of_one_seed_change_images_and_masks_alike() -> None:
    with_shift = ImageDataGenerator(**ALL).flow(IMAGES, LABELS, seed=4)
    without = ImageDataGenerator(**{**ALL, "channel_shift_range": 0.0})
    (images, labels), (plain, _), (masks, numbers) = (
        with_shift[0],
        without.flow(IMAGES, LABELS, seed=4)[0],
        without.flow(IMAGES[..., :1], LABELS, seed=4)[0],
    )
    assert labels.tolist() == numbers.tolist()
    np.testing.assert_array_equal(plain[..., :1], masks)
    assert np.abs(images - plain).max() < 0.11  # nothing but the shift of the channels


def test_numpys_global_state_is_left_alone() -> None:
    flow = ImageDataGenerator(**ALL).flow(IMAGES, LABELS, seed=4)
    before = np.random.get_state()[1].copy()
    next(flow)
    np.testing.assert_array_equal(np.random.get_state()[1], before)


def test_subsets_are_the_first_part_and_the_rest_with_their_weights() -> None:
    generator = ImageDataGenerator(validation_split=0.3)
    labels = np.tile([0, 1], 5)
    parts = {
        subset: generator.flow(IMAGES, labels, sample_weight=LABELS, shuffle=False, subset=subset)[0]
        for subset in ("training", "validation")
    }
    assert parts["validation"][2].tolist() == [0, 1, 2]
    assert parts["training"][2].tolist() == [3, 4, 5, 6, 7, 8, 9]
    np.testing.assert_array_equal(parts["validation"][0], IMAGES[:3])


def test_dtypes_follow_floatx_unless_given() -> None:
    with config.scope(floatx="float64"):
        assert ImageDataGenerator().flow(IMAGES)[0].dtype == np.float64
    assert ImageDataGenerator(dtype="float16").flow(IMAGES)[0].dtype == np.float16


def test_fitting_on_changed_images_differs_from_fitting_on_the_images() -> None:
    plain, augmented = (
        ImageDataGenerator(featurewise_center=True, fill_mode="constant", rotation_range=40) for _ in "12"
    )
    plain.fit(IMAGES)
    augmented.fit(IMAGES, augment=True, rounds=3, seed=0)
    assert (augmented.mean < plain.mean).all()


def test_a_subclass_of_iterator_makes_its_own_batches() -> None:
    class Rows(Iterator):
        def _get_batches_of_transformed_samples(self, index_array: np.ndarray) -> list[int]:
            return index_array.tolist()

    rows = Rows(5, 2, False, None)
    assert [rows[number] for number in range(3)] == [[0, 1], [2, 3], [4]]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"zca_whitening": True}, "zca_whitening switches featurewise_center on"),
        (
            {"zca_whitening": True, "featurewise_center": True, "featurewise_std_normalization": True},
            "zca_whitening switches featurewise_std_normalization off",
        ),
        ({"featurewise_std_normalization": True}, "featurewise_std_normalization switches featurewise_center on"),
        ({"samplewise_std_normalization": True}, "samplewise_std_normalization switches samplewise_center on"),
    ],
)
def test_switches_that_need_each_other_warn(arguments: dict[str, bool], message: str) -> None:
    with pytest.warns(UserWarning, match=message):
        ImageDataGenerator(**arguments)


def test_standardising_before_fitting_warns() -> None:
    with pytest.warns(UserWarning, match=r"featurewise_center has no effect before fit\(images\) is called"):
        ImageDataGenerator(featurewise_center=True).standardize(IMAGES[0])


def test_unusual_numbers_of_channels_warn() -> None:
    with pytest.warns(
        UserWarning, match=r"images of shape \(10, 3, 6, 8\) have 8 channels in the format 'channels_last'"
    ):
        ImageDataGenerator().flow(IMAGES.transpose(0, 3, 1, 2))


FLOW = ImageDataGenerator(validation_split=0.3).flow
WRONG = {
    "a fill mode": (lambda: ImageDataGenerator(fill_mode="mirror"), ValueError, "fill_mode must be one of.*'mirror'"),
    "a data format": (lambda: ImageDataGenerator(data_format="NHWC"), ValueError, "data_format must be one of.*'NHWC'"),
    "a zoom": (lambda: ImageDataGenerator(zoom_range=2), ValueError, r"zoom_range must be a number in \[0, 1\].*2"),
    "three zooms": (lambda: ImageDataGenerator(zoom_range=(1, 2, 3)), ValueError, "zoom_range must be two numbers"),
    "a split": (lambda: ImageDataGenerator(validation_split=1), ValueError, r"validation_split must be .*\[0, 1\)"),
    "a brightness": (
        lambda: ImageDataGenerator(brightness_range=0.5),
        ValueError,
        "brightness_range must be two numbers",
    ),
    "an angle": (lambda: ImageDataGenerator(rotation_range="30"), TypeError, "rotation_range must be a number"),
    "a shift": (lambda: ImageDataGenerator(width_shift_range=-0.1), ValueError, r"width_shift_range .*\[0, inf\)"),
    "a flag": (lambda: ImageDataGenerator(horizontal_flip="yes"), TypeError, "horizontal_flip must be True or False"),
    "a dtype": (lambda: ImageDataGenerator(dtype="uint8"), ValueError, "dtype must be a float type. Received: 'uint8'"),
    "no function": (lambda: ImageDataGenerator(preprocessing_function=3), TypeError, "must be a function. Received: 3"),
    "fitting on one image": (lambda: ImageDataGenerator().fit(IMAGES[0]), ValueError, "with 4 axes.*6, 8, 3"),
    "an unknown change": (
        lambda: ImageDataGenerator().apply_transform(IMAGES[0], {"angle": 3}),
        ValueError,
        "expected theta, .*Received: angle",
    ),
    "too few labels": (lambda: FLOW(IMAGES, LABELS[:5]), ValueError, r"of one length.*\(10, 6, 8, 3\) and \(5,\)"),
    "too few weights": (lambda: FLOW(IMAGES, LABELS, sample_weight=[1]), ValueError, "of one length"),
    "images without channels": (lambda: FLOW(IMAGES[..., 0]), ValueError, r"with 4 axes.*\(10, 6, 8\)"),
    "three inputs": (lambda: FLOW((IMAGES, LABELS, LABELS)), ValueError, "a pair of images and others.*3 parts"),
    "no batch": (lambda: FLOW(IMAGES, batch_size=0), ValueError, "batch_size must be a positive integer. Received: 0"),
    "a subset": (lambda: FLOW(IMAGES, subset="test"), ValueError, "subset must be one of 'training', 'validation'"),
    "sorted labels": (lambda: FLOW(IMAGES, LABELS, subset="training"), ValueError, "shuffle x and y together before"),
    "an empty subset": (
        lambda: ImageDataGenerator().flow(IMAGES, subset="validation"),
        ValueError,
        "subset='validation' has no images with validation_split=0.0",
    ),
    "a batch too many": (lambda: FLOW(IMAGES)[1], IndexError, "there are 1 batches. Received: number 1"),
    "a seed": (lambda: FLOW(IMAGES, seed=1.5), TypeError, "seed must be a non-negative integer or None"),
}


@pytest.mark.parametrize(("call", "error", "message"), WRONG.values(), ids=WRONG.keys())
def test_wrong_calls_are_refused(call: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()

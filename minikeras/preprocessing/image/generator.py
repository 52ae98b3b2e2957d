"""ImageDataGenerator: batches of images, each changed at random and standardised."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ... import checks
from ...core import config, random
from .affine import FILL_MODES, apply_affine_transform, apply_brightness_shift, apply_channel_shift, flip_axis, pair
from .files import data_format_of
from .iterators import DirectoryIterator, NumpyArrayIterator

_OWNER = "ImageDataGenerator"
_TINY = 1e-6  # added to standard deviations


class ImageDataGenerator:
    """Changes images at random and standardises them.

    Args:
        featurewise_center: Subtract each channel's mean over the data given to `fit`.
        samplewise_center: Subtract each image's mean.
        featurewise_std_normalization: Divide by each channel's standard deviation over that data.
        samplewise_std_normalization: Divide by each image's standard deviation.
        zca_whitening: Make the pixels uncorrelated over that data.
        zca_epsilon: Added to the eigenvalues there.
        rotation_range: The largest angle, in degrees.
        width_shift_range: A float below 1 is the largest shift as a share of the width, from 1 on in pixels; an
            integer n gives whole numbers of pixels below n; an array gives one of its elements. Either way, to both
            sides.
        height_shift_range: Likewise up and down.
        brightness_range: The smallest and the largest factor of brightness; stretches values to 0 … 255.
        shear_range: The largest angle, in degrees.
        zoom_range: The smallest and the largest factor (below 1 enlarges), or a float z for 1 - z and 1 + z.
        channel_shift_range: The largest number to add to all values.
        fill_mode: What is beyond the edge: "constant" (cval), "nearest" (the edge), "reflect" or "wrap".
        cval: Value beyond the edge for "constant".
        horizontal_flip: Whether to mirror half of the images left to right.
        vertical_flip: Whether to mirror half of them top to bottom.
        rescale: Factor for all values, after the changes; None or 0 for none.
        preprocessing_function: From image (rows, columns, channels) to image, before rescaling.
        data_format: "channels_last" or "channels_first"; None is the default of the configuration.
        validation_split: Share of the images that ``subset="validation"`` gives, and "training" doesn't.
        dtype: Of the images; floatx by default.

    Attributes:
        mean: Array after `fit`, to be broadcast with an image; None before. So are std and principal_components.

    Raises:
        TypeError, ValueError: If an argument is out of range.

    Example:
        >>> images = np.ones((4, 6, 6, 1))
        >>> batches = ImageDataGenerator(rotation_range=20, rescale=0.5).flow(images, np.arange(4), batch_size=3)
        >>> x, y = batches[0]
        >>> x.shape, x.max(), y.shape
        ((3, 6, 6, 1), np.float32(0.5), (3,))
    """

    def __init__(
        self,
        featurewise_center: bool = False,
        samplewise_center: bool = False,
        featurewise_std_normalization: bool = False,
        samplewise_std_normalization: bool = False,
        zca_whitening: bool = False,
        zca_epsilon: float = 1e-6,
        rotation_range: float = 0,
        width_shift_range: Any = 0.0,
        height_shift_range: Any = 0.0,
        brightness_range: Sequence[float] | None = None,
        shear_range: float = 0.0,
        zoom_range: Any = 0.0,
        channel_shift_range: float = 0.0,
        fill_mode: str = "nearest",
        cval: float = 0.0,
        horizontal_flip: bool = False,
        vertical_flip: bool = False,
        rescale: float | None = None,
        preprocessing_function: Callable[[np.ndarray], Any] | None = None,
        data_format: str | None = None,
        validation_split: float = 0.0,
        dtype: npt.DTypeLike | None = None,
    ) -> None:
        self.featurewise_center = checks.flag(_OWNER, "featurewise_center", featurewise_center)
        self.samplewise_center = checks.flag(_OWNER, "samplewise_center", samplewise_center)
        self.featurewise_std_normalization = checks.flag(
            _OWNER, "featurewise_std_normalization", featurewise_std_normalization
        )
        self.samplewise_std_normalization = checks.flag(
            _OWNER, "samplewise_std_normalization", samplewise_std_normalization
        )
        self.zca_whitening = checks.flag(_OWNER, "zca_whitening", zca_whitening)
        self.zca_epsilon = checks.number(_OWNER, "zca_epsilon", zca_epsilon, "[0, inf)")
        self.rotation_range = checks.number(_OWNER, "rotation_range", rotation_range)
        self.width_shift_range = _shifts("width_shift_range", width_shift_range)
        self.height_shift_range = _shifts("height_shift_range", height_shift_range)
        self.brightness_range = None if brightness_range is None else pair(_OWNER, "brightness_range", brightness_range)
        self.shear_range = checks.number(_OWNER, "shear_range", shear_range)
        self.zoom_range = _zooms(zoom_range)
        self.channel_shift_range = checks.number(_OWNER, "channel_shift_range", channel_shift_range)
        self.fill_mode = checks.choice(_OWNER, "fill_mode", fill_mode, FILL_MODES)
        self.cval = checks.number(_OWNER, "cval", cval)
        self.horizontal_flip = checks.flag(_OWNER, "horizontal_flip", horizontal_flip)
        self.vertical_flip = checks.flag(_OWNER, "vertical_flip", vertical_flip)
        self.rescale = None if rescale is None else checks.number(_OWNER, "rescale", rescale)
        if preprocessing_function is not None and not callable(preprocessing_function):
            raise TypeError(
                f"{_OWNER}: preprocessing_function must be a function. Received: {preprocessing_function!r}"
            )
        self.preprocessing_function = preprocessing_function
        self.data_format = data_format_of(_OWNER, data_format)
        self.validation_split = checks.number(_OWNER, "validation_split", validation_split, "[0, 1)")
        self.dtype = np.dtype(dtype or config.floatx())
        if self.dtype.kind != "f":
            raise ValueError(f"{_OWNER}: dtype must be a float type. Received: {dtype!r}")
        first = self.data_format == "channels_first"
        self.channel_axis, self.row_axis, self.col_axis = (1, 2, 3) if first else (3, 1, 2)
        self.mean: np.ndarray | None = None
        self.std: np.ndarray | None = None
        self.principal_components: np.ndarray | None = None
        self._stream = random.stream()
        self._settle_overrides()

    def flow(
        self,
        x: Any,
        y: Any = None,
        batch_size: int = 32,
        shuffle: bool = True,
        sample_weight: Any = None,
        seed: int | None = None,
        save_to_dir: str | os.PathLike[str] | None = None,
        save_prefix: str = "",
        save_format: str = "png",
        subset: str | None = None,
    ) -> NumpyArrayIterator:
        """Batches of changed and standardised images from arrays.

        Args:
            x: Images (N, rows, columns, channels), or the channels before the rows; or a pair of these and of other
                arrays (N, ...), which are handed on as they are.
            y: Targets (N, ...); None for none.
            batch_size: Images in a batch.
            shuffle: Whether each epoch takes the images in a new order.
            sample_weight: Array (N,).
            seed: Of the order and the changes. Two iterators of one seed order and change alike, image by image.
            save_to_dir: Folder to write the changed images to, to look at; needs Pillow.
            save_prefix: Of their names.
            save_format: Their format.
            subset: "training" or "validation", see validation_split; None for all images.

        Returns:
            A `Sequence` of ``x``, ``(x, y)`` or ``(x, y, sample_weight)``, which is also an iterator without an end.

        Raises:
            ValueError: If the arrays differ in length, or an argument is out of range.
        """
        saving = (save_to_dir, save_prefix, save_format)
        return NumpyArrayIterator(
            x, y, self, batch_size, shuffle, sample_weight, seed, self.data_format, *saving, subset, self.dtype
        )

    def flow_from_directory(
        self,
        directory: str | os.PathLike[str],
        target_size: tuple[int, int] = (256, 256),
        color_mode: str = "rgb",
        classes: Sequence[str] | None = None,
        class_mode: str | None = "categorical",
        batch_size: int = 32,
        shuffle: bool = True,
        seed: int | None = None,
        save_to_dir: str | os.PathLike[str] | None = None,
        save_prefix: str = "",
        save_format: str = "png",
        follow_links: bool = False,
        subset: str | None = None,
        interpolation: str = "nearest",
    ) -> DirectoryIterator:
        """Batches of changed and standardised images from files; needs Pillow.

        Args:
            directory: Folder with a folder for each class, in which the pictures are, at any depth.
            target_size: (rows, columns) to which they are resampled.
            color_mode: "grayscale", "rgb" or "rgba".
            classes: Names of the folders, in the order of the class numbers; by default all, sorted.
            class_mode: The targets: "categorical" (one-hot rows), "binary" or "sparse" (class numbers), "input" (the
                images themselves), None (none).
            batch_size: Images in a batch.
            shuffle: As in `flow`.
            seed: As in `flow`.
            save_to_dir: As in `flow`.
            save_prefix: As in `flow`.
            save_format: As in `flow`.
            follow_links: Whether to look into folders that are links.
            subset: "training" or "validation", see validation_split, of each class; None for all images.
            interpolation: How to resample; see `load_img`.

        Returns:
            A `Sequence` of ``(x, y)``, or x alone, which is also an iterator without an end.

        Raises:
            FileNotFoundError: If there is no such folder.
            ValueError: If there are no pictures in it, or an argument is out of range.
        """
        saving = (save_to_dir, save_prefix, save_format)
        return DirectoryIterator(
            directory, self, target_size, color_mode, classes, class_mode, batch_size, shuffle, seed, self.data_format,
            *saving, follow_links, subset, interpolation, self.dtype,
        )  # fmt: skip

    def fit(self, x: Any, augment: bool = False, rounds: int = 1, seed: int | None = None) -> None:
        """Compute what featurewise standardisation and whitening need.

        Args:
            x: Images (N, rows, columns, channels), or the channels before the rows.
            augment: Whether to change them at random before.
            rounds: How many times each, then.
            seed: Of the changes.

        Raises:
            ValueError: If x doesn't have four axes or no images.
        """
        x = np.array(x, dtype=self.dtype)
        if x.ndim != 4 or len(x) == 0:
            raise ValueError(f"{_OWNER}.fit: x must be images, with 4 axes. Received: an array of shape {x.shape}")
        if augment:
            stream = random.stream(seed)
            rounds = checks.integer(f"{_OWNER}.fit", "rounds", rounds)
            x = np.stack([self._changed(image, stream) for _ in range(rounds) for image in x])
        axes = (0, self.row_axis, self.col_axis)
        if self.featurewise_center:
            self.mean = x.mean(axis=axes, keepdims=True, dtype=np.float64)[0].astype(self.dtype)
            x -= self.mean
        if self.featurewise_std_normalization:
            std = x.std(axis=axes, keepdims=True, dtype=np.float64)[0].astype(self.dtype)
            x /= std + _TINY
            self.std = std
        if self.zca_whitening:
            flat = x.reshape(len(x), -1).astype(np.float64)
            vectors, values, _ = np.linalg.svd(flat.T @ flat / len(flat))
            self.principal_components = (vectors / np.sqrt(values + self.zca_epsilon) @ vectors.T).astype(self.dtype)

    def standardize(self, x: Any) -> np.ndarray:
        """Standardise an image (or a batch, whose mean then counts as that of one sample).

        Args:
            x: Array (..., rows, columns, channels), or the channels before the rows.

        Returns:
            A new array of the same shape.
        """
        if self.preprocessing_function is not None:
            x = self.preprocessing_function(x)
        x = np.array(x, dtype=self.dtype)
        if self.rescale:
            x *= self.rescale
        if self.samplewise_center:
            x -= x.mean()
        if self.samplewise_std_normalization:
            x /= x.std() + _TINY
        if self.featurewise_center and (mean := self._fitted("featurewise_center", self.mean)) is not None:
            x -= mean
        if (
            self.featurewise_std_normalization
            and (std := self._fitted("featurewise_std_normalization", self.std)) is not None
        ):
            x /= std + _TINY
        if self.zca_whitening and (zca := self._fitted("zca_whitening", self.principal_components)) is not None:
            x = (x.reshape(-1, np.prod(x.shape[-3:])) @ zca).reshape(x.shape)
        return x

    def get_random_transform(self, img_shape: Sequence[int], seed: int | None = None) -> dict[str, Any]:
        """Choose a change at random.

        Args:
            img_shape: Of the image, in the generator's data format.
            seed: Gives the same change each time; None takes the next of the generator's random numbers.

        Returns:
            Dict for `apply_transform`.
        """
        return self._choose(img_shape, self._stream if seed is None else random.stream(seed))

    def apply_transform(self, x: Any, transform_parameters: dict[str, Any]) -> np.ndarray:
        """Change an image.

        Args:
            x: The image, in the generator's data format.
            transform_parameters: Dict of theta (degrees), tx and ty (pixels along rows and columns), shear (degrees),
                zx and zy (factors), flip_horizontal, flip_vertical, channel_shift_intensity, brightness; what isn't
                there changes nothing.

        Returns:
            An image of the same shape.

        Raises:
            ValueError: If x doesn't have three axes, or the dict has other names.
        """
        if unknown := sorted(transform_parameters.keys() - _NO_CHANGE.keys()):
            raise ValueError(
                f"{_OWNER}.apply_transform: expected {', '.join(_NO_CHANGE)}. Received: {', '.join(unknown)}"
            )
        change = {**_NO_CHANGE, **transform_parameters}
        row_axis, col_axis, channel_axis = self.row_axis - 1, self.col_axis - 1, self.channel_axis - 1
        geometry = {name: change[name] for name in ("theta", "tx", "ty", "shear", "zx", "zy")}
        axes = {"row_axis": row_axis, "col_axis": col_axis, "channel_axis": channel_axis}
        x = apply_affine_transform(x, **geometry, **axes, fill_mode=self.fill_mode, cval=self.cval)
        if change["channel_shift_intensity"] is not None:
            x = apply_channel_shift(x, change["channel_shift_intensity"], channel_axis)
        if change["flip_horizontal"]:
            x = flip_axis(x, col_axis)
        if change["flip_vertical"]:
            x = flip_axis(x, row_axis)
        if change["brightness"] is not None:
            x = apply_brightness_shift(x, change["brightness"], channel_axis)
        return x

    def random_transform(self, x: Any, seed: int | None = None) -> np.ndarray:
        """Change an image at random; see `get_random_transform` and `apply_transform`."""
        return self._changed(np.asarray(x), self._stream if seed is None else random.stream(seed))

    def _changed(self, image: np.ndarray, stream: np.random.Generator) -> np.ndarray:
        return self.apply_transform(image, self._choose(image.shape, stream))

    def _choose(self, shape: Sequence[int], stream: np.random.Generator) -> dict[str, Any]:
        def around_zero(largest: float) -> float:
            return stream.uniform(-largest, largest) if largest else 0

        low, high = self.zoom_range
        change = dict(_NO_CHANGE)
        change["theta"] = around_zero(self.rotation_range)
        change["tx"] = _shift(self.height_shift_range, shape[self.row_axis - 1], stream)
        change["ty"] = _shift(self.width_shift_range, shape[self.col_axis - 1], stream)
        change["shear"] = around_zero(self.shear_range)
        if not low == high == 1:
            change["zx"], change["zy"] = stream.uniform(low, high, 2)
        change["flip_horizontal"] = stream.random() < 0.5 and self.horizontal_flip
        change["flip_vertical"] = stream.random() < 0.5 and self.vertical_flip
        if self.channel_shift_range:
            change["channel_shift_intensity"] = around_zero(self.channel_shift_range)
        if self.brightness_range is not None:
            change["brightness"] = stream.uniform(*self.brightness_range)
        return change

    def _settle_overrides(self) -> None:
        """Switch on what other switches need, as Keras does, and off what they exclude."""
        if self.zca_whitening and self.featurewise_std_normalization:
            self.featurewise_std_normalization = False
            warnings.warn(f"{_OWNER}: zca_whitening switches featurewise_std_normalization off", stacklevel=3)
        for switch, needed in (
            ("zca_whitening", "featurewise_center"),
            ("featurewise_std_normalization", "featurewise_center"),
            ("samplewise_std_normalization", "samplewise_center"),
        ):
            if getattr(self, switch) and not getattr(self, needed):
                setattr(self, needed, True)
                warnings.warn(f"{_OWNER}: {switch} switches {needed} on", stacklevel=3)

    def _fitted(self, switch: str, statistic: np.ndarray | None) -> np.ndarray | None:
        if statistic is None:
            warnings.warn(f"{_OWNER}: {switch} has no effect before fit(images) is called", stacklevel=3)
        return statistic


_NO_CHANGE: dict[str, Any] = {
    "theta": 0,
    "tx": 0,
    "ty": 0,
    "shear": 0,
    "zx": 1,
    "zy": 1,
    "flip_horizontal": False,
    "flip_vertical": False,
    "channel_shift_intensity": None,
    "brightness": None,
}


def _shifts(argument: str, value: Any) -> Any:
    """A float, an int, or an array of shifts to choose from."""
    if isinstance(value, (list, tuple, np.ndarray)) and np.ndim(value) == 1 and len(value):
        return np.array([checks.number(_OWNER, f"each part of {argument}", part) for part in value])
    if isinstance(value, (int, np.integer)) and not isinstance(value, bool):
        return checks.integer(_OWNER, argument, value, 0)
    return checks.number(_OWNER, argument, value, "[0, inf)")


def _shift(choices: Any, size: int, stream: np.random.Generator) -> float:
    """A shift in pixels; numbers below 1 are shares of the size."""
    if isinstance(choices, float):
        return stream.uniform(-choices, choices) * (size if choices < 1 else 1) if choices else 0
    if isinstance(choices, int):
        return int(stream.integers(choices)) * int(stream.choice((-1, 1))) if choices else 0
    return stream.choice(choices) * stream.choice((-1, 1)) * (size if choices.max() < 1 else 1)


def _zooms(value: Any) -> tuple[float, float]:
    if isinstance(value, (tuple, list, np.ndarray)):
        return pair(_OWNER, "zoom_range", value)
    zoom = checks.number(_OWNER, "zoom_range", value, "[0, 1]")
    return 1 - zoom, 1 + zoom

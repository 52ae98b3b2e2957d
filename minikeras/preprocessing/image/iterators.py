"""Batches of images that an ImageDataGenerator changes and standardises: from arrays and from files.

How an image is changed depends on the iterator's seed, on the image's number and on how many times it was taken
before: not on the batch that it is in, nor on the threads that make the batches.
"""

from __future__ import annotations

import os
import threading
import warnings
from collections.abc import Sequence as Collection
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ... import checks
from ...core import config, random
from ...utils.np_utils import to_categorical
from ...utils.sequence import Sequence
from .files import array_to_img, data_format_of, img_to_array, load_img, size_of

if TYPE_CHECKING:
    from .generator import ImageDataGenerator

_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".ppm", ".tif", ".tiff")
_CHANNELS = {"grayscale": 1, "rgb": 3, "rgba": 4}
_CLASS_MODES = ("categorical", "binary", "sparse", "input")


class Iterator(Sequence):
    """Batches of samples by number: a `Sequence`, and an iterator without an end, which several threads may advance.

    A subclass makes the batch of given samples in ``_get_batches_of_transformed_samples(index_array)``.

    Args:
        n: The number of samples.
        batch_size: Samples in a batch.
        shuffle: Whether each epoch takes the samples in a new order.
        seed: Of the order and of the changes.

    Raises:
        TypeError, ValueError: If a number is out of range.
    """

    def __init__(self, n: int, batch_size: int, shuffle: bool, seed: int | None) -> None:
        owner = type(self).__name__
        self.n = checks.integer(owner, "the number of samples", n)
        self.batch_size = checks.integer(owner, "batch_size", batch_size)
        self.shuffle = checks.flag(owner, "shuffle", shuffle)
        self.seed = seed
        self.batch_index = 0
        self.total_batches_seen = 0
        self.lock = threading.Lock()
        self._root = random.stream(seed).integers(2**32, size=4).tolist()
        self._epoch = 0
        self._taken = np.zeros(self.n, dtype=np.int64)
        self.index_array = self._order()

    def __len__(self) -> int:
        """The number of batches in an epoch."""
        return -(-self.n // self.batch_size)

    def __getitem__(self, idx: int) -> Any:
        """A batch of the present epoch.

        Args:
            idx: Its number, from 0.

        Raises:
            IndexError: If there are fewer.
        """
        if not 0 <= idx < len(self):
            raise IndexError(f"{type(self).__name__}: there are {len(self)} batches. Received: number {idx}")
        with self.lock:
            self.total_batches_seen += 1
            rows = self.index_array[idx * self.batch_size : (idx + 1) * self.batch_size]
        return self._get_batches_of_transformed_samples(rows)

    def __iter__(self) -> Iterator:
        """Itself: ``for batch in iterator`` never ends."""
        return self

    def __next__(self) -> Any:
        return self.next()

    def next(self) -> Any:
        """The next batch; after the last one of an epoch the next epoch begins."""
        with self.lock:
            if self.batch_index == len(self):
                self.batch_index = 0
                self._next_epoch()
            start = self.batch_index * self.batch_size
            self.batch_index += 1
            self.total_batches_seen += 1
            rows = self.index_array[start : start + self.batch_size]
        return self._get_batches_of_transformed_samples(rows)  # not under the lock: threads work side by side

    def on_epoch_end(self) -> None:
        """Begin the next epoch, in a new order if it shuffles."""
        with self.lock:
            self._next_epoch()

    def reset(self) -> None:
        """Let `next` begin with the first batch."""
        with self.lock:
            self.batch_index = 0

    def get_state(self) -> dict[str, Any]:
        """Where it stands, for `callbacks.BackupAndRestore`: the order of the epoch, and how often each sample came."""
        with self.lock:
            return {
                "root": list(self._root),
                "epoch": self._epoch,
                "taken": self._taken.copy(),
                "batch_index": self.batch_index,
                "total_batches_seen": self.total_batches_seen,
            }

    def set_state(self, state: dict[str, Any]) -> None:
        """Go on from what `get_state` gave."""
        with self.lock:
            self._root, self._epoch, self._taken = list(state["root"]), state["epoch"], state["taken"].copy()
            self.batch_index, self.total_batches_seen = state["batch_index"], state["total_batches_seen"]
            self.index_array = self._order()

    def skip(self, index: int) -> None:
        """Count a batch as made: what follows is what would have followed it."""
        with self.lock:
            self.total_batches_seen += 1
            self._taken[self.index_array[index * self.batch_size : (index + 1) * self.batch_size]] += 1

    def _next_epoch(self) -> None:
        self._epoch += 1
        self.index_array = self._order()

    def _order(self) -> np.ndarray:
        if not self.shuffle:
            return np.arange(self.n)
        return np.random.default_rng([*self._root, self._epoch]).permutation(self.n)

    def _seeds(self, index_array: np.ndarray) -> list[int]:
        """A seed for each sample: the same for the k-th time that this sample is taken."""
        with self.lock:
            self._taken[index_array] += 1
            times = self._taken[index_array].tolist()
        return [
            int.from_bytes(np.array([*self._root, row, time], dtype="<u8").tobytes(), "little")
            for row, time in zip(index_array.tolist(), times, strict=True)
        ]

    def _get_batches_of_transformed_samples(self, index_array: np.ndarray) -> Any:
        raise NotImplementedError(f"{type(self).__name__} must define _get_batches_of_transformed_samples(index_array)")


class _ImageIterator(Iterator):
    """What iterators over arrays and over files have in common: changing, standardising and saving images."""

    def __init__(
        self,
        n: int,
        image_data_generator: ImageDataGenerator,
        batch_size: int,
        shuffle: bool,
        seed: int | None,
        data_format: str,
        save_to_dir: str | os.PathLike[str] | None,
        save_prefix: str,
        save_format: str,
        dtype: npt.DTypeLike | None,
    ) -> None:
        super().__init__(n, batch_size, shuffle, seed)
        self.image_data_generator = image_data_generator
        self.data_format = data_format
        self.save_to_dir = save_to_dir
        self.save_prefix = save_prefix
        self.save_format = save_format
        self.dtype = np.dtype(dtype or config.floatx())

    def _image(self, row: int) -> np.ndarray:
        """The image as it is, in the data format."""
        raise NotImplementedError

    def _batch(self, index_array: np.ndarray) -> np.ndarray:
        generator = self.image_data_generator
        images = []
        for row, seed in zip(index_array.tolist(), self._seeds(index_array), strict=True):
            image = self._image(row)
            change = generator.get_random_transform(image.shape, seed)
            images.append(generator.standardize(generator.apply_transform(image, change)))
        batch = np.stack(images).astype(self.dtype, copy=False)
        if self.save_to_dir is not None:
            self._save(batch, index_array)
        return batch

    def _save(self, batch: np.ndarray, index_array: np.ndarray) -> None:
        for image, row in zip(batch, index_array.tolist(), strict=True):
            name = f"{self.save_prefix}_{row}_{self._taken[row]}.{self.save_format}"
            array_to_img(image, self.data_format).save(os.path.join(os.fspath(self.save_to_dir or ""), name))


class NumpyArrayIterator(_ImageIterator):
    """Batches from arrays; see `ImageDataGenerator.flow`.

    Args:
        x: Images of four axes, or a pair of these and of other arrays.
        y: Targets, or None.
        image_data_generator: What changes and standardises the images.
        batch_size: Images in a batch.
        shuffle: Whether each epoch takes the images in a new order.
        sample_weight: Array (N,), or None.
        seed: Of the order and the changes.
        data_format: "channels_last" or "channels_first"; None is the default of the configuration.
        save_to_dir: Folder to write the changed images to.
        save_prefix: Of their names.
        save_format: Their format.
        subset: "training", "validation" or None.
        dtype: Of the images; floatx by default.

    Raises:
        ValueError: If the arrays differ in length, or an argument is out of range.
    """

    def __init__(
        self,
        x: Any,
        y: Any,
        image_data_generator: ImageDataGenerator,
        batch_size: int = 32,
        shuffle: bool = False,
        sample_weight: Any = None,
        seed: int | None = None,
        data_format: str | None = None,
        save_to_dir: str | os.PathLike[str] | None = None,
        save_prefix: str = "",
        save_format: str = "png",
        subset: str | None = None,
        dtype: npt.DTypeLike | None = None,
    ) -> None:
        owner = "NumpyArrayIterator"
        data_format = data_format_of(owner, data_format)
        images, others = _images_and_others(x)
        images = np.asarray(images, dtype=dtype or config.floatx())
        arrays: list[Any] = [images, *others, None if y is None else np.asarray(y)]
        arrays.append(None if sample_weight is None else np.asarray(sample_weight))
        for array in arrays:
            if array is not None and len(array) != len(images):
                raise ValueError(
                    f"{owner}: x, y and sample_weight must be of one length. Received: shapes {images.shape} and "
                    f"{array.shape}"
                )
        if images.ndim != 4:
            raise ValueError(f"{owner}: x must be images, with 4 axes. Received: an array of shape {images.shape}")
        _warn_of_odd_channels(images.shape, data_format)
        if subset is not None:
            arrays = _subset(arrays, subset, image_data_generator.validation_split)
        self.x, *self.x_misc, self.y, self.sample_weight = arrays
        saving = (save_to_dir, save_prefix, save_format)
        super().__init__(
            len(self.x), image_data_generator, batch_size, shuffle, seed, data_format, *saving, images.dtype
        )

    def _image(self, row: int) -> np.ndarray:
        return self.x[row]

    def _get_batches_of_transformed_samples(self, index_array: np.ndarray) -> Any:
        images: Any = self._batch(index_array)
        if self.x_misc:
            images = [images, *(other[index_array] for other in self.x_misc)]
        if self.y is None:
            return images
        if self.sample_weight is None:
            return images, self.y[index_array]
        return images, self.y[index_array], self.sample_weight[index_array]


class DirectoryIterator(_ImageIterator):
    """Batches from picture files, in a folder for each class; see `ImageDataGenerator.flow_from_directory`.

    Args:
        directory: Folder with a folder for each class.
        image_data_generator: What changes and standardises the images.
        target_size: (rows, columns) to which they are resampled.
        color_mode: "grayscale", "rgb" or "rgba".
        classes: Names of the folders; by default all, sorted.
        class_mode: "categorical", "binary", "sparse", "input" or None.
        batch_size: Images in a batch.
        shuffle: Whether each epoch takes the images in a new order.
        seed: Of the order and the changes.
        data_format: "channels_last" or "channels_first"; None is the default of the configuration.
        save_to_dir: Folder to write the changed images to.
        save_prefix: Of their names.
        save_format: Their format.
        follow_links: Whether to look into folders that are links.
        subset: "training", "validation" or None.
        interpolation: How to resample; see `load_img`.
        dtype: Of the images; floatx by default.

    Attributes:
        filenames: Paths below the directory.
        classes: Class number of each, int32.
        class_indices: Dict from class name to number.
        samples: The number of files.
        num_classes: The number of classes.
        image_shape: Of one image.

    Raises:
        FileNotFoundError: If there is no such folder.
        ValueError: If there are no pictures in it, or an argument is out of range.
    """

    def __init__(
        self,
        directory: str | os.PathLike[str],
        image_data_generator: ImageDataGenerator,
        target_size: tuple[int, int] = (256, 256),
        color_mode: str = "rgb",
        classes: Collection[str] | None = None,
        class_mode: str | None = "categorical",
        batch_size: int = 32,
        shuffle: bool = True,
        seed: int | None = None,
        data_format: str | None = None,
        save_to_dir: str | os.PathLike[str] | None = None,
        save_prefix: str = "",
        save_format: str = "png",
        follow_links: bool = False,
        subset: str | None = None,
        interpolation: str = "nearest",
        dtype: npt.DTypeLike | None = None,
    ) -> None:
        owner = "DirectoryIterator"
        self.directory = os.fspath(directory)
        self.target_size = size_of(owner, target_size)
        self.color_mode = checks.choice(owner, "color_mode", color_mode, tuple(_CHANNELS))
        self.class_mode = None if class_mode is None else checks.choice(owner, "class_mode", class_mode, _CLASS_MODES)
        self.interpolation = interpolation
        data_format = data_format_of(owner, data_format)
        channels = (_CHANNELS[self.color_mode],)
        self.image_shape = (
            channels + self.target_size if data_format == "channels_first" else self.target_size + channels
        )
        names = classes or sorted(entry.name for entry in os.scandir(self.directory) if entry.is_dir())
        self.class_indices = {name: number for number, name in enumerate(names)}
        self.num_classes = len(names)
        self.filenames: list[str] = []
        numbers: list[int] = []
        for name, number in self.class_indices.items():
            files = _pictures(self.directory, name, follow_links)
            if subset is not None:
                files = files[_part(owner, subset, len(files), image_data_generator.validation_split)]
            self.filenames += files
            numbers += [number] * len(files)
        self.classes = np.array(numbers, dtype=np.int32)
        self.samples = len(self.filenames)
        if not self.filenames:
            raise ValueError(
                f"{owner}: there are no pictures ({', '.join(_SUFFIXES)}) in the folders "
                f"{', '.join(map(repr, names)) or 'of classes'} of {self.directory}"
            )
        print(f"Found {self.samples} images belonging to {self.num_classes} classes.")
        saving = (save_to_dir, save_prefix, save_format)
        super().__init__(self.samples, image_data_generator, batch_size, shuffle, seed, data_format, *saving, dtype)

    def _image(self, row: int) -> np.ndarray:
        picture = load_img(
            os.path.join(self.directory, self.filenames[row]),
            color_mode=self.color_mode,
            target_size=self.target_size,
            interpolation=self.interpolation,
        )
        return img_to_array(picture, self.data_format, self.dtype)

    def _get_batches_of_transformed_samples(self, index_array: np.ndarray) -> Any:
        images = self._batch(index_array)
        if self.class_mode is None:
            return images
        if self.class_mode == "input":
            return images, images.copy()
        numbers = self.classes[index_array]
        if self.class_mode == "categorical":
            return images, to_categorical(numbers, self.num_classes, self.dtype)
        return images, numbers.astype(self.dtype) if self.class_mode == "binary" else numbers


def _images_and_others(x: Any) -> tuple[Any, list[np.ndarray]]:
    """The images, and the arrays that are handed on beside them."""
    if not isinstance(x, (tuple, list)):
        return x, []
    if len(x) != 2:
        raise ValueError(
            f"NumpyArrayIterator: x must be images, or a pair of images and others. Received: {len(x)} parts"
        )
    images, others = x
    return images, [np.asarray(other) for other in (others if isinstance(others, list) else [others])]


def _warn_of_odd_channels(shape: tuple[int, ...], data_format: str) -> None:
    channels = shape[-1] if data_format == "channels_last" else shape[1]
    if channels not in (1, 3, 4):
        warnings.warn(
            f"NumpyArrayIterator: images of shape {shape} have {channels} channels in the format {data_format!r}; "
            "1, 3 or 4 are usual",
            stacklevel=4,
        )


def _subset(arrays: list[Any], subset: str, share: float) -> list[Any]:
    """The rows of a part; the images come first, the labels before the weights."""
    owner = "NumpyArrayIterator"
    rows = _part(owner, subset, len(arrays[0]), share)
    if rows.start == rows.stop:
        raise ValueError(f"{owner}: subset={subset!r} has no images with validation_split={share}")
    labels = arrays[-2]
    if labels is not None and labels.dtype.kind in "biu":
        split = int(len(labels) * share)
        if not np.array_equal(np.unique(labels[:split]), np.unique(labels[split:])):
            raise ValueError(
                f"{owner}: training and validation have different classes: subsets are cut where the data is, so "
                "shuffle x and y together before"
            )
    return [None if array is None else array[rows] for array in arrays]


def _part(owner: str, subset: str, count: int, share: float) -> slice:
    """The rows of a subset; validation comes first, as in Keras."""
    split = int(count * share)
    if checks.choice(owner, "subset", subset, ("training", "validation")) == "validation":
        return slice(0, split)
    return slice(split, count)


def _pictures(directory: str, name: str, follow_links: bool) -> list[str]:
    """The paths below the directory of the pictures of a class, sorted by folder and name."""
    folder = os.path.join(directory, name)
    if not os.path.isdir(folder):
        raise FileNotFoundError(f"DirectoryIterator: there is no folder {name!r} for a class in {directory}")
    return [
        os.path.relpath(os.path.join(root, file), directory)
        for root, _, files in sorted(os.walk(folder, followlinks=follow_links))
        for file in sorted(files)
        if file.lower().endswith(_SUFFIXES)
    ]

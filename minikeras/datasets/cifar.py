"""What CIFAR-10 and CIFAR-100 have in common: the format of their files."""

from __future__ import annotations

import os

import numpy as np

from ..core.config import image_data_format
from .pickled import read_pickle


def load_batch(fpath: str | os.PathLike[str], label_key: str = "labels") -> tuple[np.ndarray, np.ndarray]:
    """Read a file of images, which is a pickle, without unpickling it.

    Args:
        fpath: The file.
        label_key: "labels", "fine_labels" or "coarse_labels".

    Returns:
        Images uint8 (N, 3, 32, 32) and labels uint8 (N,).

    Raises:
        ValueError: If it is no such file, or holds more than data.
    """
    name = os.fspath(fpath)
    with open(fpath, "rb") as file:
        try:
            content = read_pickle(file.read())
        except ValueError as error:
            raise ValueError(f"{name} can't be read: {error}") from error
    if not isinstance(content, dict):
        raise ValueError(f"{name} is no batch of CIFAR's: it holds no dict")
    parts = {key.decode("latin-1") if isinstance(key, bytes) else key: value for key, value in content.items()}
    data, labels = parts.get("data"), parts.get(label_key)
    if not isinstance(data, np.ndarray) or data.dtype != np.uint8 or data.ndim != 2 or data.shape[1] != 3 * 32 * 32:
        raise ValueError(f"{name} is no batch of CIFAR's: it holds no uint8 images under 'data'")
    if not isinstance(labels, list) or len(labels) != len(data) or not all(type(n) is int for n in labels):
        raise ValueError(f"{name} is no batch of CIFAR's: it doesn't hold {len(data)} labels under {label_key!r}")
    return data.reshape(-1, 3, 32, 32), np.array(labels, dtype=np.uint8)


def as_set(images: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The images in the default data format, and the labels as a column."""
    if image_data_format() == "channels_last":
        images = np.ascontiguousarray(images.transpose(0, 2, 3, 1))
    return images, labels.reshape(-1, 1)

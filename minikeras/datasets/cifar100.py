"""CIFAR-100: 60,000 colour images of 32×32 pixels in a hundred classes, or twenty coarse ones."""

from __future__ import annotations

import os

import numpy as np

from .. import checks
from ..utils.download import get_file
from .cifar import as_set, load_batch

_ORIGIN = "https://www.cs.toronto.edu/~kriz/cifar-100-python.tar.gz"
_MD5 = "eb9058c3a382ffc7106e4002c42a8d85"


def load_data(label_mode: str = "fine") -> tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """Return the images, from the cache's folder ``datasets/cifar-100-python`` or else from the web.

    Args:
        label_mode: "fine" for a hundred classes, "coarse" for twenty.

    Returns:
        ``(x_train, y_train), (x_test, y_test)``: images uint8 (50000, 32, 32, 3) and (10000, 32, 32, 3), or
        (N, 3, 32, 32) where the default data format is "channels_first"; labels uint8 (N, 1).

    Raises:
        ConnectionError: If they are neither in the cache nor can be downloaded.
        ValueError: If there is no such label_mode, or a file isn't what it should be.

    References:
        A. Krizhevsky, *Learning multiple layers of features from tiny images*, 2009.
    """
    key = checks.choice("cifar100.load_data", "label_mode", label_mode, ("fine", "coarse")) + "_labels"
    folder = get_file("cifar-100-python", origin=_ORIGIN, untar=True, file_hash=_MD5)
    train, test = (as_set(*load_batch(os.path.join(folder, part), key)) for part in ("train", "test"))
    return train, test
